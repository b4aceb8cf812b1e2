import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordTokenizer } from '../data/fixtures.ts';
import { encodeExamples, shuffledBatches, sortedBatches } from './batches.ts';
import type { Example } from './example.ts';

const tokenizer = wordTokenizer(100);
const { clsId, sepId, padId } = tokenizer;
const words = (from: number, count: number) => Array.from({ length: count }, (_, i) => `w${from + i}`).join(' ');
const example = (...texts: string[]): Example => ({ texts, target: 1 });
const ids = async (text: string) => [...(await tokenizer.encode(text))];

test('an example is [CLS] A [SEP], or [CLS] A [SEP] B [SEP] with the second text of type 1', async () => {
  const [one, two] = await encodeExamples([example('w1 w2'), example('w1 w2', 'w3')], tokenizer, 16);
  assert.deepEqual([...one!.ids], [clsId, ...(await ids('w1 w2')), sepId]);
  assert.equal(one!.secondStart, 4);
  assert.deepEqual([...two!.ids], [clsId, ...(await ids('w1 w2')), sepId, ...(await ids('w3')), sepId]);
  const [batch] = sortedBatches([two!], { size: 4, padId, maxPositions: 64 });
  assert.deepEqual([...batch!.tokenTypeIds], [0, 0, 0, 0, 1, 1, 0, 0]);
  assert.deepEqual(batch!.documents, [[6]]);
});

test('padding never goes past the positions of the model', async () => {
  const encoded = await encodeExamples([example(words(0, 20))], tokenizer, 12);
  const [batch] = sortedBatches(encoded, { size: 4, padId, maxPositions: 12 });
  assert.equal(batch!.sequenceLength, 12);
});

test('what is too long is cut at its end, of a pair the longer text first', async () => {
  const [one, two] = await encodeExamples([example(words(0, 20)), example(words(0, 9), words(20, 4))], tokenizer, 12);
  assert.deepEqual([...one!.ids], [clsId, ...(await ids(words(0, 10))), sepId]);
  assert.deepEqual([...two!.ids], [clsId, ...(await ids(words(0, 5))), sepId, ...(await ids(words(20, 4))), sepId]);
});

test('an epoch has each example once, in batches of about one length, in an order of its own', async () => {
  const examples = Array.from({ length: 503 }, (_, i) => example(words(0, 1 + ((7 * i) % 60))));
  const encoded = await encodeExamples(examples, tokenizer, 64);
  const epoch = (n: number, seed = 1) => shuffledBatches(encoded, { size: 8, padId, maxPositions: 64, seed, epoch: n });
  const batches = epoch(1);
  const order = batches.flatMap(({ indices }) => indices);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...encoded.keys()],
  );
  assert.deepEqual(epoch(1), batches);
  assert.notDeepEqual(
    epoch(2).flatMap(({ indices }) => indices),
    order,
  );
  assert.notDeepEqual(
    epoch(1, 2).flatMap(({ indices }) => indices),
    order,
  );
  const padded = batches.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const tokens = encoded.reduce((sum, { ids: { length } }) => sum + length, 0);
  // Padding to the longest of random batches would nearly double the work.
  assert.ok(padded < 1.25 * tokens, `${padded} places for ${tokens} tokens`);
  const lengths = batches.map(({ sequenceLength }) => sequenceLength);
  assert.notDeepEqual(
    lengths,
    [...lengths].sort((a, b) => a - b),
    'short ones do not all come first',
  );
});
