import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { corpusOf, wordsText, wordTokenizer } from './fixtures.ts';
import { type CorpusView, splitCorpus, wholeCorpus } from './split.ts';

const tokenizer = wordTokenizer(10);

function corpusOfLengths(t: TestContext, lengths: number[]) {
  return corpusOf(
    t,
    tokenizer,
    lengths.map((length) => wordsText(new Array(length).fill(1))),
  );
}

/** How often each token of the corpus is in the views. */
function coverage(tokens: number, ...views: CorpusView[]): number[] {
  const times = new Array(tokens).fill(0);
  for (const { starts, lengths } of views) {
    starts.forEach((start, i) => {
      for (let at = start; at < start + lengths[i]!; at++) times[at]++;
    });
  }
  return times;
}

test('every token is in one of the two views, and the held-out one has its fraction exactly', async (t) => {
  const lengths = Array.from({ length: 50 }, (_, i) => 1 + ((i * 37) % 90));
  const corpus = await corpusOfLengths(t, lengths);
  const { tokens } = corpus.index;
  for (const fraction of [0, 0.01, 0.1, 0.5, 1]) {
    const { train, valid } = splitCorpus(corpus, fraction);
    assert.equal(valid.tokens, Math.round(fraction * tokens));
    assert.equal(train.tokens + valid.tokens, tokens);
    assert.ok(coverage(tokens, train, valid).every((times) => times === 1));
    assert.ok([...train.lengths, ...valid.lengths].every((length) => length > 0));
  }
});

test('at most one document is cut, its head stays in training', async (t) => {
  const corpus = await corpusOfLengths(t, new Array(40).fill(10));
  const { train, valid } = splitCorpus(corpus, 0.11);
  assert.equal(valid.lengths.length, 5);
  assert.deepEqual([...valid.lengths].sort(), [10, 10, 10, 10, 4]);
  const cut = [...valid.lengths].indexOf(4);
  const head = [...train.lengths].indexOf(6);
  assert.equal(train.starts[head]! + 6, valid.starts[cut]);
});

test('held-out documents come from all over the corpus', async (t) => {
  const { valid } = splitCorpus(await corpusOfLengths(t, new Array(200).fill(5)), 0.1);
  const documents = [...valid.starts].map((start) => start / 5);
  assert.equal(documents.length, 20);
  assert.ok(documents.filter((document) => document < 100).length >= 4);
  assert.ok(documents.filter((document) => document >= 100).length >= 4);
});

test('one huge document is divided as well', async (t) => {
  const { train, valid } = splitCorpus(await corpusOfLengths(t, [1000]), 0.05);
  assert.deepEqual([[...train.starts], [...train.lengths]], [[0], [950]]);
  assert.deepEqual([[...valid.starts], [...valid.lengths]], [[950], [50]]);
});

test('the whole corpus is a view too', async (t) => {
  const view = wholeCorpus(await corpusOfLengths(t, [3, 1, 5]));
  assert.deepEqual([[...view.starts], [...view.lengths], view.tokens], [[0, 3, 4], [3, 1, 5], 9]);
});

test('documents that are left out are in neither view, and the fraction is that of the others', async (t) => {
  const lengths = Array.from({ length: 60 }, (_, i) => 1 + ((i * 37) % 90));
  const corpus = await corpusOfLengths(t, lengths);
  const dropped = Uint32Array.from(lengths.keys()).filter((document) => document % 3 === 0);
  const { train, valid } = splitCorpus(corpus, 0.2, dropped);
  const kept = lengths.filter((_, document) => document % 3 !== 0).reduce((sum, length) => sum + length, 0);
  assert.equal(valid.tokens, Math.round(0.2 * kept));
  assert.equal(train.tokens + valid.tokens, kept);
  const times = coverage(corpus.index.tokens, train, valid);
  const { documentStarts } = corpus;
  lengths.forEach((length, document) => {
    const start = documentStarts[document]!;
    assert.deepEqual(times.slice(start, start + length), new Array(length).fill(document % 3 === 0 ? 0 : 1));
  });
  const whole = wholeCorpus(corpus, dropped);
  assert.deepEqual([whole.tokens, whole.starts.length], [kept, 40]);
});
