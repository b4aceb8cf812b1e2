import type { FilledExample } from '../runs/index.ts';
import type { ShownEvaluation } from './run-view.ts';

/** A held-out text with gaps, and the model's guesses for them over the run. */
export interface FilledText {
  /** The text is `parts[0] right[0] parts[1] …`. */
  parts: readonly string[];
  right: readonly string[];
  /** The guesses at some evaluations, oldest first. */
  guesses: readonly { step: number; gaps: FilledExample['gaps'] }[];
}

/** The held-out texts with gaps that the evaluations of a run filled in, each at up to `most` of them, the first and the last included. */
export function filledTexts(evaluations: readonly ShownEvaluation[], most = 6): FilledText[] {
  const shown = spread(
    evaluations.filter(({ examples }) => examples.length > 0),
    most,
  );
  const last = shown.at(-1)?.examples.filter(({ gaps }) => gaps.length > 0) ?? [];
  return last.map(({ parts, gaps }) => ({
    parts,
    right: gaps.map(({ right }) => right),
    guesses: shown.flatMap(({ step, examples }) => {
      const same = examples.find((example) => JSON.stringify(example.parts) === JSON.stringify(parts));
      return same ? [{ step, gaps: same.gaps }] : [];
    }),
  }));
}

/** Up to `most` values at even distances. */
function spread<T>(values: readonly T[], most: number): T[] {
  const count = Math.min(values.length, most);
  return Array.from(
    { length: count },
    (_, i) => values[Math.round((i * (values.length - 1)) / Math.max(1, count - 1))]!,
  );
}
