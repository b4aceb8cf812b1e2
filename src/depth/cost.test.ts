import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plannedCost, type StepWork, stepFlops } from './cost.ts';
import { dense, pld } from './index.ts';

const near = (found: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected}`);

/** BERT-base's, sequences of 128. */
const work: StepWork = {
  layers: 12,
  sequences: 1,
  predictedTokens: 19,
  forwardFlops: { block: 1_862_270_976, output: 48_061_440, pair: 1_182_720 },
  updateFlops: { block: 14 * 7_087_872, outer: 14 * 25_051_964 },
};
/** Of one block's products, forward and backward. */
const block = 3 * work.forwardFlops.block;

test('a dense step is blocks, heads and optimizer', () => {
  const forward = 12 * 1_862_270_976 + 19 * 48_061_440 + 1_182_720;
  assert.equal(stepFlops(work, 12), 3 * forward + 14 * 110_106_428);
});

test('a block that runs in some micro-batch only is updated all the same', () => {
  const half = stepFlops(work, 6, 12);
  assert.equal(stepFlops(work, 12) - half, 6 * block);
  assert.equal(half - stepFlops(work, 6), 6 * 14 * 7_087_872);
});

test('a dense plan saves nothing', () => {
  const plan = plannedCost(dense(12), 10, () => work);
  assert.equal(plan.meanDepth, 12);
  assert.equal(plan.meanTheta, 1);
  assert.equal(plan.blockFlopsSaved, 0);
  near(plan.stepFlopsSaved, 0);
  assert.equal(plan.denseFlops, 10 * stepFlops(work, 12));
});

test("pld's plan has the closed form's mean θ of 0.505 and depth of 8.7825 at γ = 100/T", () => {
  const totalSteps = 20_000;
  const method = pld({ layers: 12, thetaBar: 0.5, gamma: '100/T', profile: 'linear', totalSteps });
  const plan = plannedCost(method, totalSteps, () => ({ ...work, sequences: 32, predictedTokens: 19 * 32 }));
  near(plan.meanTheta, 0.505, 2e-5);
  near(plan.meanDepth, 12 - 6.5 * 0.495, 2e-4); // 12 − (L+1)/2·(1 − θ)
  near(plan.blockFlopsSaved, (6.5 * 0.495) / 12, 2e-5);
  assert.ok(plan.stepFlopsSaved < plan.blockFlopsSaved && plan.stepFlopsSaved > 0.25);
  near(plan.expectedFlops / plan.denseFlops, 1 - plan.stepFlopsSaved);
});

test('more micro-batches a step leave fewer blocks without an update', () => {
  const method = pld({ layers: 1, thetaBar: 0.5, gamma: 1e9, profile: 'uniform', totalSteps: 2 });
  const one = { ...work, layers: 1 };
  const saved = (microBatches: number) => {
    const plan = plannedCost(method, 2, () => one, { microBatchSize: 1 / microBatches });
    return plan.denseFlops - plan.expectedFlops;
  };
  // The second of two steps runs the block in half its micro-batches and leaves it alone with 0.5^microBatches.
  assert.equal(saved(1), 0.5 * block + 0.5 * 14 * 7_087_872);
  assert.equal(saved(2), 0.5 * block + 0.25 * 14 * 7_087_872);
});

test('with a gate for each sequence a block is updated unless its share of them rounds to none', () => {
  const method = pld({ layers: 1, thetaBar: 0.5, gamma: 1e9, profile: 'uniform', totalSteps: 2 });
  const one = { ...work, layers: 1 };
  const saved = (sequences: number) => {
    const plan = plannedCost(method, 2, () => ({ ...one, sequences }), { granularity: 'sequence' });
    return plan.denseFlops - plan.expectedFlops - 0.5 * sequences * block;
  };
  assert.equal(saved(4), 0);
  assert.equal(saved(1), 0.5 * 14 * 7_087_872); // half of one sequence: none in half the steps
});

test('a run of no steps has no mean to plan', () => {
  for (const steps of [0, -1, Number.NaN])
    assert.throws(() => plannedCost(dense(12), steps, () => work), { name: 'RangeError', message: /^totalSteps: / });
});
