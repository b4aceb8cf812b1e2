import type { LabelHead } from '../model/index.ts';
import { plainSettings, textKind } from './labels/kind.ts';
import { defaultThreshold, multiLabelKind } from './labels/multi.ts';
import { markEntities } from './tags/entities.ts';
import { tagged, tagKind } from './tags/kind.ts';
import { sentenceOf } from './tags/read.ts';
import type { Encoded, Predicting } from './task.ts';

/** How a model with a label head answers for texts, as JSON: for one text, or for two if it was fine-tuned on pairs. */
export interface Answers extends Predicting<readonly string[], Encoded, object> {
  /** Whether it reads all of a long text, in windows. */
  readsWindows: boolean;
}

/** A kind of examples that takes texts instead of examples, and returns `say` of its predictions. */
function answers<E, X extends Encoded>(
  kind: Predicting<E, X>,
  exampleOf: (texts: readonly string[]) => E,
  say: (outputs: Float32Array, example: X) => object,
): Answers {
  return {
    ...kind,
    encode: (texts, tokenizer, maxLength) => kind.encode(texts.map(exampleOf), tokenizer, maxLength),
    predict: say,
    readsWindows: false,
  };
}

const untargeted = (texts: readonly string[]) => ({ texts, target: undefined });
const settings = { ...plainSettings, metrics: [], written: String };

/** By the kind of the head. */
const heads: Record<LabelHead['kind'], (head: LabelHead) => Answers> = {
  'single-label'({ labels }) {
    const kind = textKind({ kind: 'single-label', labels }, settings);
    return answers(kind, untargeted, (logits, example) => ({
      label: labels[kind.predict(logits, example)],
      probabilities: named(labels, softmax(logits)),
    }));
  },
  'multi-label'(head) {
    const kind = multiLabelKind(head, { threshold: defaultThreshold, numWindows: 1 });
    return answers(
      kind,
      (texts) => ({ texts }),
      (logits, example) => {
        const probabilities = kind.predict(logits, example);
        const predicted = head.labels.filter(
          (_, id) => probabilities[id]! >= (head.thresholds?.[id] ?? defaultThreshold),
        );
        return { labels: predicted, probabilities: named(head.labels, probabilities) };
      },
    );
  },
  regression({ labels }) {
    const kind = textKind({ kind: 'regression', labels }, settings);
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
    return { ...tagsOf, readsWindows: true };
  },
};

/** How a model with this head answers. */
export const answersOf = (head: LabelHead): Answers => heads[head.kind](head);

const named = (labels: readonly string[], probabilities: ArrayLike<number>) =>
  Object.fromEntries(labels.map((label, id) => [label, probabilities[id]!]));

function softmax(logits: Float32Array): number[] {
  const most = Math.max(...logits);
  const likelihoods = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = likelihoods.reduce((a, b) => a + b);
  return likelihoods.map((likelihood) => likelihood / sum);
}
