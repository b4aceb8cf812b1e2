import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gammaWarning, resolveGamma, theta } from './schedule.ts';

const near = (found: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected}`);

test('θ starts at 1 and has θ̄ as its limit', () => {
  for (const thetaBar of [0.5, 0.9, 1]) {
    assert.equal(theta(0, { thetaBar, gamma: 1e-3 }), 1);
    near(theta(1e6, { thetaBar, gamma: 1e-3 }), thetaBar);
  }
});

test('θ is half way down after ln(2)/γ steps', () => {
  near(theta(Math.LN2 / 0.01, { thetaBar: 0.5, gamma: 0.01 }), 0.75);
});

test("DeepSpeed's γ of 0.001 ends at 0.684 after 1,000 steps, and its mean over 200,000 is 0.5025", () => {
  near(theta(1000, { thetaBar: 0.5, gamma: 1e-3 }), 0.684, 5e-4);
  let sum = 0;
  for (let step = 0; step < 200_000; step++) sum += theta(step, { thetaBar: 0.5, gamma: 1e-3 });
  near(sum / 200_000, 0.5025, 1e-5);
});

test('c/T is c divided by the number of steps, and a number stays a rate', () => {
  assert.equal(resolveGamma('100/T', 200_000), 0.0005);
  assert.equal(resolveGamma('2.5/T', 1000), 0.0025);
  assert.equal(resolveGamma(0.001, 1000), 0.001);
});

test('a gamma that is not a positive rate is refused', () => {
  assert.throws(() => resolveGamma(0, 1000), /gamma: 0 with T = 1000 is not a positive rate/);
  assert.throws(() => resolveGamma('-1/T', 1000), RangeError);
  assert.throws(() => resolveGamma('100/T', 0), RangeError);
});

test('a gamma that is slow for the run gets a warning with its savings', () => {
  // ∫(1 − θ) over the run is (1 − θ̄)·T·(1 − (1 − e^−x)/x) with x = γT: 1/e = 36.8 % at x = 1.
  assert.match(gammaWarning(0.001, 1000) ?? '', /^depth\.gamma: 0\.001 is slow for T = 1000.* 37 % .*100\/T/);
  assert.ok(gammaWarning('19/T', 1000) !== undefined);
  assert.equal(gammaWarning('20/T', 1000), undefined);
  assert.equal(gammaWarning(0.001, 200_000), undefined);
});
