import type { Head } from '../model/index.ts';

/** A score's title: F1 of texts with one of two labels is that of the second label, `f1 of spam`. */
export const scoreTitle = (name: string, head: Head): string =>
  name === 'f1' && head.kind === 'single-label' ? `f1 of ${head.labels[1]}` : name;
