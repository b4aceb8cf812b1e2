import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learningRate } from './learning-rate.ts';

const settings = {
  steps: 1000,
  peakLearningRate: 2e-3,
  warmupRatio: 0.1,
  warmupShape: 'linear' as const,
  schedule: 'linear' as const,
  finalLearningRate: 0,
  decayRatio: 0.2,
  decayShape: '1-sqrt' as const,
};

function assertClose(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) < 1e-15, `${found}, expected ${expected}`);
}

for (const schedule of ['linear', 'cosine', 'exponential', 'wsd', 'constant'] as const) {
  test(`${schedule}: the warm-up rises in equal steps from peak/W to the peak, where the schedule starts`, () => {
    const rate = learningRate({ ...settings, schedule });
    assertClose(rate(0), 2e-3 / 100);
    assertClose(rate(49), 1e-3);
    assertClose(rate(99), 2e-3);
    assertClose(rate(100), 2e-3);
  });
}

test('a warm-up of the shape log rises with the logarithm of the step, from 0 to the peak', () => {
  const rate = learningRate({ ...settings, warmupShape: 'log' });
  assert.deepEqual([rate(0), rate(99), rate(100)], [0, 2e-3, 2e-3]);
  assertClose(rate(9), 1e-3); // log 10 / log 100
  assertClose(rate(4), 2e-3 * 0.349485002168009); // log 5 / log 100
  assert.equal(rate(550), learningRate(settings)(550));
  assert.equal(learningRate({ ...settings, warmupShape: 'log', warmupRatio: 0.001 })(0), 0); // a warm-up of one step
});

test('linear falls in equal steps towards 0 at the end of the run', () => {
  const rate = learningRate(settings);
  assertClose(rate(550), 1e-3);
  assertClose(rate(325), 1.5e-3);
  assertClose(rate(999), 2e-3 / 900);
});

test('cosine is at half its height in the middle and flat at both ends', () => {
  const rate = learningRate({ ...settings, schedule: 'cosine' });
  assertClose(rate(550), 1e-3);
  assertClose(rate(400), (2e-3 * 3) / 4); // cos 60° = ½
  assertClose(rate(700), 2e-3 / 4); // cos 120° = −½
  assert.ok(rate(999) > 0 && rate(999) < 1e-8);
});

test('exponential is times 0.99 each 1,000 steps after the warm-up', () => {
  const rate = learningRate({ ...settings, steps: 200_000, warmupRatio: 0.02, schedule: 'exponential' });
  assertClose(rate(3999), 2e-3);
  assertClose(rate(5000), 2e-3 * 0.99);
  assertClose(rate(104_000), 2e-3 * 0.3660323412732295); // 0.99^100
  assertClose(rate(4500), 2e-3 * Math.sqrt(0.99));
});

test('wsd stays at the peak until the last fifth, and falls as 1 − √u or in equal steps', () => {
  const rate = learningRate({ ...settings, schedule: 'wsd' });
  for (const step of [100, 500, 799, 800]) assert.equal(rate(step), 2e-3);
  assertClose(rate(850), 1e-3); // √¼
  assertClose(rate(999), 2e-3 * (1 - Math.sqrt(199 / 200)));
  const linear = learningRate({ ...settings, schedule: 'wsd', decayShape: 'linear' });
  assertClose(linear(850), 1.5e-3);
  assertClose(linear(999), 2e-3 / 200);
  for (const step of [999, 1000])
    assert.equal(learningRate({ ...settings, schedule: 'wsd', decayRatio: 0 })(step), 2e-3);
});

test('with a final learning rate they fall to it instead of 0', () => {
  const final = { ...settings, finalLearningRate: 4e-4 };
  assertClose(learningRate(final)(550), 1.2e-3);
  assertClose(learningRate({ ...final, schedule: 'cosine' })(550), 1.2e-3);
  assertClose(learningRate({ ...final, schedule: 'wsd' })(850), 1.2e-3);
  for (const schedule of ['linear', 'cosine', 'wsd'] as const)
    assert.ok(Math.abs(learningRate({ ...final, steps: 1e6, schedule })(1e6 - 1) - 4e-4) < 5e-6, schedule);
  assert.equal(learningRate({ ...final, schedule: 'constant' })(999), 2e-3);
  assertClose(learningRate(final)(0), 2e-5); // the warm-up begins as without
  // A branch asks whether it is at its peak, to the last bit.
  const rate = learningRate({ ...settings, schedule: 'wsd', peakLearningRate: 4e-4, finalLearningRate: 4.8e-5 });
  assert.equal(rate(500), 4e-4);
});

test('constant stays at the peak', () => {
  const rate = learningRate({ ...settings, schedule: 'constant' });
  for (const step of [100, 500, 999]) assert.equal(rate(step), 2e-3);
});

test('without a warm-up the first step has the peak, and fractional steps are rounded up', () => {
  assert.equal(learningRate({ ...settings, warmupRatio: 0 })(0), 2e-3);
  const rate = learningRate({ ...settings, steps: 10, warmupRatio: 0.25 }); // 2.5 steps: 3
  assertClose(rate(0), 2e-3 / 3);
  assertClose(rate(2), 2e-3);
  assertClose(rate(4), (2e-3 * 6) / 7);
});

test('the rate is positive and finite at every step of even the shortest runs', () => {
  for (const schedule of ['linear', 'cosine', 'exponential', 'wsd', 'constant'] as const) {
    for (const steps of [1, 2, 3, 10]) {
      for (const warmupRatio of [0, 0.02, 0.5, 0.99]) {
        const rate = learningRate({ ...settings, steps, warmupRatio, schedule });
        for (let step = 0; step < steps; step++) {
          assert.ok(rate(step) > 0 && rate(step) <= 2e-3, `${schedule}, ${steps} steps, ${warmupRatio}: ${rate(step)}`);
        }
      }
    }
  }
});
