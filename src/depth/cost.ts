import { type Granularity, granularities } from './gates.ts';
import type { DepthMethod } from './method.ts';
import { expectedDepth } from './state.ts';

/** FLOPs of a forward pass's matrix products, which follow from a model's shapes; a multiply and an add are two FLOPs. */
export interface ForwardFlops {
  /** One block on one sequence. */
  block: number;
  /** The output layer, with what stands before it, for one predicted token. */
  output: number;
  /** The head for sentence pairs, for one sequence; 0 where there is none. */
  pair: number;
}

/** The work of one optimizer step, over all its micro-batches and ranks. */
export interface StepWork {
  /** L */
  layers: number;
  /** N */
  sequences: number;
  /** M, masked or each next one; a mean will do. */
  predictedTokens: number;
  forwardFlops: ForwardFlops;
  /** FLOPs of the optimizer: on the parameters of one block, and on those outside the blocks. */
  updateFlops: { block: number; outer: number };
}

/** What a run will cost under a depth method, in the mean over its gates. */
export interface PlannedCost {
  /** The mean number of blocks that run in a micro-batch. */
  meanDepth: number;
  /** The mean number of blocks that a step updates: those that run in one of its micro-batches. */
  meanUpdated: number;
  meanTheta: number;
  /** The fraction of the blocks' FLOPs that is not spent: `1 − meanDepth/L` where all steps have the same work. */
  blockFlopsSaved: number;
  /** The fraction of the whole step's FLOPs that is not spent. */
  stepFlopsSaved: number;
  /** FLOPs of the whole run if it were dense. */
  denseFlops: number;
  /** FLOPs of the whole run under the method. */
  expectedFlops: number;
}

/** A backward pass has two matrix products (for the input and for the weight) for each one of the forward pass. */
const forwardAndBackward = 3;

/**
 * FLOPs of one optimizer step when `depth` blocks run on average over its micro-batches: matrix products of blocks and heads,
 * forward and backward, and the optimizer's operations on each parameter that it updates. Embeddings are
 * look-ups: no products. `updatedBlocks` is the number of blocks that ran in at least one micro-batch; the others are not
 * updated. With one micro-batch a step that is `depth`, its default.
 */
export function stepFlops(work: StepWork, depth: number, updatedBlocks = depth): number {
  const { sequences, predictedTokens, forwardFlops, updateFlops } = work;
  const { block, output, pair } = forwardFlops;
  const products = sequences * (depth * block + pair) + predictedTokens * output;
  return forwardAndBackward * products + updatedBlocks * updateFlops.block + updateFlops.outer;
}

/** How gates are drawn in a step: one draw per micro-batch. */
export interface Draws {
  /** Sequences in a micro-batch; all of a step's where nothing is said. */
  microBatchSize?: number;
  granularity?: Granularity;
}

/**
 * What a run of `totalSteps` costs in the mean under a depth method, with the work of each step. A block is updated when some micro-batch runs it:
 * with probability `1 − (1 − r)^microBatches`, r = p_l, or `min(1, p_l·n)` where each of the n sequences of a micro-batch
 * has a gate of its own. With `exact` gates it is a little more often: the micro-batches of a step share what is rounded.
 */
export function plannedCost(
  method: DepthMethod,
  totalSteps: number,
  workAt: (step: number) => StepWork,
  { microBatchSize, granularity = 'batch' }: Draws = {},
): PlannedCost {
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
