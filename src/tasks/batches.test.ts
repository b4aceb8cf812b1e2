import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf } from '../data/batch.ts';
import { wordTokenizer } from '../data/fixtures.ts';
import { partsOf, shuffledBatches, sortedBatches } from './batches.ts';
import { encodeTexts } from './sequences.ts';
import type { Encoded } from './task.ts';

const tokenizer = wordTokenizer(100);
const { clsId, sepId, padId } = tokenizer;
const words = (from: number, count: number) => Array.from({ length: count }, (_, i) => `w${from + i}`).join(' ');
const ids = async (text: string) => [...(await tokenizer.encode(text))];

test('an example is [CLS] A [SEP], or [CLS] A [SEP] B [SEP] with the second text of type 1', async () => {
  const [one, two] = await encodeTexts([['w1 w2'], ['w1 w2', 'w3']], tokenizer, 16);
  assert.deepEqual([...one!.ids], [clsId, ...(await ids('w1 w2')), sepId]);
  assert.equal(one!.secondStart, 4);
  assert.deepEqual([...two!.ids], [clsId, ...(await ids('w1 w2')), sepId, ...(await ids('w3')), sepId]);
  const batch = batchOf([two!], { padId, maxPositions: 64 });
  assert.deepEqual([...batch.tokenTypeIds], [0, 0, 0, 0, 1, 1, 0, 0]);
  assert.deepEqual(batch.documents, [[6]]);
});

test('padding never exceeds the positions of the model', async () => {
  const encoded = await encodeTexts([[words(0, 20)]], tokenizer, 12);
  assert.equal(batchOf(encoded, { padId, maxPositions: 12 }).sequenceLength, 12);
});

test('a text that is too long is truncated at its end; of a pair, the longer text first', async () => {
  const [one, two] = await encodeTexts([[words(0, 20)], [words(0, 9), words(20, 4)]], tokenizer, 12);
  assert.deepEqual([...one!.ids], [clsId, ...(await ids(words(0, 10))), sepId]);
  assert.deepEqual([...two!.ids], [clsId, ...(await ids(words(0, 5))), sepId, ...(await ids(words(20, 4))), sepId]);
});

test('an epoch has each example once, in batches of similar lengths, in its own order', async () => {
  const texts = Array.from({ length: 503 }, (_, i) => [words(0, 1 + ((7 * i) % 60))]);
  const encoded = (await encodeTexts(texts, tokenizer, 64)).map((one): Encoded => ({ sequences: [one] }));
  const epoch = (n: number, seed = 1) => shuffledBatches(encoded, 8, { seed, epoch: n });
  const batches = epoch(1);
  const order = batches.flat();
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...encoded.keys()],
  );
  assert.deepEqual(epoch(1), batches);
  assert.notDeepEqual(epoch(2).flat(), order);
  assert.notDeepEqual(epoch(1, 2).flat(), order);
  const made = batches.map((own) =>
    batchOf(
      own.map((i) => encoded[i]!.sequences[0]!),
      { padId, maxPositions: 64 },
    ),
  );
  const padded = made.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const tokens = encoded.reduce((sum, { sequences: [one] }) => sum + one!.ids.length, 0);
  // Padding to the longest of random batches would nearly double the work.
  assert.ok(padded < 1.25 * tokens, `${padded} places for ${tokens} tokens`);
  const lengths = made.map(({ sequenceLength }) => sequenceLength);
  assert.notDeepEqual(
    lengths,
    [...lengths].sort((a, b) => a - b),
    'short ones do not all come first',
  );
});

test('examples are divided into parts of a given number of sequences, and none is torn', () => {
  const one = { ids: new Int32Array(3), secondStart: 3 };
  const examples = [1, 1, 3, 2, 5, 1].map(
    (count): Encoded => ({ sequences: Array.from({ length: count }, () => one) }),
  );
  const sizes = partsOf(examples, 4).map((part) => part.map(({ sequences }) => sequences.length));
  assert.deepEqual(sizes, [[1, 1], [3], [2], [5], [1]]);
  assert.deepEqual(partsOf(examples, 100).length, 1);
});

test('for evaluation examples are sorted by length', async () => {
  const texts = [3, 1, 2].map((count) => [words(0, count)]);
  const encoded = (await encodeTexts(texts, tokenizer, 64)).map((sequence): Encoded => ({ sequences: [sequence] }));
  assert.deepEqual(sortedBatches(encoded, 2), [[1, 2], [0]]);
});
