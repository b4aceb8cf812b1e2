import { mean } from '../../averages.ts';
import type { TextTokenizer } from '../../data/index.ts';
import type { LabelHead, Pass, Transformer } from '../../model/index.ts';
import { Tensor } from '../../tensor/index.ts';
import { type Baseline, mostFrequent } from '../baseline.ts';
import { type LabelLearning, labelLoss } from '../cross-entropy.ts';
import { type MetricName, metrics } from '../metrics.ts';
import { encodeTexts, fills } from '../sequences.ts';
import type { Encoded, Kind, Sequence, Task } from '../task.ts';
import { windowsOf } from '../windows.ts';
import type { EncodedTexts, TextExample } from './example.ts';
import { naiveBayes } from './naive-bayes.ts';
import { confusion, predictionsTsv } from './predictions.ts';

/** A task whose texts have a label or a value each. */
export type TextTask = Task<TextExample, EncodedTexts, number>;

/** The loss of logits [N, labels] and N targets, the prediction of a row of logits, and predictions without a model. */
interface Way {
  loss(logits_NC: Tensor, targets: readonly number[], learning: LabelLearning): Tensor;
  predict(logits: Float32Array): number;
  baselines(train: readonly TextExample[], labels: readonly string[]): Baseline<TextExample, number>[];
}

const ways: Record<'single-label' | 'regression', Way> = {
  'single-label': {
    loss: labelLoss,
    predict: (logits) => logits.indexOf(Math.max(...logits)),
    baselines(train, labels) {
      const label = mostFrequent(train.map(({ target }) => target!));
      const always = { name: `always "${labels[label]}"`, predict: () => label };
      if (train.some(({ texts }) => texts.length > 1)) return [always];
      const labelled = train.map(({ texts, target }) => ({ text: texts[0]!, label: target! }));
      const bayes = naiveBayes(labelled, labels.length);
      return [always, { name: 'naive Bayes on words', predict: ({ texts }) => bayes(texts[0]!) }];
    },
  },
  regression: {
    loss(values_N1, targets) {
      const N = targets.length;
      const right = Tensor.from(Float32Array.from(targets), [N], { device: values_N1.device });
      const difference = values_N1.reshape([N]).add(right, -1);
      return difference
        .mul(difference)
        .sum()
        .mul(1 / N);
    },
    predict: ([value]) => value!,
    baselines(train) {
      const value = mean(train.map(({ target }) => target!));
      return [{ name: 'always the mean', predict: () => value }];
    },
  },
};

/** How texts are learned. */
export interface TextSettings extends LabelLearning {
  /** How many windows of a text that is too long are read; their logits are averaged. */
  numWindows: number;
}

/** Equal label weights, and only the beginning of a text. */
export const plainSettings: TextSettings = { smoothing: 0, numWindows: 1 };

/**
 * Texts with one label each, learned by cross-entropy, or with one value each, learned by squared error. `written` formats a prediction
 * for a file.
 */
export function textKind(
  head: LabelHead & { kind: keyof typeof ways },
  {
    metrics: names,
    written,
    ...settings
  }: TextSettings & { metrics: readonly MetricName[]; written: (prediction: number) => string },
): Kind<TextExample, EncodedTexts, number> {
  const way = ways[head.kind];
  const targetsOf = (examples: readonly EncodedTexts[]) => examples.map(({ target }) => target!);
  return {
    head,
    async encode(examples, tokenizer, maxLength) {
      const texts = examples.map((example) => example.texts);
      const sequences = await encodeWindows(texts, tokenizer, { maxLength, numWindows: settings.numWindows });
      return examples.map(({ target }, i) => ({ sequences: sequences[i]!, target }));
    },
    isCut: fills,
    takesWindows: true,
    numOutputs: () => 1,
    outputs: textLogits,
    loss: (logits_NC, examples) => way.loss(logits_NC, targetsOf(examples), settings),
    predict: (logits) => way.predict(logits),
    baselines: (train) => way.baselines(train, head.labels),
    hasTarget: ({ target }) => target !== undefined,
    scores(predictions, examples) {
      const right = targetsOf(examples);
      return Object.fromEntries(names.map((name) => [name, metrics[name](predictions, right)]));
    },
    ...(head.kind === 'single-label' && {
      details(predictions: readonly number[], examples: readonly EncodedTexts[]) {
        const counts = confusion(head.labels.length, predictions, targetsOf(examples));
        const rows = counts.map((row, i) => [head.labels[i]!, ...row.map(String)]);
        return { name: 'confusion', json: counts, rows: [['true \\ predicted', ...head.labels], ...rows] };
      },
    }),
    written(predictions, _, read) {
      const known = read.map(({ texts, target }) => ({
        texts,
        label: target === undefined ? undefined : written(target),
      }));
      return { ending: '.tsv', text: predictionsTsv(predictions.map(written), known) };
    },
  };
}

/**
 * Each example's texts as one sequence; a single text longer than `maxLength` tokens as at most `numWindows` windows, which
 * overlap by a quarter.
 */
export async function encodeWindows(
  examples: readonly (readonly string[])[],
  tokenizer: TextTokenizer,
  { maxLength, numWindows }: { maxLength: number; numWindows: number },
): Promise<Sequence[][]> {
  if (numWindows === 1 || examples[0]?.length !== 1)
    return (await encodeTexts(examples, tokenizer, maxLength)).map((sequence) => [sequence]);
  const encoded = await tokenizer.encodeBatch(examples.map(([text]) => text!));
  return encoded.map((tokens) => {
    const windows = windowsOf(new Array<number>(tokens.length).fill(1), maxLength - 2).slice(0, numWindows);
    return windows.map(({ first, end }) => {
      const ids = Int32Array.from([tokenizer.clsId, ...tokens.subarray(first, end), tokenizer.sepId]);
      return { ids, secondStart: ids.length };
    });
  });
}

/** The logits of each example, [N, labels]: the means over its windows. */
export function textLogits(model: Transformer, hidden_WTD: Tensor, examples: readonly Encoded[], pass?: Pass): Tensor {
  const lengths = examples.flatMap(({ sequences }) => sequences.map(({ ids }) => ids.length));
  const logits_WC = model.classLogits!(hidden_WTD, lengths, pass).to('float32');
  const [W, N] = [logits_WC.shape[0]!, examples.length];
  if (W === N) return logits_WC;
  const shares = new Float32Array(N * W);
  let start = 0;
  for (const [i, { sequences }] of examples.entries()) {
    shares.fill(1 / sequences.length, i * W + start, i * W + start + sequences.length);
    start += sequences.length;
  }
  return Tensor.from(shares, [N, W], { device: logits_WC.device }).linear(logits_WC.transpose(0, 1));
}
