import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockFlops, blockParameters, parameterCount, plannedCost, type StepShape, stepFlops } from './cost.ts';
import { dense, pld } from './index.ts';

const near = (found: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected}`);

const bertBase: StepShape = {
  layers: 12,
  hiddenSize: 768,
  ffnSize: 3072,
  vocabSize: 30522,
  maxPositions: 512,
  sequenceLength: 128,
  sequences: 1,
  predictedTokens: 19,
  objective: 'mlm+nsp',
  optimizerOperations: 14,
};

test('BERT-base has the published 110,106,428 parameters with its pre-training heads, 7,087,872 in a block', () => {
  assert.equal(parameterCount(bertBase), 110_106_428);
  assert.equal(blockParameters(bertBase), 7_087_872);
});

test("a forward pass through BERT-base's blocks is two FLOPs a weight and token, and the attention's products", () => {
  const numWeights = 84_934_656; // 12·(4·768² + 2·768·3072), the "85M" without biases and norms
  const attention = 12 * 4 * 128 * 128 * 768;
  assert.equal((12 * blockFlops(bertBase)) / 3, 2 * numWeights * 128 + attention);
  assert.equal((12 * blockFlops(bertBase)) / 3, 22_347_251_712);
});

test('a dense step is blocks, heads and optimizer', () => {
  // By hand, for M = 19 and N = 1: MLM 2·19·768² + 2·19·768·30522 = 913,167,360; pooler and NSP 1,182,720.
  const forward = 22_347_251_712 + 913_167_360 + 1_182_720;
  assert.equal(stepFlops(bertBase, 12), 3 * forward + 14 * 110_106_428);
});

test('one objective less saves the pooler and the NSP head', () => {
  const saved = stepFlops(bertBase, 12) - stepFlops({ ...bertBase, objective: 'mlm' }, 12);
  assert.equal(saved, 3 * 1_182_720 + 14 * (768 * 768 + 768 + 2 * 768 + 2));
});

test('a block that runs in some micro-batch only is updated all the same', () => {
  const half = stepFlops(bertBase, 6, 12);
  assert.equal(stepFlops(bertBase, 12) - half, 6 * blockFlops(bertBase));
  assert.equal(half - stepFlops(bertBase, 6), 6 * 14 * 7_087_872);
});

test('a dense plan saves nothing', () => {
  const plan = plannedCost(dense(12), 10, bertBase);
  assert.equal(plan.meanDepth, 12);
  assert.equal(plan.meanTheta, 1);
  assert.equal(plan.blockFlopsSaved, 0);
  near(plan.stepFlopsSaved, 0);
  assert.equal(plan.denseFlops, 10 * stepFlops(bertBase, 12));
});

test("pld's plan has the closed form's mean θ of 0.505 and depth of 8.7825 at γ = 100/T", () => {
  const totalSteps = 20_000;
  const method = pld({ layers: 12, thetaBar: 0.5, gamma: '100/T', profile: 'linear', totalSteps });
  const plan = plannedCost(method, totalSteps, { ...bertBase, sequences: 32, predictedTokens: 19 * 32 });
  near(plan.meanTheta, 0.505, 2e-5);
  near(plan.meanDepth, 12 - 6.5 * 0.495, 2e-4); // 12 − (L+1)/2·(1 − θ)
  near(plan.blockFlopsSaved, (6.5 * 0.495) / 12, 2e-5);
  assert.ok(plan.stepFlopsSaved < plan.blockFlopsSaved && plan.stepFlopsSaved > 0.25);
  near(plan.expectedFlops / plan.denseFlops, 1 - plan.stepFlopsSaved);
});

test('more micro-batches a step leave fewer blocks without an update', () => {
  const method = pld({ layers: 1, thetaBar: 0.5, gamma: 1e9, profile: 'uniform', totalSteps: 2 });
  const shape = { ...bertBase, layers: 1 };
  const saved = (microBatches: number) => {
    const plan = plannedCost(method, 2, shape, { microBatches });
    return plan.denseFlops - plan.expectedFlops;
  };
  // The second of two steps runs the block in half its micro-batches and leaves it alone with 0.5^microBatches.
  assert.equal(saved(1), 0.5 * blockFlops(shape) + 0.5 * 14 * 7_087_872);
  assert.equal(saved(2), 0.5 * blockFlops(shape) + 0.25 * 14 * 7_087_872);
});

test('with a gate for each sequence a block is updated unless its share of them rounds to none', () => {
  const method = pld({ layers: 1, thetaBar: 0.5, gamma: 1e9, profile: 'uniform', totalSteps: 2 });
  const shape = { ...bertBase, layers: 1, sequences: 4 };
  const saved = (sequences: number) => {
    const plan = plannedCost(method, 2, { ...shape, sequences }, { granularity: 'sequence' });
    return plan.denseFlops - plan.expectedFlops - 0.5 * blockFlops({ ...shape, sequences });
  };
  assert.equal(saved(4), 0);
  assert.equal(saved(1), 0.5 * 14 * 7_087_872); // half of one sequence: none in half the steps
});
