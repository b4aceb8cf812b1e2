import { mean } from '../../averages.ts';
import type { LabelHead } from '../../model/index.ts';
import { Tensor } from '../../tensor/index.ts';
import { type Counts, scoresOf, totalOf } from '../metrics.ts';
import { fills } from '../sequences.ts';
import type { Encoded, Kind, Task } from '../task.ts';
import { encodeWindows, textLogits } from './kind.ts';
import { predictionsTsv } from './predictions.ts';

/** A text and the indices of all its labels; without them it is only predicted. */
export interface MultiLabelExample {
  texts: readonly string[];
  targets?: readonly number[];
}

/** The same as sequences. */
export interface EncodedMultiLabel extends Encoded {
  targets: readonly number[] | undefined;
}

/** A task whose texts have any number of labels; it predicts the probability of each. */
export type MultiLabelTask = Task<MultiLabelExample, EncodedMultiLabel, Float32Array>;

/** The probability from which a label is predicted; `best` chooses, for each label, the one with the highest F1 on the development set. */
export type Threshold = number | 'best';

/** The default threshold. */
export const defaultThreshold = 0.5;

/** Texts with any number of labels, each label learned by its own binary cross-entropy. */
export function multiLabelKind(
  head: LabelHead,
  { threshold, numWindows }: { threshold: Threshold; numWindows: number },
): Kind<MultiLabelExample, EncodedMultiLabel, Float32Array> {
  const C = head.labels.length;
  const usual = threshold === 'best' ? defaultThreshold : threshold;
  const thresholds = head.thresholds ?? new Array<number>(C).fill(usual);
  const idsOf = (probabilities: Float32Array) =>
    thresholds.flatMap((least, id) => (probabilities[id]! >= least ? [id] : []));
  return {
    head: { ...head, thresholds },
    judgedBy: ['micro-f1'],
    async encode(examples, tokenizer, maxLength) {
      const texts = examples.map((example) => example.texts);
      const sequences = await encodeWindows(texts, tokenizer, { maxLength, numWindows });
      return examples.map(({ targets }, i) => ({ sequences: sequences[i]!, targets }));
    },
    isCut: fills,
    takesWindows: true,
    numOutputs: () => 1,
    outputs: textLogits,
    loss(logits_NC, examples) {
      const N = examples.length;
      const { device } = logits_NC;
      const rows = logits_NC.reshape([N * C, 1]);
      const zeros = Tensor.from(new Float32Array(N * C), [N * C, 1], { device });
      const right = new BigInt64Array(N * C);
      for (const [i, { targets }] of examples.entries()) for (const id of targets!) right[i * C + id] = 1n;
      // The sigmoid of z is the softmax of 0 and z.
      return Tensor.cat([zeros, rows], 1).crossEntropy(Tensor.from(right, [N * C], { device }), 'mean');
    },
    predict: (logits) => logits.map((z) => 1 / (1 + Math.exp(-z))),
    hasTarget: ({ targets }) => targets !== undefined,
    scores(predictions, examples) {
      const counts = countsOf(C, predictions.map(idsOf), examples);
      const same = (a: readonly number[], b: readonly number[]) =>
        Number(a.join() === [...b].sort((x, y) => x - y).join());
      const exact = predictions.map((probabilities, i) => same(idsOf(probabilities), examples[i]!.targets!));
      return {
        'micro-f1': scoresOf(totalOf(counts)).f1,
        'macro-f1': mean(counts.map((one) => scoresOf(one).f1)),
        exact: mean(exact),
      };
    },
    details(predictions, examples) {
      const counts = countsOf(C, predictions.map(idsOf), examples);
      const found = counts.map((one, id) => ({
        ...scoresOf(one),
        support: one.there,
        threshold: thresholds[id]!,
      }));
      const rows = found.map(({ precision, recall, f1, support, threshold }, id) => [
        head.labels[id]!,
        ...[precision, recall, f1].map((score) => `${(100 * score).toFixed(1)} %`),
        String(support),
        threshold.toFixed(2),
      ]);
      return {
        name: 'labelScores',
        json: Object.fromEntries(found.map((one, id) => [head.labels[id]!, one])),
        rows: [['label', 'precision', 'recall', 'f1', 'support', 'threshold'], ...rows],
      };
    },
    ...(threshold === 'best' && {
      settle: (predictions: readonly Float32Array[], examples: readonly EncodedMultiLabel[]) => {
        const best = head.labels.map((_, id) =>
          bestThreshold(
            predictions.map((probabilities) => probabilities[id]!),
            examples.map(({ targets }) => targets!.includes(id)),
          ),
        );
        return multiLabelKind({ ...head, thresholds: best }, { threshold: usual, numWindows });
      },
    }),
    written(predictions, _, read) {
      const list = (ids: readonly number[]) => ids.map((id) => head.labels[id]).join(';');
      const known = read.map(({ texts, targets }) => ({ texts, label: targets && list(targets) }));
      return {
        ending: '.tsv',
        text: predictionsTsv(
          predictions.map((one) => list(idsOf(one))),
          known,
        ),
      };
    },
  };
}

function countsOf(
  numLabels: number,
  predicted: readonly (readonly number[])[],
  examples: readonly EncodedMultiLabel[],
): Counts[] {
  const counts = Array.from({ length: numLabels }, () => ({ hits: 0, found: 0, there: 0 }));
  for (const [i, { targets }] of examples.entries()) {
    for (const id of targets!) counts[id]!.there += 1;
    for (const id of predicted[i]!) {
      counts[id]!.found += 1;
      if (targets!.includes(id)) counts[id]!.hits += 1;
    }
  }
  return counts;
}

/** The threshold with the highest F1, half-way between two probabilities; 0.5 if no threshold finds a correct one. */
export function bestThreshold(probabilities: readonly number[], right: readonly boolean[]): number {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!);
  const there = right.filter(Boolean).length;
  let [hits, best, threshold] = [0, 0, 0.5];
  for (const [rank, i] of order.entries()) {
    if (right[i]) hits += 1;
    const [own, next] = [probabilities[i]!, probabilities[order[rank + 1] ?? -1] ?? 0];
    if (own === next) continue; // no threshold fits between the two
    const { f1 } = scoresOf({ hits, found: rank + 1, there });
    if (f1 > best) [best, threshold] = [f1, (own + next) / 2];
  }
  return threshold;
}
