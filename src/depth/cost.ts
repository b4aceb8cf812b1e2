import type { Granularity } from './gates.ts';
import { type DepthMethod, expectedDepth } from './method.ts';

/**
 * What the cost of one optimizer step depends on; a multiply and an add are two FLOPs.
 * Legend: L blocks, D model width, F feed-forward width, V vocabulary, T positions, N sequences, M predicted tokens.
 * The number of heads is not here: it does not change the size of the matrix products.
 */
export interface StepShape {
  /** L */
  layers: number;
  /** D */
  hiddenSize: number;
  /** F */
  ffnSize: number;
  /** V */
  vocabSize: number;
  /** Rows of the position table: they cost the optimizer something, and nothing else. */
  maxPositions: number;
  /** T, of each sequence */
  sequenceLength: number;
  /** N, of the whole optimizer step: all its micro-batches and ranks */
  sequences: number;
  /** M, of the whole optimizer step, masked or each next one; a mean will do */
  predictedTokens: number;
  /** What is learnt: BERT's masked tokens, with next sentences or without, or GPT's next tokens. */
  objective: 'mlm+nsp' | 'mlm' | 'clm';
  /** Element-wise operations of the optimizer on one parameter: AdamW's are 14. */
  optimizerOperations: number;
}

/** What a run will cost under a depth method, in the mean over its gates. */
export interface PlannedCost {
  /** The mean number of blocks that run in a micro-batch. */
  meanDepth: number;
  /** The mean number of blocks that a step updates: those that run in one of its micro-batches. */
  meanUpdated: number;
  meanTheta: number;
  /** The fraction of the blocks' FLOPs that is not spent: `1 − meanDepth/L`. */
  blockFlopsSaved: number;
  /** The fraction of the whole step's FLOPs that is not spent. */
  stepFlopsSaved: number;
  /** FLOPs of the whole run with every block on. */
  denseFlops: number;
  /** FLOPs of the whole run under the method. */
  expectedFlops: number;
}

/** A backward pass has two matrix products (for the input and for the weight) for each one of the forward pass. */
const forwardAndBackward = 3;

/**
 * FLOPs of one block's matrix products, forward and backward, over all N sequences:
 * `3·N·(8·T·D² + 4·T²·D + 4·T·D·F)`: four projections; scores and their weighted sum; two feed-forward layers.
 */
export function blockFlops(shape: StepShape): number {
  const { hiddenSize: D, ffnSize: F, sequenceLength: T, sequences: N } = shape;
  return forwardAndBackward * N * (8 * T * D * D + 4 * T * T * D + 4 * T * D * F);
}

/** Parameters of one block: four projections, the feed-forward layers and two layer norms, biases included. */
export function blockParameters({ hiddenSize: D, ffnSize: F }: StepShape): number {
  return 4 * D * D + 4 * D + (2 * D * F + F + D) + 4 * D;
}

/**
 * Parameters outside the blocks that a step updates: embeddings and their (or the final) norm; of BERT also its token types,
 * the MLM head with a tied decoder, pooler and next-sentence head.
 */
function otherParameters({ hiddenSize: D, vocabSize: V, maxPositions, objective }: StepShape): number {
  const embeddings = (V + maxPositions) * D + 2 * D;
  if (objective === 'clm') return embeddings;
  const mlmHead = D * D + D + 2 * D + V;
  const nspHead = objective === 'mlm+nsp' ? D * D + D + 2 * D + 2 : 0;
  return embeddings + 2 * D + mlmHead + nspHead;
}

/** Parameters of the whole model with all pre-training heads, trained or not: 110,106,428 for BERT-base. */
export function parameterCount(shape: StepShape): number {
  const objective = shape.objective === 'clm' ? 'clm' : 'mlm+nsp';
  return shape.layers * blockParameters(shape) + otherParameters({ ...shape, objective });
}

/**
 * FLOPs of the heads' matrix products, forward and backward: `3·2·M·D·V` for the predicted tokens, `3·2·M·D²` for what
 * BERT has before that and, with NSP, `3·(2·N·D² + 4·N·D)`.
 */
function headFlops({ hiddenSize: D, vocabSize: V, sequences: N, predictedTokens: M, objective }: StepShape): number {
  const output = 2 * M * D * V;
  const transform = objective === 'clm' ? 0 : 2 * M * D * D;
  const pair = objective === 'mlm+nsp' ? 2 * N * D * D + 4 * N * D : 0;
  return forwardAndBackward * (output + transform + pair);
}

/**
 * FLOPs of one optimizer step when `depth` blocks run on average over its micro-batches: blocks, heads, and the
 * optimizer's element-wise operations on each parameter that it updates. Embeddings are look-ups: no products.
 * `updatedBlocks` is the number of blocks that ran in at least one micro-batch; the others are not updated. With one
 * micro-batch a step that is `depth`, its default.
 */
export function stepFlops(shape: StepShape, depth: number, updatedBlocks = depth): number {
  const updated = updatedBlocks * blockParameters(shape) + otherParameters(shape);
  return depth * blockFlops(shape) + headFlops(shape) + shape.optimizerOperations * updated;
}

/** How gates are drawn in a step: one draw a micro-batch. */
export interface Draws {
  microBatches?: number;
  granularity?: Granularity;
}

/**
 * What a run of `totalSteps` costs in the mean under a depth method. A block is updated when some micro-batch runs it:
 * with probability `1 − (1 − r)^microBatches`, r = p_l, or `min(1, p_l·n)` where each of the n sequences of a micro-batch
 * has a gate of its own.
 */
export function plannedCost(
  method: DepthMethod,
  totalSteps: number,
  shape: StepShape,
  { microBatches = 1, granularity = 'batch' }: Draws = {},
): PlannedCost {
  const sequences = granularity === 'sequence' ? shape.sequences / microBatches : 1;
  const updatedShare = (keepRate: number) => 1 - (1 - Math.min(1, keepRate * sequences)) ** microBatches;
  let depthSum = 0;
  let updatedSum = 0;
  let thetaSum = 0;
  let expectedFlops = 0;
  for (let step = 0; step < totalSteps; step++) {
    const { theta, keepRates } = method(step);
    const depth = expectedDepth(keepRates);
    depthSum += depth;
    thetaSum += theta;
    const updated = expectedDepth(keepRates.map(updatedShare));
    updatedSum += updated;
    expectedFlops += stepFlops(shape, depth, updated);
  }
  const denseFlops = totalSteps * stepFlops(shape, shape.layers);
  const meanDepth = depthSum / totalSteps;
  return {
    meanDepth,
    meanUpdated: updatedSum / totalSteps,
    meanTheta: thetaSum / totalSteps,
    blockFlopsSaved: 1 - meanDepth / shape.layers,
    stepFlopsSaved: 1 - expectedFlops / denseFlops,
    denseFlops,
    expectedFlops,
  };
}
