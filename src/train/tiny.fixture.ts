// For tests: a model and batches so small that a step takes milliseconds.
import { type Config, loadConfig, type PartialConfig } from '../config/index.ts';
import type { MicroBatch } from '../data/index.ts';
import type { DepthMethod } from '../depth/index.ts';
import { initialise } from '../model/index.ts';
import { drawSeed } from '../random/index.ts';
import { setNumThreads, type Tensor } from '../tensor/index.ts';
import { type TrainingState, trainingState } from './state.ts';

// Threads that wait for each other cost more than they gain here, especially while other tests run.
setNumThreads(1);

const vocabSize = 50;
const sequenceLength = 8;

/** Three blocks, no dropout, no clipping, a constant learning rate; `overrides` change it. */
export function tinyConfig(overrides: PartialConfig = {}): Config {
  const sizes = { layers: 3, hiddenSize: 16, heads: 2, ffnSize: 32, vocabSize, maxPositions: 16 };
  const model = { ...sizes, dropout: 0, attentionDropout: 0, ...overrides.model };
  const depth = { method: 'dense' as const, ...overrides.depth };
  const train = {
    steps: 100,
    batchSize: 4,
    peakLearningRate: 1e-3,
    warmupRatio: 0,
    schedule: 'constant' as const,
    clipNorm: 0,
    precision: 'fp32' as const,
    seed: 3,
    ...overrides.train,
  };
  return loadConfig({ overrides: { model, depth, data: { sequenceLength, ...overrides.data }, train } }).config;
}

/** A run at its start, with the configuration's depth method or another one. */
export function tinyState(config: Config, depth?: DepthMethod): TrainingState {
  const state = trainingState(config, initialise(config.model, config.train.seed));
  return depth ? { ...state, depth } : state;
}

/** Two sequences of random tokens, three masked ones in the first and two in the second; `lengths` leave padding. */
export function tinyBatch(seed: number, lengths: readonly [number, number] = [8, 7]): MicroBatch {
  const draw = (i: number, below: number) => drawSeed([i, 0, 0, 99], seed) % below;
  const tokens = (from: number, count: number) =>
    Int32Array.from({ length: count }, (_, i) => draw(from + i, vocabSize));
  const ids = tokens(0, 2 * sequenceLength).map((id, i) => (i % sequenceLength < lengths[i < 8 ? 0 : 1]! ? id : 0));
  return {
    numSequences: 2,
    sequenceLength,
    inputIds: ids,
    tokenTypeIds: Int32Array.from(ids, (_, i) => (i % sequenceLength < 3 ? 0 : 1)),
    documents: lengths.map((length) => [length]),
    predictedPositions: Int32Array.of(1, 2, 4, 9, 12),
    labels: tokens(100, 5),
    nextSentenceLabels: Int32Array.of(draw(200, 2), draw(201, 2)),
  };
}

/** One row of a batch, as a batch. */
export function rowOf(batch: MicroBatch, row: number): MicroBatch {
  const [start, end] = [row * sequenceLength, (row + 1) * sequenceLength];
  const masked = [...batch.predictedPositions.keys()].filter((i) => {
    return batch.predictedPositions[i]! >= start && batch.predictedPositions[i]! < end;
  });
  return {
    numSequences: 1,
    sequenceLength,
    inputIds: batch.inputIds.slice(start, end),
    tokenTypeIds: batch.tokenTypeIds.slice(start, end),
    documents: batch.documents.slice(row, row + 1),
    predictedPositions: Int32Array.from(masked, (i) => batch.predictedPositions[i]! - start),
    labels: Int32Array.from(masked, (i) => batch.labels[i]!),
    nextSentenceLabels: batch.nextSentenceLabels!.slice(row, row + 1),
  };
}

/** Two batches as one. */
export function joined(a: MicroBatch, b: MicroBatch): MicroBatch {
  const join = (x: Int32Array, y: Int32Array) => Int32Array.from([...x, ...y]);
  return {
    numSequences: a.numSequences + b.numSequences,
    sequenceLength,
    inputIds: join(a.inputIds, b.inputIds),
    tokenTypeIds: join(a.tokenTypeIds, b.tokenTypeIds),
    documents: [...a.documents, ...b.documents],
    predictedPositions: join(
      a.predictedPositions,
      b.predictedPositions.map((position) => position + a.inputIds.length),
    ),
    labels: join(a.labels, b.labels),
    nextSentenceLabels: join(a.nextSentenceLabels!, b.nextSentenceLabels!),
  };
}

/** Everything that a step may change of one parameter, to be compared bit for bit. */
export function snapshot(state: TrainingState): Map<string, unknown> {
  const bits = (tensor: Tensor) => Buffer.from(tensor.toArray().buffer).toString('hex');
  return new Map(
    Array.from(state.masters, ([name, master]) => {
      const { slots, updates } = state.optimizer.get(name)!;
      return [name, [bits(master), ...Object.values(slots).map(bits), updates]];
    }),
  );
}
