import type { Config } from '../config/index.ts';
import type { MicroBatch } from '../data/index.ts';
import { type DepthMethod, drawGates, drawSeed, openShare, Stream } from '../depth/index.ts';
import { type ParameterSpec, type Pass, placesPerBlock, type Transformer, type Weights } from '../model/index.ts';
import { scope, type Tensor } from '../tensor/index.ts';
import type { LearningRate } from './learning-rate.ts';
import { pretrainingLosses } from './objective.ts';
import { type OptimizerState, updateParameters } from './optimizer.ts';

/** Everything that an optimizer step reads and changes. */
export interface TrainingState {
  readonly config: Config;
  readonly specs: readonly ParameterSpec[];
  /** float32 */
  readonly masters: Weights;
  /** The model over them. */
  readonly model: Transformer;
  readonly optimizer: OptimizerState;
  readonly depth: DepthMethod;
  readonly learningRate: LearningRate;
}

/** What one optimizer step did. */
export interface StepResult {
  /** tokenLoss + nspLoss */
  loss: number;
  /** Mean over the predicted tokens of the step, in nats. */
  tokenLoss: number;
  /** Mean over the sequences of the step; undefined without next-sentence prediction. */
  nspLoss: number | undefined;
  learningRate: number;
  /** Before clipping. */
  gradientNorm: number;
  theta: number;
  keepRates: readonly number[];
  /** The mean number of blocks that ran in a micro-batch; a block that ran on half its sequences counts one half. */
  depth: number;
  /** The number of blocks that ran in at least one micro-batch. */
  updatedBlocks: number;
  predictedTokens: number;
  /** False when the loss or the gradient was not finite: then nothing was changed. */
  applied: boolean;
}

/**
 * One optimizer step (counted from 0) over its micro-batches. The loss is summed over the predicted tokens of all
 * micro-batches and divided by their number, next-sentence loss likewise by sequences, so the result does not depend on
 * how the batch is cut. A block that no micro-batch ran has no gradient: clipping does not see it, and its weights,
 * moments and decay stay as they are.
 */
export function trainStep(state: TrainingState, step: number, microBatches: readonly MicroBatch[]): StepResult {
  const { config, depth } = state;
  const { theta, keepRates, branchScales } = depth(step);
  const { seed } = config.train;
  const passes = microBatches.map(({ numSequences: sequences }, microBatch): Pass => {
    const gates = drawGates({ seed, step, microBatch, keepRates, granularity: config.depth.granularity, sequences });
    return { gates, branchScales, dropoutSeed: dropoutSeeds(seed, step, microBatch) };
  });
  const { gradients, tokenLoss, nspLoss } = accumulate(state, microBatches, passes);

  const loss = tokenLoss + (nspLoss ?? 0);
  const learningRate = state.learningRate(step);
  const { gradientNorm, applied } = updateParameters(config.train, state, gradients, { loss, learningRate });

  const blocksRun = passes.map(({ gates }, i) =>
    gates.reduce((sum, gate) => sum + openShare(gate, microBatches[i]!.numSequences), 0),
  );
  return {
    loss,
    tokenLoss,
    nspLoss,
    learningRate,
    gradientNorm,
    theta,
    keepRates,
    depth: blocksRun.reduce((a, b) => a + b, 0) / blocksRun.length,
    updatedBlocks: keepRates.filter((_, l) => passes.some((pass) => pass.gates[l] !== false)).length,
    predictedTokens: countPredicted(microBatches),
    applied,
  };
}

/** Forward and backward over the micro-batches: the mean losses, and the float32 gradient of each master weight that has one. */
function accumulate(state: TrainingState, microBatches: readonly MicroBatch[], passes: readonly Pass[]) {
  const { model, config, masters } = state;
  const predictedTokens = countPredicted(microBatches);
  const sequences = microBatches.reduce((sum, batch) => sum + batch.numSequences, 0);
  const names = [...masters.keys()];
  const leaves = [...masters.values()];
  const gradients = new Map<string, Tensor>();
  let tokenLoss = 0;
  let nspLoss: number | undefined;
  microBatches.forEach((batch, i) => {
    const added = scope(() => {
      const { tokenSum, nspSum } = pretrainingLosses(model, batch, config.train.device, passes[i]);
      const token = tokenSum.mul(1 / Math.max(1, predictedTokens));
      const nsp = nspSum?.mul(1 / sequences);
      tokenLoss += token.item();
      if (nsp) nspLoss = (nspLoss ?? 0) + nsp.item();
      const fresh = new Map<string, Tensor>();
      (nsp ? token.add(nsp) : token).grad(leaves).forEach((gradient, leaf) => {
        if (gradient === undefined) return;
        const name = names[leaf]!;
        const sum = gradients.get(name);
        if (sum) sum.add_(gradient);
        else fresh.set(name, gradient);
      });
      return fresh;
    });
    for (const [name, gradient] of added) gradients.set(name, gradient);
  });
  return { gradients, tokenLoss, nspLoss };
}

function countPredicted(microBatches: readonly MicroBatch[]): number {
  return microBatches.reduce((sum, batch) => sum + batch.predictedPositions.length, 0);
}

/** A dropout seed for each place in the model: a pure function of (seed, step, micro-batch, block, place). */
export function dropoutSeeds(seed: number, step: number, microBatch: number): NonNullable<Pass['dropoutSeed']> {
  return (block, place) => drawSeed([step, microBatch, block * placesPerBlock + place, Stream.dropout], seed);
}
