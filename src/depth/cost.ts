import { type Granularity, granularities } from './gates.ts';
import type { DepthMethod } from './method.ts';
import { expectedDepth } from './state.ts';

/** FLOPs of the matrix products of a forward pass, from the model's shapes; a multiply-add counts as two FLOPs. */
export interface ForwardFlops {
  /** One block on one sequence. */
  block: number;
  /** The output layer, with the layers of its head, for one predicted token. */
  output: number;
  /** The head for sentence pairs, for one sequence; 0 if there is none. */
  pair: number;
}

/** The work of one optimizer step, over all its micro-batches and ranks. */
export interface StepWork {
  /** L */
  layers: number;
  /** N */
  sequences: number;
  /** M, masked or next tokens; may be a mean. */
  predictedTokens: number;
  forwardFlops: ForwardFlops;
  /** FLOPs of the optimizer: for the parameters of one block, and for those outside the blocks. */
  updateFlops: { block: number; outer: number };
}

/** The expected cost of a run under a depth method, averaged over its gates. */
export interface PlannedCost {
  /** The mean number of blocks that run in a micro-batch. */
  meanDepth: number;
  /** The mean number of blocks that a step updates: those that run in at least one of its micro-batches. */
  meanUpdated: number;
  meanTheta: number;
  /** The fraction of the blocks' FLOPs that is saved: `1 − meanDepth/L` if all steps have the same work. */
  blockFlopsSaved: number;
  /** The fraction of all FLOPs of the steps that is saved. */
  stepFlopsSaved: number;
  /** FLOPs of the whole run if it were dense. */
  denseFlops: number;
  /** FLOPs of the whole run under the method. */
  expectedFlops: number;
}

/** The backward pass has two matrix products (for the input and for the weight) per product of the forward pass. */
const forwardAndBackward = 3;

/**
 * FLOPs of one optimizer step when `depth` blocks run on average over its micro-batches: matrix products of blocks and heads,
 * forward and backward, and the optimizer's operations on each parameter that it updates. Embeddings are
 * look-ups without products. `updatedBlocks` is the number of blocks that ran in at least one micro-batch; the others are not
 * updated. With one micro-batch per step it equals `depth`, its default.
 */
export function stepFlops(work: StepWork, depth: number, updatedBlocks = depth): number {
  const { sequences, predictedTokens, forwardFlops, updateFlops } = work;
  const { block, output, pair } = forwardFlops;
  const products = sequences * (depth * block + pair) + predictedTokens * output;
  return forwardAndBackward * products + updatedBlocks * updateFlops.block + updateFlops.outer;
}

/** How gates are drawn in a step: once per micro-batch. */
export interface Draws {
  /** Sequences per micro-batch; by default all of a step's. */
  microBatchSize?: number;
  granularity?: Granularity;
}

/**
 * The expected cost of a run of `totalSteps` under a depth method, with the work of each step. A block is updated if at least one
 * micro-batch runs it: with probability `1 − (1 − r)^microBatches`, where r = p_l, or r = `min(1, p_l·n)` if each of the n sequences of a
 * micro-batch has its own gate. With `exact` gates the true probability is slightly higher, since the micro-batches of a step share the rounding.
 *
 * @throws RangeError for fewer than one step.
 */
export function plannedCost(
  method: DepthMethod,
  totalSteps: number,
  workAt: (step: number) => StepWork,
  { microBatchSize, granularity = 'batch' }: Draws = {},
): PlannedCost {
  if (!(totalSteps >= 1))
    throw new RangeError(`totalSteps: ${totalSteps} is not a number ≥ 1; give the steps of the run`);
  const updatedShare = (keepRate: number, { sequences }: StepWork) => {
    const size = microBatchSize ?? sequences;
    return (
      1 - (1 - Math.min(1, granularities[granularity].isPerSequence ? keepRate * size : keepRate)) ** (sequences / size)
    );
  };
  let depthSum = 0;
  let blockFlops = 0;
  let denseBlockFlops = 0;
  let updatedSum = 0;
  let thetaSum = 0;
  let expectedFlops = 0;
  let denseFlops = 0;
  for (let step = 0; step < totalSteps; step++) {
    const { theta, keepRates } = method(step);
    const work = workAt(step);
    const depth = expectedDepth(keepRates);
    depthSum += depth;
    const ofOneBlock = work.sequences * work.forwardFlops.block;
    blockFlops += depth * ofOneBlock;
    denseBlockFlops += work.layers * ofOneBlock;
    thetaSum += theta;
    const updated = expectedDepth(keepRates.map((keepRate) => updatedShare(keepRate, work)));
    updatedSum += updated;
    expectedFlops += stepFlops(work, depth, updated);
    denseFlops += stepFlops(work, work.layers);
  }
  return {
    meanDepth: depthSum / totalSteps,
    meanUpdated: updatedSum / totalSteps,
    meanTheta: thetaSum / totalSteps,
    blockFlopsSaved: 1 - blockFlops / denseBlockFlops,
    stepFlopsSaved: 1 - expectedFlops / denseFlops,
    denseFlops,
    expectedFlops,
  };
}
