import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, stepsOf, type Times, timeOf } from '../bench/depth/budget.ts';
import { settingOf, settings } from '../bench/depth/settings.ts';
import { differences, pooledDeviation, verdictOf } from '../bench/statistics.ts';

const near = (value: number, expected: number, tolerance = 1e-6) =>
  assert.ok(Math.abs(value - expected) < tolerance, `${value} instead of ${expected}`);

test('the interval of one group is that of the paired t-test: the data of Student 1908, by R', () => {
  // t.test(extra ~ group, data = sleep, paired = TRUE)
  const [found] = differences([[1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4]]);
  near(found!.mean, 1.58);
  near(found!.mean - found!.margin, 0.7001142);
  near(found!.mean + found!.margin, 2.4598858);
});

test('groups share one deviation, so that a single pair has an interval', () => {
  const groups = [[1, 3], [10, 14], [7]];
  const { deviation, freedom } = pooledDeviation(groups);
  near(deviation, Math.sqrt((2 + 8) / 2));
  assert.equal(freedom, 2);
  const [, , single] = differences(groups);
  assert.equal(single!.mean, 7);
  near(single!.margin, 4.302653 * deviation, 1e-5); // t of 0.975 with two degrees of freedom
  assert.deepEqual(
    [-2, 1, 2].map((mean) => verdictOf({ mean, margin: 1, pairs: 1 })),
    ['better', 'no difference shown', 'worse'],
  );
  assert.deepEqual(differences([[1]]), [{ mean: 1, margin: Number.POSITIVE_INFINITY, pairs: 1 }]);
});

const line = { once: 0, update: 0, microBatch: 0.05, block: 0.01 };
const times: Times = {
  whole: line,
  perSequence: { ...line, block: 0.012 },
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
});

test('every setting is a configuration of its own', () => {
  const configs = settings.map((setting) => JSON.stringify([configOf(setting), setting.equal]));
  assert.equal(new Set(configs).size, settings.length);
  assert.equal(new Set(settings.map(({ name }) => name)).size, settings.length);
  assert.ok(settings.filter(({ seeds }) => seeds.length === 3).length >= 5);
});
