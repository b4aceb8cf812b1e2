import type { Config } from '../config/index.ts';
import type { MicroBatch } from '../data/index.ts';
import { type StepShape, shallow } from '../depth/index.ts';
import { initialise } from '../model/index.ts';
import { scope, setNumThreads } from '../tensor/index.ts';
import { trainingState } from './state.ts';
import { trainStep } from './step.ts';

/** A step's time as a line: `once + microBatches · (microBatch + depth · block)`, in seconds. */
export interface StepTimes {
  /** What a step takes beside its micro-batches; 0 where a step is one micro-batch and the two cannot be told apart. */
  once: number;
  /** A micro-batch without its blocks: embeddings, heads, and the update where a step is one micro-batch. */
  microBatch: number;
  /** One block of one micro-batch, forward and backward, with its update where a step is one micro-batch. */
  block: number;
}

/** Rounds, one step of each kind, that go before and are not counted; then as many as fit into the time, within bounds. */
const [numWarmup, minRounds, maxRounds, maxSeconds] = [1, 3, 60, 25];

/**
 * Times optimizer steps of a configuration on this machine, on random tokens in full sequences: with every block on, with
 * the lower half of them, and, where a step has several micro-batches, with one and with two of them, in turn for about
 * half a minute. Means, since a run meets the machine's slow moments as well.
 */
export function measureSteps(config: Config, shape: StepShape): StepTimes {
  const { model, train } = config;
  if (train.threads > 0) setNumThreads(train.threads);
  return scope(() => {
    const base = trainingState(config, initialise(model, train.seed, train.device));
    const microBatches = train.batchSize / train.microBatchSize;
    const half = Math.floor(model.layers / 2);
    const share = {
      sequences: shape.sequences / microBatches,
      predictedTokens: Math.round(shape.predictedTokens / microBatches),
    };
    const batch = randomBatch({ ...shape, ...share });
    const seconds = (blocks: number, numBatches: number) => {
      const state = { ...base, depth: shallow({ layers: model.layers, blocks }) };
      const started = performance.now();
      trainStep(state, 0, new Array<MicroBatch>(numBatches).fill(batch));
      return (performance.now() - started) / 1000;
    };
    const kinds = [
      () => seconds(model.layers, 1),
      () => seconds(half, 1),
      ...(microBatches > 1 ? [() => seconds(model.layers, 2)] : []),
    ];
    const measured = kinds.map((): number[] => []);
    for (let round = 0; round < numWarmup; round++) for (const kind of kinds) kind();
    const end = performance.now() + 1000 * maxSeconds;
    for (let round = 0; round < minRounds || (round < maxRounds && performance.now() < end); round++) {
      kinds.forEach((kind, i) => {
        measured[i]!.push(kind());
      });
    }
    const [whole, halved, twice] = measured.map(mean);
    const block = (whole! - halved!) / (model.layers - half);
    const repeated = twice === undefined ? whole! : twice - whole!;
    return { once: whole! - repeated, microBatch: repeated - model.layers * block, block };
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** A micro-batch of random tokens in full sequences; `predictedTokens` of them are to be predicted. */
export function randomBatch(shape: StepShape): MicroBatch {
  const { sequences: N, sequenceLength: T, vocabSize, predictedTokens, objective } = shape;
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
    lengths: new Int32Array(N).fill(T),
    predictedPositions: shuffled.slice(0, predictedTokens).sort(),
    labels: random(predictedTokens, vocabSize),
    ...(objective === 'mlm+nsp' && { nextSentenceLabels: random(N, 2) }),
  };
}
