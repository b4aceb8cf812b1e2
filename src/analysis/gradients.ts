import type { MicroBatch } from '../data/index.ts';
import { familyOf, headLosses, modelInputs, type Transformer } from '../model/index.ts';
import { type Device, scope, type Tensor } from '../tensor/index.ts';

/** How the gradient of the loss flows through the blocks; lists go from the lowest block up. */
export interface GradientFlow {
  /** `‖∂L/∂W_l‖`, over all parameters of block l: L numbers. */
  parameterNorms: number[];
  /** `‖∂L/∂x_l‖` of the input of block l, and of the output of the last one: L + 1 numbers. */
  stateNorms: number[];
  /** `‖∂L/∂x_l‖ / ‖∂L/∂x_{l+1}‖`: 1 if block l preserves the gradient's norm. L numbers. */
  normRatios: number[];
}

/**
 * The norms of a model's gradients on some batches, as in the first figures of the PLD paper. L is the mean loss over the
 * predicted tokens of all batches, plus that over their sequences with next-sentence prediction; the model is dense, without
 * dropout. Norms are Euclidean.
 *
 * Source: Zhang and He 2020 (arXiv 2010.13369), section 3.
 */
export function gradientFlow(model: Transformer, batches: readonly MicroBatch[], device: Device): GradientFlow {
  const { layers } = model.config;
  const prefixes = Array.from({ length: layers }, (_, l) => familyOf(model.config).blockPrefix(model.config, l));
  const ofBlock = (name: string) => prefixes.findIndex((prefix) => name.startsWith(prefix));
  const all = [...model.weights.entries()];
  const inBlocks = all.filter(([name]) => ofBlock(name) >= 0);
  const predictedTokens = batches.reduce((sum, batch) => sum + batch.predictedPositions.length, 0);
  const sequences = batches.reduce((sum, batch) => sum + batch.numSequences, 0);
  const stateSquares = new Array<number>(layers + 1).fill(0);
  for (const [, weight] of all) weight.requiresGrad();
  try {
    return scope(() => {
      const sums: Tensor[] = [];
      for (const batch of batches) {
        const gradients = scope(() => {
          const stream = model.residualStream(modelInputs(batch, device));
          const { tokenSum, nspSum } = headLosses(model, model.finalNorm(stream.at(-1)!), batch);
          const token = tokenSum.mul(1 / predictedTokens);
          const loss = nspSum ? token.add(nspSum.mul(1 / sequences)) : token;
          const found = loss.grad([...stream, ...inBlocks.map(([, weight]) => weight)]).map((gradient) => gradient!);
          stream.forEach((_, l) => {
            stateSquares[l]! += found[l]!.norm().item() ** 2;
          });
          return found.slice(stream.length);
        });
        gradients.forEach((gradient, i) => {
          if (!sums[i]) sums.push(gradient);
          else {
            sums[i].add_(gradient);
            gradient.free();
          }
        });
      }
      const parameterSquares = new Array<number>(layers).fill(0);
      for (const [i, [name]] of inBlocks.entries()) parameterSquares[ofBlock(name)]! += sums[i]!.norm().item() ** 2;
      const stateNorms = stateSquares.map(Math.sqrt);
      return {
        parameterNorms: parameterSquares.map(Math.sqrt),
        stateNorms,
        normRatios: stateNorms.slice(1).map((above, l) => stateNorms[l]! / above),
      };
    });
  } finally {
    for (const [, weight] of all) weight.requiresGrad(false);
  }
}
