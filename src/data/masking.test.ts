import assert from 'node:assert/strict';
import { test } from 'node:test';
import { range, wordTokenizer } from './fixtures.ts';
import { maskTokens, nextTokens } from './masking.ts';

const tokenizer = wordTokenizer(1000);
const { clsId, sepId, unkId, maskId, padId } = tokenizer;
const continuation = 8;
const special = [padId, unkId, clsId, sepId, maskId];

/** [CLS] 60 words [SEP] [UNK] 39 words [SEP] */
const sequence = Int32Array.from([clsId, ...range(100, 159), sepId, unkId, ...range(300, 338), sepId]);
const numCandidates = 99;

const key = (sample: number, seed = 1, epoch = 0) => ({ seed, epoch, sample });

test('exactly the rate is masked, once each, and never a special token', () => {
  for (const [maskRate, expected] of [
    [0.15, 15],
    [0.5, 50],
    [0.001, 1],
    [1, 99],
  ] as const) {
    const mask = maskTokens(tokenizer, { maskRate });
    for (let sample = 0; sample < 50; sample++) {
      const ids = sequence.slice();
      const { positions, labels } = mask(ids, key(sample));
      assert.equal(positions.length, expected);
      assert.equal(new Set(positions).size, expected);
      assert.deepEqual(
        [...positions],
        [...positions].sort((a, b) => a - b),
      );
      assert.deepEqual(
        [...labels],
        [...positions].map((position) => sequence[position]),
      );
      assert.ok(labels.every((label) => !special.includes(label)));
      for (const i of ids.keys()) if (!positions.includes(i)) assert.equal(ids[i], sequence[i]);
    }
  }
});

test('masked tokens become [MASK] in 80 % of cases, a random token in 10 %, and stay in 10 %', () => {
  const mask = maskTokens(tokenizer, { maskRate: 0.15 });
  const numSamples = 2000;
  const [times, kinds] = [new Array(sequence.length).fill(0), { mask: 0, same: 0, random: 0 }];
  const randomTokens = new Set<number>();
  for (let sample = 0; sample < numSamples; sample++) {
    const ids = sequence.slice();
    const { positions, labels } = mask(ids, key(sample));
    positions.forEach((position, i) => {
      times[position]++;
      if (ids[position] === maskId) kinds.mask++;
      else if (ids[position] === labels[i]) kinds.same++;
      else {
        kinds.random++;
        randomTokens.add(ids[position]!);
      }
    });
  }
  const total = 15 * numSamples;
  const near = (count: number, of: number, rate: number, what: string) =>
    assert.ok(Math.abs(count - of * rate) < 4 * Math.sqrt(of * rate * (1 - rate)), `${what}: ${count} of ${of}`);
  near(kinds.mask, total, 0.8, 'mask');
  near(kinds.same, total, 0.1, 'same'); // and one in a thousand of the random ones
  near(kinds.random, total, 0.1, 'random');
  for (const i of sequence.keys()) {
    if (special.includes(sequence[i]!)) assert.equal(times[i], 0);
    else near(times[i], numSamples, 15 / numCandidates, `position ${i}`);
  }
  assert.ok(randomTokens.size > 850); // about 3000 draws of 1004 tokens reach 95 % of them
  assert.ok(special.every((id) => !randomTokens.has(id)));
});

test('masks depend on seed, epoch and sample, and on nothing else', () => {
  const mask = maskTokens(tokenizer, { maskRate: 0.15 });
  const masked = (sample: number, seed?: number, epoch?: number) => {
    const ids = sequence.slice();
    mask(ids, key(sample, seed, epoch));
    return [...ids];
  };
  const once = masked(3, 1, 2);
  masked(4);
  assert.deepEqual(masked(3, 1, 2), once);
  for (const other of [masked(4, 1, 2), masked(3, 2, 2), masked(3, 1, 3)]) assert.notDeepEqual(other, once);
});

test('whole words are masked together', () => {
  // Words of one, two, three, one and two tokens.
  const ids = Int32Array.from([
    clsId,
    20,
    21,
    continuation,
    22,
    continuation,
    continuation,
    23,
    24,
    continuation,
    sepId,
  ]);
  const words = [[1], [2, 3], [4, 5, 6], [7], [8, 9]];
  const mask = maskTokens(tokenizer, { maskRate: 0.34, wholeWord: true }); // three of nine
  const seen = new Set<string>();
  for (let sample = 0; sample < 200; sample++) {
    const { positions } = mask(ids.slice(), key(sample));
    const chosen = words.filter((word) => word.some((position) => positions.includes(position)));
    assert.deepEqual([...positions], chosen.flat());
    seen.add(positions.join());
  }
  // Up to three tokens: a third one is missing where only longer words are left.
  assert.deepEqual(seen, new Set(['4,5,6', '1,2,3', '2,3,7', '1,8,9', '7,8,9', '1,7']));
});

test('a word that is longer than the number is masked whole where it comes first', () => {
  const ids = Int32Array.from([clsId, 20, continuation, continuation, sepId]);
  const { positions } = maskTokens(tokenizer, { maskRate: 0.15, wholeWord: true })(ids, key(0));
  assert.deepEqual([...positions], [1, 2, 3]);
});

test('a sequence without ordinary tokens stays as it is', () => {
  const ids = Int32Array.from([clsId, unkId, sepId]);
  const { positions, labels } = maskTokens(tokenizer, { maskRate: 0.15 })(ids, key(0));
  assert.deepEqual([[...ids], positions.length, labels.length], [[clsId, unkId, sepId], 0, 0]);
});

test('next tokens are those of the same document: its first one is not a label', () => {
  const ids = Int32Array.from([10, 11, 12, 13, 14, 15, 16, 17]);
  const { positions, labels } = nextTokens(ids, key(0), [3, 1, 4]);
  assert.deepEqual([...positions], [0, 1, 4, 5, 6]);
  assert.deepEqual([...labels], [11, 12, 15, 16, 17]);
});
