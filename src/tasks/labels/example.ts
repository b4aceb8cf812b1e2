import type { Encoded } from '../task.ts';

/** One or two texts and their target: the index of a label, or a value. Without a target they are only predicted. */
export interface TextExample {
  texts: readonly string[];
  target: number | undefined;
}

/** The same as one sequence, or as windows. */
export interface EncodedTexts extends Encoded {
  target: number | undefined;
}
