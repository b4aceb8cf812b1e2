import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { estimateMemory, fittingMicroBatch, fittingMicroBatches } from './memory.ts';

const base = ['train.steps=10', 'train.device=cpu'];
const estimate = (...sets: string[]) => estimateMemory(loadConfig({ sets: [...base, ...sets] }).config);

// Resident peaks that were measured; `npm run bench -- estimate FILES` measures them again (docs/results/memory-estimate.md).
const measured: [number, string[]][] = [
  [817, ['model.preset=bert-mini', 'model.vocabSize=2686', 'train.batchSize=32', 'train.precision=fp32']],
  [635, ['model.preset=bert-mini', 'model.vocabSize=2686', 'train.batchSize=32', 'train.precision=bf16']],
  [394, ['model.preset=bert-mini', 'model.vocabSize=2686', 'train.batchSize=1', 'train.precision=bf16']],
  [
    3086,
    [
      'model.preset=bert-base',
      'model.vocabSize=12231',
      'train.batchSize=8',
      'train.microBatchSize=4',
      'train.precision=bf16',
    ],
  ],
  [
    2937,
    ['model.layers=12', 'model.hiddenSize=128', 'model.vocabSize=2686', 'train.batchSize=256', 'train.precision=bf16'],
  ],
];

test('the estimate is within 30 % of what was measured', () => {
  for (const [megabytes, sets] of measured) {
    const ratio = estimate(...sets).total / 1e6 / megabytes;
    assert.ok(ratio > 0.75 && ratio < 1.3, `${ratio.toFixed(2)}: ${sets.join(' ')}`);
  }
});

test('each setting that takes memory is in the estimate', () => {
  const sets = ['model.preset=bert-base', 'train.batchSize=64', 'train.precision=bf16'];
  const whole = estimate(...sets);
  const near = (value: number, expected: number) =>
    assert.ok(Math.abs(value / expected - 1) < 0.02, `${value} ${expected}`);
  assert.ok(estimate(...sets, 'train.microBatchSize=16').activations < whole.activations / 3.5);
  near(estimate(...sets, 'train.microBatchSize=16').batches, whole.batches);
  near(estimate(...sets, 'train.batchSize=640', 'train.microBatchSize=64').batches, 10 * whole.batches);
  assert.ok(estimate(...sets, 'train.precision=fp32').activations > 1.6 * whole.activations);
  assert.ok(estimate(...sets, 'data.sequenceLength=512').activations > 3.8 * whole.activations);
  assert.ok(estimate(...sets, 'depth.method=shallow', 'depth.blocks=6').activations < 0.6 * whole.activations);
  // Settings that the method ignores take none.
  assert.deepEqual(estimate(...sets, 'depth.blocks=2', 'depth.granularity=sequence'), whole);
  assert.deepEqual(estimate(...sets, 'depth.method=grow'), whole);
  assert.ok(estimate(...sets, 'depth.method=pld', 'depth.granularity=sequence').activations > whole.activations);
  // 109.5 million weights: in float32 with their gradients and two moments 16 bytes each.
  assert.ok(whole.model > 16 * 109.5e6 && whole.model < 30 * 109.5e6, `${whole.model}`);
});

test('the largest micro-batch that fits divides the batch', () => {
  const { config } = loadConfig({
    sets: [...base, 'model.preset=bert-mini', 'train.batchSize=96', 'train.precision=fp32'],
  });
  const withSize = (size: number) =>
    estimateMemory({ ...config, train: { ...config.train, microBatchSize: size } }).total;
  assert.equal(fittingMicroBatch(config, withSize(24)), 24);
  assert.equal(fittingMicroBatch(config, withSize(24) + 1, 1), 24);
  assert.equal(fittingMicroBatch(config, withSize(24) - 1), 16);
  assert.equal(fittingMicroBatch(config, 1e6), undefined);
});

test('of a run in phases the largest steps count, and a micro-batch divides all of its batches', () => {
  const sets = ['model.preset=bert-mini', 'train.precision=fp32', 'train.microBatchSize=4'];
  const phases = estimate(...sets, 'train.batchSize=[[0,24],[5,36]]', 'data.sequenceLength=[[0,256],[5,64]]');
  const largest = estimate(...sets, 'train.batchSize=24', 'data.sequenceLength=256');
  assert.deepEqual(phases, largest);
  const { config } = loadConfig({ sets: [...base, ...sets, 'train.batchSize=[[0,24],[5,36]]'] });
  assert.deepEqual(fittingMicroBatches(config, Infinity), [12, 6, 4, 3, 2, 1]);
  assert.deepEqual(fittingMicroBatches(config, Infinity, 3), [12, 6, 4, 3]);
  assert.equal(fittingMicroBatch(config, Infinity), 3); // smaller than now
});
