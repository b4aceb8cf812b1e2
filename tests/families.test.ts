// Models of today beside those of Python's transformers: its numbers for tiny models with odd sizes, padding and packed documents
// (tests/fixtures/transformers_parity.py), read through the config.json that transformers would read.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { loadConfig } from '../src/config/index.ts';
import type { MicroBatch } from '../src/data/index.ts';
import { readConfig } from '../src/interop/read-config.ts';
import { familyOf, modelInputs, type ParameterSpec, parameterSpecs, pretrainingLosses } from '../src/model/index.ts';
import { liveTensors, noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { type TrainingState, trainingState, trainStep } from '../src/train/index.ts';

interface Recorded {
  config: Record<string, unknown>;
  /** Of the first step, at the predicted tokens, the first six of each. */
  logits: number[][];
  /** Of the first step: the norm, and the sum of every seventh element. */
  gradients: Record<string, [number, number]>;
  losses: number[];
  gradientNorms: number[];
}
const fixture = new URL('../../tests/fixtures/transformers-parity.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: Record<string, Recorded> };

const [T, N, V, steps] = [17, 3, 270, 20];

function* stream(seed: number): Generator<number, never> {
  for (let x = seed; ; ) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    yield x;
  }
}

function weight({ name, shape }: ParameterSpec): Tensor {
  const numbers = stream([...name].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 2 ** 31, 1));
  const offset = name.includes('norm') && name.endsWith('weight') ? 1 : 0;
  const count = shape.reduce((a, b) => a * b, 1);
  const draw = () => Math.fround(numbers.next().value / 2 ** 31 - 0.5) * 0.2 + offset;
  return Tensor.from(Float32Array.from({ length: count }, draw), shape);
}

function batch(step: number, { packed, causal }: { packed: boolean; causal: boolean }): MicroBatch {
  const numbers = stream(1000 + step);
  const next = () => numbers.next().value;
  const inputIds = Int32Array.from({ length: N * T }, () => 2 + (next() % (V - 2)));
  const used = Array.from({ length: N }, () => T - (next() % 5));
  const documents = used.map((n) => (packed ? [Math.floor(n / 3), n - Math.floor(n / 3)] : [n]));
  const predictedPositions: number[] = [];
  const labels: number[] = [];
  for (const [n, lengths] of documents.entries()) {
    let start = 0;
    for (const length of lengths) {
      for (let t = 0; t < length; t++) {
        const at = n * T + start + t;
        if (causal ? t === length - 1 : (n + start + t + step) % 4 !== 1) continue;
        predictedPositions.push(at);
        labels.push(causal ? inputIds[at + 1]! : 2 + (next() % (V - 2)));
      }
      start += length;
    }
  }
  return {
    numSequences: N,
    sequenceLength: T,
    inputIds: inputIds.map((id, i) => (i % T < used[Math.floor(i / T)]! ? id : 0)),
    tokenTypeIds: new Int32Array(N * T),
    documents,
    predictedPositions: Int32Array.from(predictedPositions),
    labels: Int32Array.from(labels),
  };
}

function stateOf(json: Record<string, unknown>): TrainingState {
  const folder = mkdtempSync(join(tmpdir(), 'taper-families-'));
  try {
    writeFileSync(join(folder, 'config.json'), JSON.stringify(json));
    const { model } = readConfig(folder, assert.fail);
    const { config } = loadConfig({
      overrides: {
        model,
        depth: { method: 'dense' },
        data: { sequenceLength: T },
        train: { steps, batchSize: N, peakLearningRate: 2e-3, warmupRatio: 0.1, precision: 'fp32', betas: [0.9, 0.98] },
      },
    });
    return trainingState(config, new Map(parameterSpecs(config.model).map((spec) => [spec.name, weight(spec)])));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [name, expected] of Object.entries(cases)) {
  const state = stateOf(expected.config);
  const { model: config } = state.config;
  const { isCausal } = familyOf(config);
  const batchOf = (step: number) => batch(step, { packed: name.includes('packed'), causal: isCausal });

  test(`${name}: logits and gradients are transformers' to 1e-5`, () => {
    scope(() => {
      const model = familyOf(config).create(config, state.masters);
      const first = batchOf(0);
      const logits = noGrad(() => {
        const positions = Tensor.from(first.predictedPositions, [first.labels.length]).to('int64');
        return model.tokenLogits(model.encode(modelInputs(first, 'cpu')), positions);
      });
      const found = logits.toFloats();
      for (const [m, row] of expected.logits.entries()) {
        for (const [v, logit] of row.entries()) near(found[m * V + v]!, logit, 1e-5, `logit ${m}, ${v}`);
      }
      const names = [...state.masters.keys()];
      assert.deepEqual([...names].sort(), Object.keys(expected.gradients).sort());
      for (const master of state.masters.values()) master.requiresGrad();
      const { tokenSum } = pretrainingLosses(model, first, 'cpu');
      const gradients = tokenSum.mul(1 / first.labels.length).grad([...state.masters.values()]);
      for (const [i, gradient] of gradients.entries()) {
        const numbers = gradient!.toFloats();
        const norm = Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0));
        const sum = numbers.reduce((total, x, j) => (j % 7 === 0 ? total + x : total), 0);
        const [expectedNorm, expectedSum] = expected.gradients[names[i]!]!;
        near(norm / expectedNorm, 1, 1e-5, `norm of the gradient of ${names[i]}`);
        near(sum / expectedNorm, expectedSum / expectedNorm, 1e-5, `sum of the gradient of ${names[i]}`);
      }
    });
  });

  test(`${name}: 20 training steps give transformers' losses and gradient norms to 1e-4`, () => {
    const live = liveTensors();
    for (let step = 0; step < steps; step++) {
      const result = trainStep(state, step, [batchOf(step)]);
      near(result.loss / expected.losses[step]!, 1, 1e-4, `loss of step ${step}`);
      near(result.gradientNorm / expected.gradientNorms[step]!, 1, 1e-4, `gradient norm of step ${step}`);
    }
    assert.equal(liveTensors(), live);
  });
}

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) < tolerance, `${what}: ${actual}, transformers has ${expected}`);
}
