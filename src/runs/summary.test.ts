import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EvalMetrics, StepMetrics } from './fields.ts';
import { RunSums, summarise } from './summary.ts';

const layers = 4;

/** A step that ran `depth` of the blocks: 100 FLOPs per block and 200 outside of them. */
function step(number: number, depth: number, stepSeconds: number): StepMetrics {
  return {
    type: 'step',
    step: number,
    samples: 8 * number,
    tokens: 64 * number,
    loss: 5,
    mlmLoss: 5,
    learningRate: 1e-3,
    gradientNorm: 1,
    theta: 0.5,
    keepRates: new Array<number>(layers).fill(0.5),
    expectedDepth: 2,
    depth,
    stepSeconds,
    dataSeconds: 0,
    tokensPerSecond: 64 / stepSeconds,
    flops: 200 + 100 * depth,
    denseFlops: 600,
    peakMemoryBytes: 1,
  };
}

function evaluation(step: number, mlmLoss: number): EvalMetrics {
  return {
    type: 'eval',
    step,
    split: 'valid',
    loss: mlmLoss,
    mlmLoss,
    mlmAccuracy: 0,
    perplexity: Math.exp(mlmLoss),
    tokens: 100,
  };
}

/** Depths 1 … 4 in turn, 25 times: mean depth 2.5 of 4. */
const depths = Array.from({ length: 100 }, (_, i) => 1 + (i % 4));

test('FLOPs saved are given for the blocks, and for the whole step', () => {
  const summary = summarise(depths.map((depth, i) => step(i + 1, depth, 1)));
  assert.equal(summary.steps, 100);
  assert.equal(summary.denseFlops, 60_000);
  assert.equal(summary.flops, 100 * (200 + 250));
  assert.equal(summary.blockFlopsSaved, 1 - 2.5 / 4);
  assert.equal(summary.stepFlopsSaved, 0.25);
});

test('time saved comes from a line through time and depth, without the first steps', () => {
  // 0.2 s outside of the blocks and 0.1 s in each: 0.6 s with all four. The first steps are slow for other reasons.
  const seconds = (depth: number, i: number) => (i < 3 ? 9 : 0.2 + 0.1 * depth);
  const timed = depths.slice(3);
  const expected = 1 - timed.reduce((sum, depth) => sum + 0.2 + 0.1 * depth, 0) / (timed.length * 0.6);
  const { timeSaved, stepSeconds } = summarise(depths.map((depth, i) => step(i + 1, depth, seconds(depth, i))));
  assert.ok(Math.abs(timeSaved! - expected) < 1e-12, `${timeSaved}, expected ${expected}`);
  assert.ok(Math.abs(stepSeconds - (27 + timed.length * 0.6 * (1 - expected))) < 1e-9);
});

test('larger steps late in a run, when fewer blocks run, are compared with dense ones of their size', () => {
  const sums = new RunSums();
  // Eight times the sequences from step 51 on; 0.2 s outside of them in each step.
  const sizeOf = (i: number) => (i < 50 ? 1 : 8);
  const secondsAt = (i: number, depth: number) => 0.2 + sizeOf(i) * (0.1 + 0.05 * depth);
  let [taken, dense] = [0, 0];
  for (let i = 0; i < 100; i++) {
    const depth = i < 50 ? 4 - (i % 2) : 1 + (i % 2);
    const line = step(i + 1, depth, secondsAt(i, depth));
    sums.add({ ...line, flops: sizeOf(i) * line.flops, denseFlops: sizeOf(i) * line.denseFlops });
    if (i < 3) continue;
    taken += secondsAt(i, depth);
    dense += secondsAt(i, layers);
  }
  const { timeSaved, blockFlopsSaved } = sums.summary();
  assert.ok(Math.abs(timeSaved! - (1 - taken / dense)) < 1e-12, `${timeSaved}, expected ${1 - taken / dense}`);
  assert.ok(Math.abs(blockFlopsSaved - (1 - (3.5 + 8 * 1.5) / (9 * 4))) < 1e-12);
});

test('the same line says what steps of another depth would save', () => {
  const sums = new RunSums();
  for (const [i, depth] of depths.entries()) sums.add(step(i + 1, depth, 0.2 + 0.1 * depth));
  for (const depth of [1, 2, 3.5, 4]) {
    const expected = 1 - (0.2 + 0.1 * depth) / 0.6;
    assert.ok(Math.abs(sums.timeSavedAt(depth)! - expected) < 1e-12, `${depth}`);
  }
});

test('noise that has nothing to do with depth does not move the time saved', () => {
  // The same 4 depths at each noise level, so that noise and depth are uncorrelated in the timed steps.
  const steps = [1, 1, 1, ...depths].map((depth, i) =>
    step(i + 1, depth, 0.2 + 0.1 * depth + 0.05 * (Math.floor((i - 3) / 4) % 2 === 0 ? 1 : -1) - (i >= 99 ? 0.05 : 0)),
  );
  const meanSeconds = steps.slice(3).reduce((sum, { stepSeconds }) => sum + stepSeconds, 0) / 100;
  const { timeSaved } = summarise(steps);
  assert.ok(Math.abs(timeSaved! - (1 - meanSeconds / (meanSeconds + 0.15))) < 1e-9);
});

test('time saved is unknown when the depth never changed, and in a run too short to tell', () => {
  assert.equal(summarise(depths.map((_, i) => step(i + 1, layers, 0.5 + 0.01 * i))).timeSaved, undefined);
  assert.equal(summarise(depths.slice(0, 8).map((depth, i) => step(i + 1, depth, depth))).timeSaved, undefined);
});

test('the first and the last evaluation are found among the steps', () => {
  const lines = [evaluation(0, 8), step(1, 4, 1), evaluation(1, 7), step(2, 4, 1), evaluation(2, 6)];
  const { firstEvaluation, lastEvaluation } = summarise(lines);
  assert.deepEqual([firstEvaluation?.mlmLoss, lastEvaluation?.mlmLoss], [8, 6]);
});

test('a run without a step has saved nothing', () => {
  const { steps, blockFlopsSaved, stepFlopsSaved, timeSaved } = summarise([evaluation(0, 8)]);
  assert.deepEqual([steps, blockFlopsSaved, stepFlopsSaved, timeSaved], [0, 0, 0, undefined]);
});
