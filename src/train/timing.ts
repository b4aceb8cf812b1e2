import type { StepConfig } from '../config/index.ts';
import { type MicroBatch, objectives } from '../data/index.ts';
import { constant, type DepthMethod, dense, granularities, shallow } from '../depth/index.ts';
import { initialise } from '../model/index.ts';
import { scope, setNumThreads, synchronize } from '../tensor/index.ts';
import { prepareDevice } from './device.ts';
import { trainingState } from './state.ts';
import { trainStep } from './step.ts';
import { workOf } from './work.ts';

/**
 * A step's time, in seconds: `once + updated·update + microBatches·(microBatch + depth·block)`, with `depth` blocks per
 * micro-batch and `updated` of them in the step. If a step is one micro-batch, or every block is updated in each step because
 * each sequence has its own gates, some parts cannot be separated and are included in others.
 */
export interface StepTimes {
  /** A step apart from its micro-batches and its blocks' updates; 0 if a step is one micro-batch. */
  once: number;
  /** The update of one block; 0 if a step is one micro-batch: `block` then includes it. */
  update: number;
  /** A micro-batch without its blocks: embeddings and heads; includes `once` if a step is one micro-batch. */
  microBatch: number;
  /** One block of one micro-batch, forward and backward. */
  block: number;
}

/** The seconds of a step with `depth` blocks per micro-batch and `updated` of them in the step, by the formula of `StepTimes`. */
export function stepSeconds(
  { once, update, microBatch, block }: StepTimes,
  { depth, updated, microBatches }: { depth: number; updated: number; microBatches: number },
): number {
  return once + updated * update + microBatches * (microBatch + depth * block);
}

/** Step times: with all blocks and with `half` of them, for one micro-batch and, if a step has more, for two. */
interface MeasuredSteps {
  whole: number;
  halved: number;
  wholeTwice?: number;
  halvedTwice?: number;
}

/** Fits the parts to such times. `isAlwaysUpdated`: halved steps update all blocks too. */
export function fitStepTimes(
  measured: MeasuredSteps,
  layers: number,
  half: number,
  isAlwaysUpdated: boolean,
): StepTimes {
  const { whole, halved, wholeTwice, halvedTwice } = measured;
  const byDepth = (whole - halved) / (layers - half);
  if (wholeTwice === undefined || halvedTwice === undefined) {
    return { once: 0, update: 0, microBatch: whole - layers * byDepth, block: byDepth };
  }
  const repeated = wholeTwice - whole;
  const block = (repeated - (halvedTwice - halved)) / (layers - half);
  const update = isAlwaysUpdated ? 0 : byDepth - block;
  return { once: whole - repeated - layers * update, update, microBatch: repeated - layers * block, block };
}

/** A round is one step of each kind. Warm-up rounds are not counted; then come as many as fit into the time, within bounds. */
const [numWarmup, minRounds, maxRounds, maxSeconds] = [1, 3, 60, 25];

/**
 * Times optimizer steps of a configuration on this machine, on random tokens in full sequences: dense, with half of the blocks
 * (or of the sequences, if each has its own gates), and, if a step has several micro-batches, with one and with two of them, in
 * turn for about half a minute. Takes means, because a run meets the machine's slow moments as well.
 *
 * @throws ConfigError for a missing device.
 */
