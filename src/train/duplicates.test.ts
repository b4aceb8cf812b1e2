import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duplicatesText, hashOf, type Repeated } from './duplicates.ts';

const dropped = (valid: number[], train: number[]): Repeated => ({
  documents: 36_718,
  tokens: 1000,
  exact: valid.length + train.length,
  near: 0,
  repeatedTokens: 31,
  repeated: new Map([
    ['data.valid', Uint32Array.from(valid)],
    ['data.train', Uint32Array.from(train)],
  ]),
  of: () => new Uint32Array(),
  examples: [],
  path: 'duplicates.jsonl',
});

test('what is dropped counts by document and by text', () => {
  const lists = [dropped([], [3]), dropped([3], []), dropped([], [3, 4]), dropped([3], [4])];
  const hashes = lists.map((list) => hashOf(list)[0]);
  assert.equal(new Set(hashes).size, lists.length);
  assert.deepEqual(hashOf(lists[0]), [hashes[0]]);
  assert.deepEqual([hashOf(undefined), hashOf(dropped([], []))], [[], []]);
});

test('the counts are reported in one line', () => {
  assert.equal(
    duplicatesText({ ...dropped([], []), exact: 800, near: 1404 }),
    '2,204 of 36,718 documents repeat others (3.1 % of the tokens): 800 exact, 1,404 near',
  );
});
