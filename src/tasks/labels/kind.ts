import type { LabelHead } from '../../model/index.ts';
import { Tensor } from '../../tensor/index.ts';
import { type MetricName, metrics } from '../metrics.ts';
import { encodeTexts } from '../sequences.ts';
import type { Kind, Task } from '../task.ts';
import type { EncodedTexts, TextExample } from './example.ts';
import { confusion, predictionsTsv } from './predictions.ts';

/** A task whose texts have a label or a value each. */
export type TextTask = Task<TextExample, EncodedTexts, number>;

/** What is minimised, of logits [N, labels] and N targets, and what a row of logits says. */
interface Way {
  loss(logits_NC: Tensor, targets: readonly number[]): Tensor;
  predict(logits: Float32Array): number;
}

const ways: Record<'single-label' | 'regression', Way> = {
  'single-label': {
    loss: (logits_NC, targets) => {
      const ids = Tensor.from(BigInt64Array.from(targets, BigInt), [targets.length], { device: logits_NC.device });
      return logits_NC.crossEntropy(ids, 'mean');
    },
    predict: (logits) => logits.indexOf(Math.max(...logits)),
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
  },
};

/**
 * Texts of which each has one label, learned by cross-entropy, or a value, learned by squared error: from the state of the first token.
 * `written` says how a prediction stands in a file.
 */
export function textKind(
  head: LabelHead & { kind: keyof typeof ways },
  { metrics: names, written }: { metrics: readonly MetricName[]; written: (prediction: number) => string },
): Kind<TextExample, EncodedTexts, number> {
  const way = ways[head.kind];
  const targetsOf = (examples: readonly EncodedTexts[]) => examples.map(({ target }) => target!);
  return {
    head,
    async encode(examples, tokenizer, maxLength) {
      const texts = examples.map((example) => example.texts);
      const sequences = await encodeTexts(texts, tokenizer, maxLength);
      return examples.map(({ target }, i) => ({ sequences: [sequences[i]!], target }));
    },
    numOutputs: () => 1,
    outputs: (model, hidden_NTD, _, pass) => model.classLogits!(hidden_NTD, pass).to('float32'),
    loss: (logits_NC, examples) => way.loss(logits_NC, targetsOf(examples)),
    predict: (logits) => way.predict(logits),
    hasTarget: ({ target }) => target !== undefined,
    scores(predictions, examples) {
      const right = targetsOf(examples);
      return Object.fromEntries(names.map((name) => [name, metrics[name](predictions, right)]));
    },
    ...(head.kind === 'single-label' && {
      details(predictions: readonly number[], examples: readonly EncodedTexts[]) {
        const counts = confusion(head.labels.length, predictions, targetsOf(examples));
        const rows = counts.map((row, i) => [head.labels[i]!, ...row.map(String)]);
        return { name: 'confusion', json: counts, rows: [['right \\ predicted', ...head.labels], ...rows] };
      },
    }),
    written: (predictions) => ({ ending: '.tsv', text: predictionsTsv(predictions.map(written)) }),
  };
}
