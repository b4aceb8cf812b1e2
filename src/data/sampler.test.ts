import assert from 'node:assert/strict';
import { test } from 'node:test';
import { range } from './fixtures.ts';
import { isReadInBlocks, permute, permuteInBlocks, sampleAt } from './sampler.ts';

function order(count: number, seed: number, epoch: number): number[] {
  return Array.from({ length: count }, (_, i) => permute(i, count, { seed, epoch }));
}

test('an epoch visits each sample once, for any number of samples', () => {
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

test('the position of a sample is uniform and independent of that of its neighbour', () => {
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

test('a position far into a run is found quickly', () => {
  const count = 4_000_000_000;
  const position = 123 * count + 17;
  const { epoch, index } = sampleAt(position, { count, seed: 5 });
  assert.equal(epoch, 123);
  assert.equal(index, permuteInBlocks(17, count, { seed: 5, epoch: 123 }));
  assert.ok(index >= 0 && index < count);
  assert.deepEqual(sampleAt(6, { count: 3, seed: 5 }).epoch, 2);
});

const [group, perBlock] = [2 ** 13, 2 ** 20];

test('a permutation in blocks visits each sample once, for any remainder after the last group and block', () => {
  const blocks = { groupSize: 8, groupsPerBlock: 4 };
  for (const count of [...range(64, 200), 1001, 4095, 4096, 4097]) {
    assert.ok(isReadInBlocks(count, blocks));
    for (const epoch of [0, 1]) {
      const found = range(0, count - 1).map((index) => permuteInBlocks(index, count, { seed: 3, epoch }, blocks));
      assert.deepEqual(
        found.toSorted((a, b) => a - b),
        range(0, count - 1),
        `${count}`,
      );
    }
  }
  assert.ok(!isReadInBlocks(63, blocks));
});

test('fewer than 2^21 samples are permuted as one', () => {
  for (const count of [1000, 2 * perBlock - 1]) {
    for (const position of [0, 1, 999, count - 1])
      assert.equal(sampleAt(position, { count, seed: 5 }).index, permute(position, count, { seed: 5, epoch: 0 }));
  }
});

/** The first `size` samples from `position` on. */
const drawn = (position: number, size: number, count: number, seed = 1) =>
  Array.from({ length: size }, (_, i) => sampleAt(position + i, { count, seed }).index);

test('many samples are read from a few places of the text at a time', () => {
  const count = 1e9;
  for (const position of [0, 3e8, count - perBlock - 1, 5.5 * count]) {
    const places = new Set(drawn(position, 20_000, count).map((index) => Math.floor(index / group)));
    // At most 192 groups of a block, each of which lies across two of these; two blocks where it ends on the way.
    assert.ok(places.size > 128 && places.size <= 4 * 192, `${places.size}`);
  }
});

test('a batch of many samples comes from all over the text, and its neighbours are not neighbours there', () => {
  const count = 1e9;
  const blocks = 40;
  const tenths = new Array(10).fill(0);
  let near = 0;
  for (let block = 0; block < blocks; block++) {
    const batch = drawn(block * 24e6, 1000, count);
    for (const index of batch) tenths[Math.floor((10 * index) / count)]! += 1;
    near += batch.filter((index, i) => i > 0 && Math.abs(index - batch[i - 1]!) < group).length;
  }
  // Samples of one group fall together: a tenth of the text has a tenth of the groups, whose number is about binomial.
  const drawnAll = 1000 * blocks;
  const standardError = Math.sqrt(drawnAll * 0.09 * (1 + 1000 / 128));
  for (const times of tenths) assert.ok(Math.abs(times - drawnAll / 10) < 4 * standardError, `${times}`);
  // Two draws are of one group, or of its neighbour's part within reach, once in 128 groups or a few more.
  const chance = (drawnAll - blocks) / 128;
  assert.ok(near > 0.6 * chance && near < 1.1 * chance, `${near} of ${chance}`);
});

test('the groups differ between epochs and seeds', () => {
  const count = 3 * perBlock + 77;
  const first = (seed: number, epoch: number) => drawn(epoch * count, 1000, count, seed);
  const orders = [first(1, 0), first(1, 1), first(2, 0)];
  for (const [i, a] of orders.entries())
    for (const b of orders.slice(i + 1)) assert.ok(a.filter((sample, at) => sample === b[at]).length <= 2);
  // Of two samples in one group of an epoch, most are in two groups of the next: their borders differ.
  const starts = range(0, 3).map((epoch) => Math.min(...drawn(epoch * count, 100_000, count)) % group);
  assert.equal(new Set(starts).size, 4);
});
