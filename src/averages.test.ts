import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mean, median } from './averages.ts';

test('the mean and the median of numbers in any order', () => {
  const values = [9, 1, 2];
  assert.deepEqual([mean(values), median(values), median([9, 1, 2, 4])], [4, 2, 3]);
  assert.deepEqual(values, [9, 1, 2]);
  assert.deepEqual([mean([]), median([])], [Number.NaN, Number.NaN]);
});
