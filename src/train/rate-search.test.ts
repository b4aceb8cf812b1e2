import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestRate, nextRate, type TriedRate } from './rate-search.ts';

/** What the search tries, and what it finds, where the loss is a function of the learning rate. */
function searched(first: number, lossOf: (rate: number) => number): { rates: number[]; best: number } {
  const tried: TriedRate[] = [];
  for (let rate: number | undefined = first; rate !== undefined; rate = nextRate(tried, first))
    tried.push({ learningRate: rate, loss: lossOf(rate) });
  return { rates: tried.map(({ learningRate }) => learningRate), best: bestRate(tried) };
}

/** A parabola over log₂ of the rate. */
const valley = (best: number) => (rate: number) => 4 + 0.05 * Math.log2(rate / best) ** 2;

test('the search goes up or down until the best rate has a worse one on either side, and finds the vertex', () => {
  assert.deepEqual(searched(1e-3, valley(1e-3)), { rates: [1e-3, 2e-3, 5e-4], best: 1e-3 });
  assert.deepEqual(searched(1e-3, valley(3.1e-3)), { rates: [1e-3, 2e-3, 4e-3, 8e-3], best: 3.1e-3 });
  assert.deepEqual(searched(1e-3, valley(2.2e-4)), { rates: [1e-3, 2e-3, 5e-4, 2.5e-4, 1.25e-4], best: 2.2e-4 });
});

test('a rate that diverges is worse than all others', () => {
  const { rates, best } = searched(1e-3, (rate) => (rate > 1e-3 ? Infinity : valley(1e-3)(rate)));
  assert.deepEqual(rates, [1e-3, 2e-3, 5e-4]);
  assert.equal(best, 1e-3); // its upper neighbour says nothing of where the vertex is
});

test('a best rate far from the first is found, wherever it is', () => {
  for (const best of [1e-7, 2e-3, 40]) assert.equal(searched(1e-5, valley(best)).best, best);
});

test('where the first rate diverges the search goes down, and ends where all do', () => {
  assert.deepEqual(
    searched(1, (rate) => (rate > 0.1 ? Infinity : valley(0.05)(rate))).rates,
    [1, 0.5, 0.25, 0.125, 0.0625, 0.03125],
  );
  const { rates } = searched(1, () => Infinity);
  assert.deepEqual(rates, [1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625, 0.001953125]);
});
