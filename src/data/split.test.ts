import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Corpus } from './corpus.ts';
import { corpusOf, range, sparseCorpus, wordsText, wordTokenizer } from './fixtures.ts';
import { permute } from './sampler.ts';
import { boundsIn, type CorpusView, splitCorpus, wholeCorpus } from './split.ts';

const tokenizer = wordTokenizer(10);

function corpusOfLengths(t: TestContext, lengths: number[]) {
  return corpusOf(
    t,
    tokenizer,
    lengths.map((length) => wordsText(new Array(length).fill(1))),
  );
}

/** A view, where its documents begin, and how long they are there. */
function runsOf(view: CorpusView) {
  const boundsOf = boundsIn(view);
  const runs = view.pieces.flatMap((_, piece) => {
    const bounds = boundsOf(piece);
    return range(1, bounds.length - 1).map((i) => [bounds[i - 1]!, bounds[i]! - bounds[i - 1]!] as const);
  });
  assert.equal(runs.length, view.documents);
  assert.ok(view.pieces.every(({ documents }) => documents <= 256)); // what is read at once
  return { ...view, starts: runs.map(([start]) => start), lengths: runs.map(([, length]) => length) };
}

const divided = (corpus: Corpus, fraction: number, dropped?: Uint32Array) => {
  const { train, valid } = splitCorpus(corpus, fraction, dropped);
  return { train: runsOf(train), valid: runsOf(valid) };
};

/** How often each token of the corpus is in the views. */
function coverage(tokens: number, ...views: ReturnType<typeof runsOf>[]): number[] {
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
    const { train, valid } = divided(corpus, fraction);
    assert.equal(valid.tokens, Math.round(fraction * tokens));
    assert.equal(train.tokens + valid.tokens, tokens);
    assert.ok(coverage(tokens, train, valid).every((times) => times === 1));
    assert.ok([...train.lengths, ...valid.lengths].every((length) => length > 0));
  }
});

test('at most one document is cut, its head stays in training', async (t) => {
  const corpus = await corpusOfLengths(t, new Array(40).fill(10));
  const { train, valid } = divided(corpus, 0.11);
  assert.equal(valid.lengths.length, 5);
  assert.deepEqual([...valid.lengths].sort(), [10, 10, 10, 10, 4]);
  const cut = [...valid.lengths].indexOf(4);
  const head = [...train.lengths].indexOf(6);
  assert.equal(train.starts[head]! + 6, valid.starts[cut]);
});

test('held-out documents come from all over the corpus', async (t) => {
  const { valid } = divided(await corpusOfLengths(t, new Array(200).fill(5)), 0.1);
  const documents = [...valid.starts].map((start) => start / 5);
  assert.equal(documents.length, 20);
  assert.ok(documents.filter((document) => document < 100).length >= 4);
  assert.ok(documents.filter((document) => document >= 100).length >= 4);
});

test('one huge document is divided, too', async (t) => {
  const { train, valid } = divided(await corpusOfLengths(t, [1000]), 0.05);
  assert.deepEqual([[...train.starts], [...train.lengths]], [[0], [950]]);
  assert.deepEqual([[...valid.starts], [...valid.lengths]], [[950], [50]]);
});

test('the whole corpus is a view too', async (t) => {
  const view = runsOf(wholeCorpus(await corpusOfLengths(t, [3, 1, 5])));
  assert.deepEqual([[...view.starts], [...view.lengths], view.tokens], [[0, 3, 4], [3, 1, 5], 9]);
});

test('dropped documents are in neither view, and the fraction is that of the others', async (t) => {
  const lengths = Array.from({ length: 60 }, (_, i) => 1 + ((i * 37) % 90));
  const corpus = await corpusOfLengths(t, lengths);
  const dropped = Uint32Array.from(lengths.keys()).filter((document) => document % 3 === 0);
  const { train, valid } = divided(corpus, 0.2, dropped);
  const kept = lengths.filter((_, document) => document % 3 !== 0).reduce((sum, length) => sum + length, 0);
  assert.equal(valid.tokens, Math.round(0.2 * kept));
  assert.equal(train.tokens + valid.tokens, kept);
  const times = coverage(corpus.index.tokens, train, valid);
  const starts = corpus.documentStarts(0, 60);
  lengths.forEach((length, document) => {
    const start = starts[document]!;
    assert.deepEqual(times.slice(start, start + length), new Array(length).fill(document % 3 === 0 ? 0 : 1));
  });
  const whole = wholeCorpus(corpus, dropped);
  assert.deepEqual([whole.tokens, whole.documents], [kept, 40]);
});

