import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastConfig } from '../config/index.ts';
import { fitStepTimes, measureSteps, type StepTimes, stepSeconds } from './timing.ts';
import { tinyConfig } from './tiny.fixture.ts';

const close = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) < 1e-12, `${found} is not ${expected}`);

/** What steps made of these parts take. */
function stepsOf(parts: StepTimes, { layers, half, updatedAtHalf }: Record<string, number>) {
  const at = (depth: number, updated: number, microBatches: number) =>
    stepSeconds(parts, { depth, updated, microBatches });
  return {
    whole: at(layers!, layers!, 1),
    halved: at(half!, updatedAtHalf!, 1),
    wholeTwice: at(layers!, layers!, 2),
    halvedTwice: at(half!, updatedAtHalf!, 2),
  };
}

test('the parts of a step are found again from its times, its update apart from its micro-batches', () => {
  const parts = { once: 0.7, update: 0.05, microBatch: 0.2, block: 0.03 };
  const found = fitStepTimes(stepsOf(parts, { layers: 8, half: 4, updatedAtHalf: 4 }), 8, 4, false);
  for (const key of ['once', 'update', 'microBatch', 'block'] as const) close(found[key], parts[key]);
});

test('where every block is updated in each step, its update stands in what is done once', () => {
  const parts = { once: 0.7, update: 0.05, microBatch: 0.2, block: 0.03 };
  const found = fitStepTimes(stepsOf(parts, { layers: 8, half: 4, updatedAtHalf: 8 }), 8, 4, true);
  close(found.once, 0.7 + 8 * 0.05);
  for (const [key, value] of [
    ['update', 0],
    ['microBatch', 0.2],
    ['block', 0.03],
  ] as const) {
    close(found[key], value);
  }
});

test('a step of one micro-batch is a line in its depth', () => {
  const found = fitStepTimes({ whole: 1, halved: 0.6 }, 8, 4, false);
  close(stepSeconds(found, { depth: 8, updated: 8, microBatches: 1 }), 1);
  close(stepSeconds(found, { depth: 2, updated: 2, microBatches: 1 }), 0.4);
});

test('steps are measured with either kind of gates, in one micro-batch and in several', () => {
  for (const [granularity, microBatchSize] of [
    ['batch', 32],
    ['sequence', 64],
  ] as const) {
    const config = tinyConfig({
      model: { layers: 4, hiddenSize: 64, ffnSize: 256 },
      depth: { granularity },
      train: { steps: 1, batchSize: 64, microBatchSize },
    });
    const times = measureSteps(lastConfig(config));
    assert.ok(times.block > 0, `${granularity} ${microBatchSize}: ${JSON.stringify(times)}`);
  }
});
