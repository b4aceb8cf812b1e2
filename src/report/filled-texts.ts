import { type Gap, sentenceKey } from '../runs/gap.ts';
import type { RunView, ShownEvaluation } from './run-view.ts';

/** Held-out sentences with a gap each, and the guesses of a model over the run. */
export interface FilledTexts {
  /** The steps of some evaluations, oldest first. */
  steps: readonly number[];
  /** Each sentence, as at the last of these evaluations, and the guesses at each of them. */
  texts: readonly { gap: Gap; guesses: readonly Gap['guesses'][] }[];
}

/** What the sentences and guesses are; a causal model reads only what stands before a word. */
export function removedWords({ config }: Pick<RunView, 'config'>): string {
  const isCausal = new Map(config).get('data.objective') === JSON.stringify('clm');
  const from = isCausal ? ', from what stands before the word' : '';
  return `Words removed at random from held-out sentences, and the model's first guess for each by step${from}.`;
}

/** What the evaluations of a run filled in, at up to `most` of them, the first and the last included. */
export function filledTexts(evaluations: readonly ShownEvaluation[], most = 7): FilledTexts {
  const shown = atEvenDistances(
    evaluations.filter(({ examples }) => examples.length > 0),
    most,
  );
  return {
    steps: shown.map(({ step }) => step),
    texts: (shown.at(-1)?.examples ?? []).map((gap) => ({
      gap,
      guesses: shown.map(
        ({ examples }) => examples.find((example) => sentenceKey(example) === sentenceKey(gap))?.guesses ?? [],
      ),
    })),
  };
}

/** Up to `most` values at even distances. */
function atEvenDistances<T>(values: readonly T[], most: number): T[] {
  const count = Math.min(values.length, most);
  return Array.from(
    { length: count },
    (_, i) => values[Math.round((i * (values.length - 1)) / Math.max(1, count - 1))]!,
  );
}
