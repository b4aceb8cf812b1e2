import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DepthSettings, dense, depthMethod, depthWarnings, expectedDepth, pld } from './method.ts';
import { profileRates } from './profile.ts';

const near = (found: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected}`);

const settings: DepthSettings = { method: 'pld', thetaBar: 0.5, gamma: '100/T', profile: 'linear' };

test('the mean depth of 12 blocks at θ = 0.5 is 8.75 for linear, 9.25 for linear0 and 6 for uniform', () => {
  near(expectedDepth(profileRates('linear', 12, 0.5)), 8.75);
  near(expectedDepth(profileRates('linear0', 12, 0.5)), 9.25);
  near(expectedDepth(profileRates('uniform', 12, 0.5)), 6);
});

test('linear keeps the top block with θ, linear0 always keeps the first', () => {
  const linear = profileRates('linear', 4, 0.6);
  [0.9, 0.8, 0.7, 0.6].forEach((expected, block) => {
    near(linear[block]!, expected);
  });
  const linear0 = profileRates('linear0', 4, 0.6);
  [1, 0.9, 0.8, 0.7].forEach((expected, block) => {
    near(linear0[block]!, expected);
  });
});

test('dense keeps every block at every step and scales nothing', () => {
  const method = dense(3);
  for (const step of [0, 1000]) {
    assert.deepEqual(method(step), { theta: 1, keepRates: [1, 1, 1], branchScales: [1, 1, 1] });
  }
});

test('pld starts dense, ends at θ̄, and follows 1 − (l/L)(1 − θ(t)) between', () => {
  const method = pld({ layers: 12, thetaBar: 0.5, gamma: '100/T', profile: 'linear', totalSteps: 1000 });
  assert.deepEqual(method(0).keepRates, new Array(12).fill(1));
  near(expectedDepth(method(999).keepRates), 8.75, 1e-10);
  const atTen = 0.5 * Math.exp(-1) + 0.5; // γ·t = 0.1 · 10
  near(method(10).theta, atTen);
  near(method(10).keepRates[5]!, 1 - 0.5 * (1 - atTen));
});

test('pld scales by one over the very rate that it samples with', () => {
  const { keepRates, branchScales } = pld({ ...settings, layers: 12, totalSteps: 1000 })(500);
  keepRates.forEach((keepRate, block) => {
    near(keepRate * branchScales[block]!, 1);
  });
});

test('the settings name the method', () => {
  assert.equal(depthMethod({ ...settings, method: 'dense' }, 12, 1000)(999).theta, 1);
  near(depthMethod(settings, 12, 1000)(999).theta, 0.5, 1e-10);
});

test('only pld is warned of a slow gamma', () => {
  assert.equal(depthWarnings({ ...settings, gamma: 0.001 }, 1000).length, 1);
  assert.deepEqual(depthWarnings(settings, 1000), []);
  assert.deepEqual(depthWarnings({ ...settings, method: 'dense', gamma: 0.001 }, 1000), []);
});
