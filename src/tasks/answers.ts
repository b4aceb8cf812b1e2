import type { LabelHead } from '../model/index.ts';
import { plainSettings, textKind } from './labels/kind.ts';
import { defaultThreshold, multiLabelKind } from './labels/multi.ts';
import { markEntities } from './tags/entities.ts';
import { type TaggedText, tagged, tagKind } from './tags/kind.ts';
import { sentenceOf } from './tags/read.ts';
import type { Encoded, Predicting } from './task.ts';

/** The prediction for a text, by what the model was fine-tuned for. */
export type TextPrediction =
  /** One label: the most likely one, its probability, and those of all labels. */
  | { label: string; score: number; probabilities: Record<string, number> }
  /** Several labels: those at or above their thresholds, their probabilities, and those of all labels. */
  | { labels: string[]; scores: number[]; probabilities: Record<string, number> }
  /** A number. */
  | { value: number }
  /** Tags of words, or entities: their `start` and `end` count characters. */
  | TaggedText;

/** How a model with a label head answers for texts, as JSON: for one text, or for two if it was fine-tuned on pairs. */
export interface Answers extends Predicting<readonly string[], Encoded, TextPrediction> {
  /** In how many windows it reads a long text at most. */
  mostWindows: number;
}

/** A kind of examples that takes texts instead of examples, and returns `say` of its predictions. */
function answers<E, X extends Encoded>(
  kind: Predicting<E, X>,
  exampleOf: (texts: readonly string[]) => E,
  say: (outputs: Float32Array, example: X) => TextPrediction,
): Omit<Answers, 'mostWindows'> {
  return {
    ...kind,
    encode: (texts, tokenizer, maxLength) => kind.encode(texts.map(exampleOf), tokenizer, maxLength),
    predict: say,
  };
}

const untargeted = (texts: readonly string[]) => ({ texts, target: undefined });
const settings = (numWindows: number) => ({ ...plainSettings, numWindows, metrics: [], written: String });

/** By the kind of the head. */
const heads: Record<
  LabelHead['kind'],
  (head: LabelHead, numWindows: number) => Omit<Answers, 'mostWindows'> & Partial<Answers>
> = {
  'single-label'({ labels }, numWindows) {
    const kind = textKind({ kind: 'single-label', labels }, settings(numWindows));
    return answers(kind, untargeted, (logits, example) => {
      const id = kind.predict(logits, example);
      const probabilities = softmax(logits);
      return { label: labels[id]!, score: probabilities[id]!, probabilities: named(labels, probabilities) };
    });
  },
  'multi-label'(head, numWindows) {
    const kind = multiLabelKind(head, { threshold: defaultThreshold, numWindows });
    return answers(
      kind,
      (texts) => ({ texts }),
      (logits, example) => {
        const probabilities = kind.predict(logits, example);
        const predicted = [...head.labels.keys()].filter(
          (id) => probabilities[id]! >= (head.thresholds?.[id] ?? defaultThreshold),
        );
        return {
          labels: predicted.map((id) => head.labels[id]!),
          scores: predicted.map((id) => probabilities[id]!),
          probabilities: named(head.labels, probabilities),
        };
      },
    );
  },
  regression({ labels }, numWindows) {
    const kind = textKind({ kind: 'regression', labels }, settings(numWindows));
    return answers(kind, untargeted, (outputs, example) => ({ value: kind.predict(outputs, example) }));
  },
  token({ labels }) {
    const kind = tagKind(labels);
    const form = markEntities(labels) ? ('spans' as const) : ('lists' as const);
    const tagsOf = answers(
      kind,
      ([text]) => ({ ...sentenceOf(text!), form }),
      (logits, example) => tagged(example, kind.predict(logits, example)),
    );
    return { ...tagsOf, mostWindows: Infinity };
  },
};

/** How a model with this head answers, if it reads a long text in up to `numWindows` windows. */
export const answersOf = (head: LabelHead, numWindows = 1): Answers => ({
  mostWindows: numWindows,
  ...heads[head.kind](head, numWindows),
});

const named = (labels: readonly string[], probabilities: ArrayLike<number>) =>
  Object.fromEntries(labels.map((label, id) => [label, probabilities[id]!]));

function softmax(logits: Float32Array): number[] {
  const most = Math.max(...logits);
  const likelihoods = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = likelihoods.reduce((a, b) => a + b);
  return likelihoods.map((likelihood) => likelihood / sum);
}
