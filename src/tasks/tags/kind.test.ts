import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordTokenizer } from '../../data/fixtures.ts';
import { windowsOf } from '../windows.ts';
import { tagKind } from './kind.ts';

const tokenizer = wordTokenizer(100);
const labels = ['O', 'B-X', 'I-X'];
const words = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`);

test('windows hold whole words, overlap by at most a quarter, and leave out none', () => {
  assert.deepEqual(windowsOf([], 6), [{ first: 0, end: 0 }]);
  assert.deepEqual(windowsOf([1, 2, 3], 6), [{ first: 0, end: 3 }]);
  assert.deepEqual(windowsOf([2, 2, 2, 2, 2], 8), [
    { first: 0, end: 4 },
    { first: 3, end: 5 },
  ]);
  assert.deepEqual(windowsOf([8, 8, 1], 8), [
    { first: 0, end: 1 },
    { first: 1, end: 2 },
    { first: 2, end: 3 },
  ]);
  for (let seed = 1; seed < 200; seed++) {
    const lengths = Array.from({ length: 1 + (seed % 23) }, (_, i) => (i * seed * 7) % 9);
    const windows = windowsOf(lengths, 8);
    const read = new Set(windows.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, i) => first + i)));
    assert.equal(read.size, lengths.length);
    for (const { first, end } of windows) assert.ok(lengths.slice(first, end).reduce((a, b) => a + b, 0) <= 8);
  }
});

test('a word is read at its first token, once, in the window that shows more around it', async () => {
  const kind = tagKind(labels);
  const [short] = await kind.encode([{ form: 'columns', words: words(3), tags: [0, 1, 2] }], tokenizer, 16);
  assert.deepEqual([...short!.sequences[0]!.ids].at(0), tokenizer.clsId);
  const perWord = (short!.sequences[0]!.ids.length - 2) / 3;
  assert.deepEqual(
    short!.reads,
    [0, 1, 2].map((i) => ({ window: 0, position: 1 + i * perWord })),
  );
  const [long] = await kind.encode(
    [{ form: 'columns', words: words(20), tags: words(20).map(() => 0) }],
    tokenizer,
    10 * perWord + 2,
  );
  assert.ok(long!.sequences.length > 1);
  assert.equal(kind.numOutputs(long!), 20);
  for (const [i, read] of long!.reads.entries()) {
    const id = long!.sequences[read!.window]!.ids[read!.position]!;
    assert.equal(id, (await tokenizer.encode(`w${i}`))[0], `word ${i}`);
  }
});

test('a word of no tokens has no output and is of no entity', async () => {
  const kind = tagKind(labels);
  const [one] = await kind.encode([{ form: 'columns', words: ['w1', '\ufffd', 'w2'], tags: [1, 0, 1] }], tokenizer, 16);
  assert.equal(one!.reads[1], undefined);
  assert.equal(kind.numOutputs(one!), 2);
  assert.deepEqual(kind.predict(Float32Array.of(0, 9, 0, 0, 0, 9), one!), ['B-X', 'O', 'I-X']);
});
