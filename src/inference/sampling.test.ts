import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleFrom } from './sampling.ts';

// Probabilities ½, ¼, ⅛, ⅛.
const logits = [0.5, 0.25, 0.125, 0.125].map(Math.log);
const draws = (options: { temperature?: number; topP?: number }) =>
  Array.from({ length: 16 }, (_, i) => sampleFrom(logits, { temperature: 1, topP: 1, ...options }, (i + 0.5) / 16));
const counts = (places: number[]) => [0, 1, 2, 3].map((place) => places.filter((found) => found === place).length);

test('tokens are drawn as often as their probability says', () => {
  assert.deepEqual(counts(draws({})), [8, 4, 2, 2]);
});

test('temperature 0 takes the likeliest, and a half squares the probabilities', () => {
  assert.deepEqual(counts(draws({ temperature: 0 })), [16, 0, 0, 0]);
  // ¼, 1/16, 1/64, 1/64 of 22/64: 11.6, 2.9, 0.7 and 0.7 of 16
  assert.deepEqual(counts(draws({ temperature: 0.5 })), [12, 3, 0, 1]);
});

test('topP leaves the likeliest tokens that reach it together, and at least one', () => {
  assert.deepEqual(counts(draws({ topP: 0.75 })), [11, 5, 0, 0]);
  assert.deepEqual(counts(draws({ topP: 0.76 })), [9, 5, 2, 0]);
  assert.deepEqual(counts(draws({ topP: 0.01 })), [16, 0, 0, 0]);
});
