import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawSeed, philox4x32, Stream, seedKey } from './philox.ts';

test('Philox4x32-10 gives the known answers that Random123 publishes', () => {
  // Random123, tests/kat_vectors, the lines "philox4x32 10".
  const ones = 0xffffffff;
  assert.deepEqual(philox4x32([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  assert.deepEqual(
    philox4x32([ones, ones, ones, ones], [ones, ones]),
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  );
  assert.deepEqual(
    philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

test('the words of 100,000 counters are uniform: each bit is set half the time', () => {
  const numDraws = 100_000;
  const set = new Array<number>(32).fill(0);
  for (let i = 0; i < numDraws; i++) {
    const [word] = philox4x32([i, 0, 0, Stream.gate], [1, 0]);
    for (let bit = 0; bit < 32; bit++) set[bit]! += (word >>> bit) & 1;
  }
  const standardError = 0.5 / Math.sqrt(numDraws);
  for (const count of set) assert.ok(Math.abs(count / numDraws - 0.5) < 4 * standardError);
});

test('a seed becomes its low and high 32 bits', () => {
  assert.deepEqual(seedKey(0), [0, 0]);
  assert.deepEqual(seedKey(2 ** 32 - 1), [0xffffffff, 0]);
  assert.deepEqual(seedKey(2 ** 32 + 7), [7, 1]);
  assert.deepEqual(seedKey(2 ** 53 - 1), [0xffffffff, 0x1fffff]);
});

test('a seed that is negative, fractional or above 2^53−1 is refused', () => {
  for (const seed of [-1, 0.5, 2 ** 53, Number.NaN]) assert.throws(() => seedKey(seed), RangeError);
});

test('no two streams share a counter word', () => {
  const words = Object.values(Stream);
  assert.equal(new Set(words).size, words.length);
});

test('a drawn seed is the low 53 bits of the published answer for counter 0 and key 0', () => {
  const [low, high] = [0x6627e8d5n, 0xe169c58dn];
  assert.equal(BigInt(drawSeed([0, 0, 0, 0], 0)), ((high << 32n) | low) & (2n ** 53n - 1n));
});