test('documents of many blocks are divided like those of one, for any cut', async (t) => {
  const lengths = Array.from({ length: 700 }, (_, i) => 1 + ((i * 37) % 9));
  const corpus = await corpusOfLengths(t, lengths);
  const { tokens } = corpus.index;
  for (const fraction of [0.003, 0.1, 0.5]) {
    const { train, valid } = divided(corpus, fraction);
    assert.equal(valid.tokens, Math.round(fraction * tokens));
    assert.ok(coverage(tokens, train, valid).every((times) => times === 1));
    // By documents, as it is defined: in the order of the permutation, until there is enough.
    let missing = valid.tokens;
    const heldOut = range(0, 699)
      .map((i) => permute(i, 700, { seed: 0, epoch: 0 }))
      .flatMap((document) => {
        const held = Math.min(missing, lengths[document]!);
        missing -= held;
        const end = lengths.slice(0, document + 1).reduce((sum, length) => sum + length, 0);
        return held > 0 ? [[end - held, held] as const] : [];
      })
      .sort(([a], [b]) => a - b);
    assert.deepEqual(
      valid.starts.map((start, i) => [start, valid.lengths[i]]),
      heldOut,
    );
  }
});

test('of more than 2^20 documents blocks of 256 are held out, and one of them is cut', (t) => {
  const lengths = Uint32Array.from({ length: 2 ** 20 + 300 }, (_, i) => 1 + (i % 7));
  const corpus = sparseCorpus(t, lengths);
  for (const fraction of [0, 0.0001, 0.05]) {
    const { train, valid } = divided(corpus, fraction);
    assert.equal(valid.tokens, Math.round(fraction * corpus.index.tokens));
    assert.ok(coverage(corpus.index.tokens, train, valid).every((times) => times === 1));
    const cut = valid.pieces.filter((piece) => piece.document % 256 !== 0);
    assert.ok(cut.length <= 1 && valid.pieces.length <= 1 + valid.tokens / 1000);
    assert.ok([0, 1].includes(train.documents + valid.documents - lengths.length)); // a document that is cut is in both
  }
});

test('of more than 2^20 documents, dropped ones do not affect the rest of their blocks', (t) => {
  const lengths = Uint32Array.from({ length: 2 ** 20 + 300 }, (_, i) => 1 + (i % 7));
  const corpus = sparseCorpus(t, lengths);
  const dropped = Uint32Array.from({ length: 5000 }, (_, i) => 200 * i + (i % 3));
  const gone = new Set(dropped);
  const kept = lengths.reduce((sum, length, document) => sum + (gone.has(document) ? 0 : length), 0);
  const { train, valid } = divided(corpus, 0.05, dropped);
  assert.equal(valid.tokens, Math.round(0.05 * kept));
  assert.equal(train.tokens + valid.tokens, kept);
  const times = coverage(corpus.index.tokens, train, valid);
  let at = 0;
  lengths.forEach((length, document) => {
    for (let i = 0; i < length; i++, at++)
      if (times[at] !== (gone.has(document) ? 0 : 1)) assert.fail(`document ${document}: ${times[at]} times`);
  });
});

test('dropped documents cost neither an object for each document of their blocks nor a read each', (t) => {
  const blocks = sparseCorpus(t, new Uint32Array(2 ** 20 + 300).fill(3));
  const { documentStarts } = blocks;
  const before = process.memoryUsage().heapUsed;
  let grown = 0;
  t.mock.method(blocks, 'documentStarts', (first: number, count: number) => {
    grown = Math.max(grown, process.memoryUsage().heapUsed - before);
    return documentStarts.call(blocks, first, count);
  });
  wholeCorpus(
    blocks,
    Uint32Array.from({ length: 5000 }, (_, i) => 200 * i),
  );
  assert.ok(grown < 48e6, `${grown} bytes`);
  const few = sparseCorpus(t, new Uint32Array(20_000).fill(3));
  const { mock } = t.mock.method(few, 'documentStarts');
  wholeCorpus(
    few,
    Uint32Array.from({ length: 2000 }, (_, i) => 10 * i),
  );
  assert.equal(mock.callCount(), 2);
});