export function measureSteps(config: StepConfig): StepTimes {
  const { depth, model, train } = config;
  prepareDevice(train, undefined);
  setNumThreads(train.threads);
  return scope(() => {
    const base = trainingState(config, initialise(model, train.seed, train.device));
    const microBatches = train.batchSize / train.microBatchSize;
    const { layers } = model;
    const bySequence = granularities[depth.granularity].isPerSequence;
    const half = bySequence ? layers / 2 : Math.floor(layers / 2);
    const halvedDepth = bySequence
      ? constant({ layers, thetaBar: 0.5, profile: 'uniform' })
      : shallow({ layers, blocks: half });
    const batch = randomBatchOf(config, train.microBatchSize);
    const seconds = (method: DepthMethod, numBatches: number) => {
      const started = performance.now();
      trainStep({ ...base, depth: method }, 0, new Array<MicroBatch>(numBatches).fill(batch));
      synchronize(train.device);
      return (performance.now() - started) / 1000;
    };
    const everyBlock = dense(layers);
    const kinds = {
      whole: () => seconds(everyBlock, 1),
      halved: () => seconds(halvedDepth, 1),
      ...(microBatches > 1 && {
        wholeTwice: () => seconds(everyBlock, 2),
        halvedTwice: () => seconds(halvedDepth, 2),
      }),
    };
    const sums = new Map(Object.keys(kinds).map((name) => [name, 0]));
    for (let round = 0; round < numWarmup; round++) for (const kind of Object.values(kinds)) kind();
    const end = performance.now() + 1000 * maxSeconds;
    let rounds = 0;
    for (; rounds < minRounds || (rounds < maxRounds && performance.now() < end); rounds++) {
      for (const [name, kind] of Object.entries(kinds)) sums.set(name, sums.get(name)! + kind());
    }
    const means = Object.fromEntries(Array.from(sums, ([name, sum]) => [name, sum / rounds]));
    return fitStepTimes(means as unknown as MeasuredSteps, layers, half, bySequence);
  });
}

/** How often each size is timed; the fastest counts. */
const numTimed = 2;

/**
 * The seconds of a dense step with each of these micro-batch sizes. Steps of one and of two micro-batches are timed; every
 * further micro-batch is assumed to take as long as the second.
 *
 * @throws ConfigError for a missing device.
 */
export function timeMicroBatches(config: StepConfig, sizes: readonly number[]): Map<number, number> {
  const { model, train } = config;
  prepareDevice(train, undefined);
  setNumThreads(train.threads);
  return scope(() => {
    const base = trainingState(config, initialise(model, train.seed, train.device));
    const state = { ...base, depth: dense(model.layers) };
    const seconds = (size: number, count: number) => {
      const batches = new Array<MicroBatch>(count).fill(randomBatchOf(config, size));
      const started = performance.now();
      trainStep(state, 0, batches);
      synchronize(train.device);
      return (performance.now() - started) / 1000;
    };
    const fastest = (size: number, count: number) =>
      Math.min(...Array.from({ length: numTimed }, () => seconds(size, count)));
    seconds(Math.min(...sizes), 2); // the first step allocates memory
    return new Map(
      sizes.map((size) => {
        const count = train.batchSize / size;
        const one = fastest(size, 1);
        if (count === 1) return [size, one];
        const further = Math.max(0, fastest(size, 2) - one); // on a busy machine two may seem faster than one
        return [size, one + (count - 1) * further];
      }),
    );
  });
}

/** Random tokens in a micro-batch of a configuration. */
function randomBatchOf(config: StepConfig, sequences: number): MicroBatch {
  const { data, model, train } = config;
  return randomBatch({
    sequences,
    sequenceLength: data.sequenceLength,
    vocabSize: model.vocabSize,
    predictedTokens: Math.round((workOf(config).predictedTokens * sequences) / train.batchSize),
    hasPairs: objectives[data.objective].hasPairs,
  });
}

/** The sizes of a batch. */
export interface BatchShape {
  sequences: number;
  sequenceLength: number;
  vocabSize: number;
  /** In the whole batch. */
  predictedTokens: number;
  /** Whether it has next-sentence labels. */
  hasPairs: boolean;
}

/** A micro-batch of random tokens in full sequences; `predictedTokens` of them are predicted. */
export function randomBatch(shape: BatchShape): MicroBatch {
  const { sequences: N, sequenceLength: T, vocabSize, predictedTokens, hasPairs } = shape;
  const random = (length: number, below: number) =>
    Int32Array.from({ length }, () => Math.floor(Math.random() * below));
  const shuffled = Int32Array.from({ length: N * T }, (_, i) => i);
  for (let i = 0; i < predictedTokens; i++) {
    const j = i + Math.floor(Math.random() * (N * T - i));
    [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
  }
  return {
    numSequences: N,
    sequenceLength: T,
    inputIds: random(N * T, vocabSize),
    tokenTypeIds: Int32Array.from({ length: N * T }, (_, i) => (i % T < T / 2 ? 0 : 1)),
    documents: Array.from({ length: N }, () => [T]),
    predictedPositions: shuffled.slice(0, predictedTokens).sort(),
    labels: random(predictedTokens, vocabSize),
    ...(hasPairs && { nextSentenceLabels: random(N, 2) }),
  };
}
