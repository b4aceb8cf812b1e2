import { batchOf } from '../data/batch.ts';
import type { TrainedModel } from '../inference/index.ts';
import { modelInputs, type Pass, type Transformer } from '../model/index.ts';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.ts';
import { partsOf, predictedTogether, sortedBatches } from './batches.ts';
import type { Encoded, Kind, Predicting } from './task.ts';

/** A model that predicts examples of one kind. */
export interface Predictor<E = unknown, X extends Encoded = Encoded, P = unknown> {
  model: Transformer;
  kind: Predicting<E, X, P>;
  padId: number;
  device: Device;
  /** Sequences per forward pass. */
  microBatchSize: number;
}

/** A trained model that predicts examples of one kind. */
export const predictorOf = <E, X extends Encoded, P>(
  { model, tokenizer, device }: TrainedModel,
  kind: Predicting<E, X, P>,
): Predictor<E, X, P> => ({ model, kind, padId: tokenizer.padId, device, microBatchSize: predictedTogether });

/** A model that learns examples of one kind. */
export interface Learner extends Predictor {
  kind: Kind;
}

/** The outputs that the loss of some examples is computed from, [M, C]. */
function outputsOf<X extends Encoded>(
  { model, kind, padId, device }: Predictor<unknown, X>,
  examples: readonly X[],
  pass?: Pass,
): Tensor {
  const sequences = examples.flatMap((example) => example.sequences);
  const batch = batchOf(sequences, { padId, maxPositions: model.config.maxPositions });
  return kind.outputs(model, model.encode(modelInputs(batch, device), pass), examples, pass);
}

/**
 * The mean loss of a batch and its gradient with respect to each weight that has one. A batch of more than one part is run twice:
 * first without gradients, for the outputs of all parts and the gradient of the loss with respect to them; then part by part,
 * with that gradient. Memory is therefore that of one part, even if the loss compares each example with all others. Each part has
 * its own dropout masks, the same in both passes.
 *
 * Source: Gao et al. 2021 (arXiv 2101.06983).
 */
export function lossAndGradients(
  learner: Learner,
  examples: readonly Encoded[],
  weights: ReadonlyMap<string, Tensor>,
  dropoutSeedOf: (part: number) => NonNullable<Pass['dropoutSeed']>,
): { loss: number; gradients: Map<string, Tensor> } {
  const { kind, model } = learner;
  const blocks = Array.from({ length: model.config.layers }, () => 1);
  const passOf = (part: number): Pass => ({
    gates: blocks.map(() => true),
    branchScales: blocks,
    dropoutSeed: dropoutSeedOf(part),
  });
  const names = [...weights.keys()];
  const gradientsOf = (loss: Tensor, gradient?: Tensor) =>
    loss
      .grad([...weights.values()], gradient)
      .flatMap((found, i): [string, Tensor][] => (found ? [[names[i]!, found]] : []));
  return scope(() => {
    const parts = partsOf(examples, learner.microBatchSize);
    if (parts.length === 1) {
      const loss = kind.loss(outputsOf(learner, examples, passOf(0)), examples);
      return { loss: loss.item(), gradients: new Map(gradientsOf(loss)) };
    }
    const lengths = parts.map((part) => part.reduce((sum, example) => sum + kind.numOutputs(example), 0));
    const run = (i: number) => outputsOf(learner, parts[i]!, passOf(i));
    const all = noGrad(() =>
      Tensor.cat(
        Array.from(parts, (_, i) => scope(() => run(i))),
        0,
      ),
    ).requiresGrad();
    const loss = kind.loss(all, examples);
    const [gradient] = loss.grad([all]);
    const sums = new Map<string, Tensor>();
    let start = 0;
    for (const [i, length] of lengths.entries()) {
      const own = gradient!.narrow(0, start, length);
      start += length;
      for (const [name, found] of scope(() => gradientsOf(run(i), own))) {
        const sum = sums.get(name);
        if (sum) {
          sum.add_(found);
          found.free();
        } else sums.set(name, found);
      }
    }
    return { loss: loss.item(), gradients: sums };
  });
}

/** The prediction for each example. */
export function predict<E, X extends Encoded, P>(predictor: Predictor<E, X, P>, examples: readonly X[]): P[] {
  const { kind } = predictor;
  const predictions = new Array<P>(examples.length);
  for (const batch of sortedBatches(examples, predictedTogether)) {
    const rowsOf = (i: number) => kind.numOutputs(examples[i]!);
    for (const part of partsOf(
      batch.map((i) => ({ ...examples[i]!, i })),
      predictor.microBatchSize,
    )) {
      const found = scope(() => noGrad(() => outputsOf(predictor, part)));
      const [columns, values] = [found.shape[1]!, found.toFloats()];
      found.free();
      let row = 0;
      for (const { i } of part) {
        const end = row + rowsOf(i);
        predictions[i] = kind.predict(values.subarray(row * columns, end * columns), examples[i]!);
        row = end;
      }
    }
  }
  return predictions;
}
