import assert from 'node:assert/strict';
import { test } from 'node:test';
import { weightMistakes } from './sources.ts';

/** The weights that are refused in a list of them. */
const refused = (weights: readonly number[]) =>
  weightMistakes(weights.map((weight) => ({ path: 'text', weight }))).map((line) => {
    assert.match(
      line,
      /^data\.train: weight \S+ of text must be at least 1e-9 of the sum of all weights; give a number such as 1, or leave/,
    );
    return Number(line.split(' ')[2]);
  });

test('a weight below a billionth of the sum is refused, and so is one that is not a number', () => {
  assert.deepEqual(refused([2, 1, 1e-8]), []);
  assert.deepEqual(refused([1e-20, 2e-20]), []); // shares count, not their scale
  assert.deepEqual(refused([1e-20, 1]), [1e-20]);
  assert.deepEqual(refused([0, 1]), [0]);
  assert.deepEqual(refused([1, -2]), [-2]);
  assert.deepEqual(refused([0, 0]), [0, 0]);
  assert.ok(refused([1, Number.NaN]).length > 0);
  assert.ok(refused([1, Number.POSITIVE_INFINITY]).length > 0);
});
