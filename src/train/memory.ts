import { type Config, phasesOf, type StepConfig } from '../config/index.ts';
import { greatestDivisor, valuesOf } from '../config/phases.ts';
import { drawsGates, granularities, mostBlocks } from '../depth/index.ts';
import { numParameters, parameterSpecs } from '../model/index.ts';
import { optimizers, slotsOf } from '../optimizers/index.ts';
import { workOf } from './work.ts';

/** The peak memory of training in one process, in bytes, calculated from the shapes. */
export interface MemoryEstimate {
  /** Weights, gradients, moments, and copies of the weights in the compute precision. */
  model: number;
  /** What a micro-batch through all blocks keeps for its backward pass, and the backward pass itself. */
  activations: number;
  /** The token ids of this step's batch and of the next one's, on the host. */
  batches: number;
  /** Node.js, libtorch and the tokenizer, on the host. */
  program: number;
  /** On the CPU, the sum of all; on a GPU, what the GPU holds. */
  total: number;
}

/** Measured with a model of two blocks and hidden size 64. */
const programBytes = 310e6;
const floatBytes = 4;
/** From this many rows, bfloat16 products repack their weights, once for each direction. */
const rowsLaidOut = 512;
/** Rows of logits computed at a time. */
const logitRows = 1024;
/** Memory blocks are rounded up by at most one eighth. */
const rounding = 1.06;

/**
 * Estimates the peak memory of training with a configuration, in its largest steps, for one of `ranks` processes; within 30 % of
 * the measured values (docs/results/memory-estimate.md). Attention weights and dropout masks are not included: they are never
 * stored.
 */
export function estimateMemory(config: Config, ranks = 1): MemoryEstimate {
  const estimates = phasesOf(config).map((phase) => stepMemory(phase.config, ranks));
  return estimates.reduce((most, other) => (other.total > most.total ? other : most));
}

function stepMemory(config: StepConfig, ranks: number): MemoryEstimate {
  const { model, data, depth, train } = config;
  const { hiddenSize: D, ffnSize: F, vocabSize: V, heads: H, norm } = model;
  const { predictedTokens } = workOf(config);
  const L = mostBlocks(depth, model.layers, train.steps);
  const specs = parameterSpecs(model);
  const parameters = numParameters(specs);
  const outputLayer = V * D;
  const tokens = Math.ceil(train.microBatchSize / ranks) * data.sequenceLength;
  const predicted = (tokens / (train.batchSize * data.sequenceLength)) * predictedTokens;
  const isHalf = train.precision !== 'fp32';
  const b = isHalf ? 2 : floatBytes;
  const isDivided = train.microBatchSize < train.batchSize || ranks > 1;

  const { temporaries } = optimizers[train.optimizer];
  const slotsOfAll = specs.reduce(
    (sum, spec) => sum + slotsOf(train.optimizer, spec).length * numParameters([spec]),
    0,
  );
  const remembered = (floatBytes * slotsOfAll) / (train.shardOptimizer ? ranks : 1);
  // A micro-batch's own besides the sums; those of the word embeddings twice: as output layer and as input.
  const gradients = floatBytes * (parameters * (isDivided ? 2 : 1) + outputLayer);
  const copies = isHalf ? b * parameters * (train.device === 'cpu' && tokens >= rowsLaidOut ? 3 : 1) : 0;
  const updates = temporaries * floatBytes * outputLayer;

  // Per token. Everything that the forward pass computes is kept: norm, q, k and v, context, projection, norm, the two
  // feed-forward layers and GELU in the compute precision; the residual stream and its gradient in float32.
  const rows = drawsGates(depth) && granularities[depth.granularity].isPerSequence ? 3 : 0;
  const block = b * (8 * D + 2 * F) + floatBytes * (D * (3 + rows + (norm === 'post' ? 2 : 0)) + H + 4);
  const embeddings = floatBytes * 5 * D;
  const aroundBlocks = floatBytes * 4 * D;
  const backward = b * (2 * F + 2 * D) + floatBytes * 2 * D;
  const head = b * 6 * D + floatBytes * D;
  const logits = Math.min(predicted, logitRows) * V * (floatBytes + (isHalf ? b : 0));
  const perToken = L * block + embeddings + aroundBlocks + backward;

  const rest = {
    model: rounding * (floatBytes * parameters + remembered + gradients + copies + updates),
    activations: rounding * (tokens * perToken + predicted * head + logits),
    batches: 2 * (train.batchSize / ranks) * (8 * data.sequenceLength + (8 * predictedTokens) / train.batchSize),
    program: programBytes,
  };
  const onHost = train.device === 'cpu' ? rest.batches + rest.program : 0;
  return { ...rest, total: rest.model + rest.activations + onHost };
}

/**
 * The largest micro-batch with which each of `ranks` processes fits into `bytes`: a divisor of every batch, smaller than the
 * current one, and at least one sequence per rank; undefined if there is none.
 */
export function fittingMicroBatch(config: Config, bytes: number, ranks = 1): number | undefined {
  const { microBatchSize } = config.train;
  return fittingMicroBatches(config, bytes, ranks).find((size) => size < microBatchSize);
}

/** All micro-batch sizes that divide every batch, give each rank a sequence and fit into `bytes`, largest first. */
export function fittingMicroBatches(config: Config, bytes: number, ranks = 1): number[] {
  const { batchSize } = config.train;
  const largest = greatestDivisor(valuesOf(batchSize));
  const sizes: number[] = [];
  for (let count = 1; count * count <= largest; count++) {
    if (largest % count === 0) sizes.push(count, largest / count);
  }
  const fits = (size: number) =>
    estimateMemory({ ...config, train: { ...config.train, microBatchSize: size } }, ranks).total <= bytes;
  return [...new Set(sizes)].filter((size) => size >= ranks && fits(size)).sort((x, y) => y - x);
}
