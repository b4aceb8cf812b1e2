// cspell:ignore shalow
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { divergence } from '../bench/books.ts';
import { configOf, perSequence, recipeOfSetting, stepsOf, type Times, timeOf } from '../bench/depth/budget.ts';
import { seeds, settingOf, settings } from '../bench/depth/settings.ts';
import { recipeOf } from '../bench/records.ts';
import { type BySeed, depthUse, differences, pooledDeviation, verdictOf } from '../bench/statistics.ts';

const near = (value: number, expected: number, tolerance = 1e-6) =>
  assert.ok(Math.abs(value - expected) < tolerance, `${value} instead of ${expected}`);
const bySeed = (...values: number[]): BySeed => new Map(values.map((value, i) => [i + 1, value]));

test('with one setting beside the base, the interval is that of the paired t-test: the data of Student 1908, by R', () => {
  // t.test(extra ~ group, data = sleep, paired = TRUE)
  const base = bySeed(0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2);
  const [found] = differences(base, [bySeed(1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)]);
  near(found!.mean, 1.58);
  near(found!.mean - found!.margin, 0.7001142);
  near(found!.mean + found!.margin, 2.4598858);
});

test('settings without an effect are called different in 5 of 100 comparisons', () => {
  let state = 1;
  const uniform = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const [repeats, numSettings] = [4000, 6];
  let wrong = 0;
  for (let i = 0; i < repeats; i++) {
    const ofSeed = seeds.map(normal); // what the text's order makes in every setting
    const values = () => bySeed(...ofSeed.map((shared) => 3 * shared + normal()));
    const single = new Map([[1, values().get(1)!]]);
    const base = values();
    const found = differences(base, [...Array.from({ length: numSettings }, values), single]);
    wrong += found.filter((difference) => verdictOf(difference) !== 'no difference shown').length;
  }
  near(wrong / (repeats * (numSettings + 1)), 0.05, 0.006);
});

test('a verdict needs an interval, and the use of depth two seeds of the control', () => {
  const verdict = (mean: number, margin = 1) => verdictOf({ mean, margin, pairs: 1 });
  assert.deepEqual(
    [-2, 1, 2].map((mean) => verdict(mean)),
    ['better', 'no difference shown', 'worse'],
  );
  assert.equal(verdict(2, Number.POSITIVE_INFINITY), '');
  const [alone] = differences(bySeed(1), [bySeed(2)]);
  assert.deepEqual(alone, { mean: 1, margin: Number.POSITIVE_INFINITY, pairs: 1 });
  const use = (mean: number, pairs = 2) => depthUse({ mean, margin: 0.1, pairs }, 0.05);
  assert.deepEqual(
    [0.3, 0.15, 0.05, -0.3].map((mean) => use(mean)),
    ['much', 'little', 'none', 'none'],
  );
  assert.equal(use(0.3, 1), 'unknown');
  assert.equal(depthUse(undefined, 0.05), 'unknown');
  near(pooledDeviation([[1, 3], [10, 14], [7]]).deviation, Math.sqrt((2 + 8) / 2));
});

const line = { once: 0, update: 0, microBatch: 0.05, block: 0.01 };
const times: Times = {
  whole: line,
  perSequence: { ...line, block: 0.012 },
  threads: 2,
  date: '2026-01-01',
  processor: 'none',
};

test('settings get as many steps as take the time of dense training, or as many samples', () => {
  const dense = settingOf('dense');
  const denseSteps = configOf(dense).train.steps;
  near(timeOf(dense, times), denseSteps * (0.05 + 12 * 0.01));
  for (const setting of settings) {
    const steps = stepsOf(setting, times);
    if (setting.equal === 'samples') assert.equal(steps, denseSteps);
    else near(timeOf(setting, times, steps) / timeOf(dense, times), 1, 0.005);
  }
  assert.equal(stepsOf(settingOf('shallow'), times), Math.round((denseSteps * 0.17) / 0.14));
  assert.ok(stepsOf(settingOf('pld-sequence'), times) < stepsOf(settingOf('pld'), times));
  assert.throws(() => settingOf('shalow'), /^Error: shalow: there are dense, /);
});

test('a block on part of the sequences takes its part of a block, and of what taking sequences out costs', () => {
  // Dense steps as in `line`, and half of the sequences in each of 12 blocks: 0.05 + 6 · 0.013.
  const halves = { once: 0, update: 0, microBatch: 0.086, block: 0.007 };
  near(perSequence(line, halves).block, 0.013);
  near(perSequence(line, halves).microBatch, 0.05);
});

test('every setting is a configuration and a recipe of its own', () => {
  const all = settings.map((setting) => `${setting.equal} ${recipeOfSetting(setting)}`);
  assert.equal(new Set(all).size, settings.length);
  assert.equal(new Set(settings.map(({ name }) => name)).size, settings.length);
  assert.notEqual(recipeOf('configs/depth.yaml', []), recipeOf('configs/paper.yaml', []));
  assert.ok(settings.filter(({ seeds }) => seeds.length === 3).length >= 5);
});

test('a diverged training is recognised by a step without a finite loss', () => {
  const message =
    'step 3: loss or gradient is not finite; nothing was changed\ntaper: training diverged: the loss was not finite';
  assert.equal(divergence.exec(message)![0], 'training diverged: the loss was not finite');
  assert.equal(
    divergence.exec('step 12: loss or gradient is not finite; nothing was changed\ntaper: the disk is full'),
    null,
  );
});
