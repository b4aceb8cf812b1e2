import assert from 'node:assert/strict';
import { test } from 'node:test';
import { permute, sampleAt } from './sampler.ts';

function order(count: number, seed: number, epoch: number): number[] {
  return Array.from({ length: count }, (_, i) => permute(i, count, { seed, epoch }));
}

test('an epoch visits each sample once, whatever their number', () => {
  for (const count of [1, 2, 3, 4, 5, 15, 16, 17, 64, 65, 1000, 4097]) {
    assert.deepEqual(
      order(count, 1, 0).sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
      `${count}`,
    );
  }
});

test('the order differs between epochs, seeds and from the order on disk', () => {
  const orders = [order(1000, 1, 0), order(1000, 1, 1), order(1000, 2, 0), order(1000, 2 ** 40 + 1, 0)];
  orders.push(Array.from({ length: 1000 }, (_, i) => i));
  for (const [a, first] of orders.entries()) {
    for (const second of orders.slice(a + 1)) {
      // Two random permutations agree in one place on average (Poisson), rarely in more than seven.
      assert.ok(first.filter((sample, i) => sample === second[i]).length <= 7);
    }
  }
});

test('each order of three samples is about equally likely', () => {
  const times = new Map<string, number>();
  for (let seed = 0; seed < 6000; seed++) {
    const key = order(3, seed, 0).join();
    times.set(key, (times.get(key) ?? 0) + 1);
  }
  assert.equal(times.size, 6);
  const standardError = Math.sqrt(6000 * (1 / 6) * (5 / 6));
  for (const [key, count] of times) assert.ok(Math.abs(count - 1000) < 4 * standardError, `${key}: ${count}`);
});

test('where a sample goes is uniform and independent of where its neighbour goes', () => {
  const [count, draws] = [10, 5000];
  const places = Array.from({ length: count }, () => new Array<number>(count).fill(0));
  let ascending = 0;
  for (let epoch = 0; epoch < draws; epoch++) {
    const now = order(count, 7, epoch);
    for (const [i, sample] of now.entries()) places[i]![sample]!++;
    if (now[0]! < now[1]!) ascending++;
  }
  const standardError = Math.sqrt(draws * 0.1 * 0.9);
  for (const times of places.flat()) assert.ok(Math.abs(times - draws / count) < 4.5 * standardError, `${times}`);
  assert.ok(Math.abs(ascending - draws / 2) < 4 * Math.sqrt(draws / 4), `${ascending}`);
});

test('a position far into a run is found at once', () => {
  const count = 4_000_000_000;
  const position = 123 * count + 17;
  const { epoch, index } = sampleAt(position, { count, seed: 5 });
  assert.equal(epoch, 123);
  assert.equal(index, permute(17, count, { seed: 5, epoch: 123 }));
  assert.ok(index >= 0 && index < count);
  assert.deepEqual(sampleAt(6, { count: 3, seed: 5 }).epoch, 2);
});
