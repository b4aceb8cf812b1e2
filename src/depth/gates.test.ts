import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawGates } from './gates.ts';
import { profileRates } from './profile.ts';

test('over 10,000 draws each block runs as often as its keep rate says, within four standard errors', () => {
  const numDraws = 10_000;
  const keepRates = profileRates('linear', 12, 0.5);
  const counts = new Array<number>(12).fill(0);
  for (let step = 0; step < numDraws; step++) {
    drawGates({ seed: 1, step, microBatch: 0, keepRates }).forEach((on, block) => {
      if (on) counts[block]! += 1;
    });
  }
  keepRates.forEach((keepRate, block) => {
    const standardError = Math.sqrt((keepRate * (1 - keepRate)) / numDraws);
    const frequency = counts[block]! / numDraws;
    assert.ok(Math.abs(frequency - keepRate) < 4 * standardError, `block ${block}: ${frequency} is not ${keepRate}`);
  });
});

test('the gates of two blocks, micro-batches, steps and seeds are independent', () => {
  const numDraws = 10_000;
  const draw = (seed: number, step: number, microBatch: number) =>
    drawGates({ seed, step, microBatch, keepRates: [0.5, 0.5] });
  let blocks = 0;
  let microBatches = 0;
  let steps = 0;
  let seeds = 0;
  for (let step = 0; step < numDraws; step++) {
    const [here, above] = draw(1, step, 0);
    if (here === above) blocks++;
    if (here === draw(1, step, 1)[0]) microBatches++;
    if (here === draw(1, step + 1, 0)[0]) steps++;
    if (here === draw(2, step, 0)[0]) seeds++;
  }
  const standardError = 0.5 / Math.sqrt(numDraws);
  for (const same of [blocks, microBatches, steps, seeds]) {
    assert.ok(Math.abs(same / numDraws - 0.5) < 4 * standardError, `${same} of ${numDraws} agree`);
  }
});

test('a gate is on exactly when its Philox word is below p·2^32', () => {
  // Counter 0 and key 0 give the published word 6627e8d5 (Random123's kat_vectors): u = 0.39905…
  const u = 0x6627e8d5 / 2 ** 32;
  const gate = (keepRate: number) => drawGates({ seed: 0, step: 0, microBatch: 0, keepRates: [keepRate] })[0];
  assert.equal(gate(u), false);
  assert.equal(gate(u + 2 ** -32), true);
});

test('a keep rate of 1 is always on and one of 0 never', () => {
  for (let step = 0; step < 1000; step++) {
    assert.deepEqual(drawGates({ seed: 3, step, microBatch: 0, keepRates: [1, 0] }), [true, false]);
  }
});
