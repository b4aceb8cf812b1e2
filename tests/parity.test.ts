import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { loadConfig } from '../src/config/index.ts';
import type { MicroBatch } from '../src/data/index.ts';
import { type ParameterSpec, parameterSpecs } from '../src/model/index.ts';
import { liveTensors, Tensor } from '../src/tensor/index.ts';
import { type TrainingState, trainingState, trainStep } from '../src/train/index.ts';

// The same tiny models as tests/fixtures/pytorch_parity.py, with the same weights and batches, against its numbers.

interface Recorded {
  losses: number[];
  gradientNorms: number[];
  gates: number[][];
  weightSum: number;
}
const fixture = new URL('../../tests/fixtures/pytorch-parity.json', import.meta.url);
const recorded = JSON.parse(readFileSync(fixture, 'utf8')) as Record<'pre' | 'post' | 'pld', Recorded>;

const [T, N, V, steps] = [16, 4, 100, 20];

function* stream(seed: number): Generator<number, never> {
  for (let x = seed; ; ) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    yield x;
  }
}

function weight({ name, shape, start }: ParameterSpec): Tensor {
  const seed = [...name].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 2 ** 31, 1);
  const numbers = stream(seed);
  const offset = start === 'ones' ? 1 : 0;
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from(
    { length: count },
    () => Math.fround(numbers.next().value / 2 ** 31 - 0.5) * 0.2 + offset,
  );
  return Tensor.from(values, shape);
}

function batch(step: number): MicroBatch {
  const numbers = stream(1000 + step);
  const next = () => numbers.next().value;
  const inputIds = Int32Array.from({ length: N * T }, () => 5 + (next() % (V - 5)));
  const tokenTypeIds = inputIds.map((_, i) => (i % T < T / 2 ? 0 : 1));
  const lengths = Int32Array.from({ length: N }, () => T - (next() % 5));
  const isMasked = (_: number, i: number) =>
    i % T < lengths[Math.floor(i / T)]! && (Math.floor(i / T) + (i % T) + step) % 5 === 1;
  const predictedPositions = inputIds.map((_, i) => i).filter(isMasked);
  const labels = predictedPositions.map(() => 5 + (next() % (V - 5)));
  const nextSentenceLabels = Int32Array.from({ length: N }, () => next() % 2);
  return {
    numSequences: N,
    sequenceLength: T,
    inputIds,
    tokenTypeIds,
    documents: [...lengths].map((length) => [length]),
    predictedPositions,
    labels,
    nextSentenceLabels,
  };
}

function stateOf(norm: 'pre' | 'post', method: 'dense' | 'pld'): TrainingState {
  const { config } = loadConfig({
    overrides: {
      model: {
        layers: 3,
        hiddenSize: 32,
        heads: 2,
        ffnSize: 64,
        vocabSize: V,
        maxPositions: 16,
        norm,
        dropout: 0,
        attentionDropout: 0,
      },
      depth: { method, thetaBar: 0.5, gamma: 100 / steps / 20 },
      data: { sequenceLength: T },
      train: { steps, batchSize: N, peakLearningRate: 2e-3, warmupRatio: 0.1, precision: 'fp32', seed: 7 },
    },
  });
  const masters = new Map(parameterSpecs(config.model).map((spec) => [spec.name, weight(spec)]));
  return trainingState(config, masters);
}

for (const [name, norm, method] of [
  ['pre', 'pre', 'dense'],
  ['post', 'post', 'dense'],
  ['pld', 'pre', 'pld'],
] as const) {
  test(`20 training steps of ${name === 'pld' ? 'PreLN with PLD' : `dense ${name.toUpperCase()}LN`} give PyTorch's losses and gradient norms to 1e-4`, () => {
    const state = stateOf(norm, method);
    const expected = recorded[name];
    const live = liveTensors();
    for (let step = 0; step < steps; step++) {
      const result = trainStep(state, step, [batch(step)]);
      close(result.loss, expected.losses[step]!, `loss of step ${step}`);
      close(result.gradientNorm, expected.gradientNorms[step]!, `gradient norm of step ${step}`);
      assert.equal(
        result.depth,
        expected.gates[step]!.reduce((a, b) => a + b, 0),
      );
    }
    assert.equal(liveTensors(), live);
    const weights = [...state.masters.values()].flatMap((tensor) => [...tensor.toFloats()]);
    close(
      weights.reduce((sum, w) => sum + Math.abs(w), 0),
      expected.weightSum,
      'sum of |weights|',
    );
  });
}

function close(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual / expected - 1) < 1e-4, `${what}: ${actual}, PyTorch has ${expected}`);
}
