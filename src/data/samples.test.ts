import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DataError } from '../errors/index.ts';
import { corpusOf, range, sparseCorpus, wordsText, wordTokenizer } from './fixtures.ts';
import { type Objective, samplesOf } from './objectives.ts';
import type { Packing, Sample } from './samples.ts';
import { splitCorpus, wholeCorpus } from './split.ts';

const tokenizer = wordTokenizer(2000);
const [cls, sep, stop, firstWord] = [2, 3, 5, 9];

async function samplesOfDocuments(
  t: TestContext,
  documents: number[][],
  sequenceLength: number,
  objective: Objective = 'mlm+nsp',
  packing?: Packing,
) {
  const corpus = await corpusOf(t, tokenizer, documents.map(wordsText));
  return samplesOf(wholeCorpus(corpus), { tokenizer, sequenceLength, objective, ...(packing && { packing }) });
}

/** The two segments of a pair as word numbers; a full stop is negative. */
function segments({ ids, secondStart }: Sample): [number[], number[]] {
  assert.equal(ids[0], cls);
  assert.equal(ids[secondStart - 1], sep);
  assert.equal(ids.at(-1), sep);
  const numbers = (part: Int32Array) => [...part].map((id) => (id === stop ? -1 : id - firstWord));
  return [numbers(ids.subarray(1, secondStart - 1)), numbers(ids.subarray(secondStart, -1))];
}

const key = (sample: number, seed = 1, epoch = 0) => ({ seed, epoch, sample });

test('windows cover every token, stay within a document and are full where it is long enough', async (t) => {
  const lengths = [25, 10, 11, 4, 3, 9, 100];
  const documents = lengths.map((length, d) => range(200 * d, 200 * d + length - 1));
  const samples = await samplesOfDocuments(t, documents, 13);
  // ceil(n / 10) windows of 13 − 3 tokens each; three tokens are too few for a pair.
  assert.equal(samples.count, 3 + 1 + 2 + 1 + 0 + 1 + 10);
  const seen = new Set<number>();
  for (let sample = 0; sample < samples.count; sample++) {
    // Some epoch has the true second segment, and with it the whole window.
    const whole = range(0, 40)
      .map((epoch) => samples.read(key(sample, 1, epoch)))
      .find(({ nextSentenceLabel }) => nextSentenceLabel === 0)!;
    const window = segments(whole).flat();
    const document = documents[Math.floor(window[0]! / 200)]!;
    assert.equal(window.length, Math.min(10, document.length));
    assert.deepEqual(window, range(window[0]!, window[0]! + window.length - 1));
    assert.ok(window.every((token) => document.includes(token)));
    for (const token of window) seen.add(token);
  }
  assert.deepEqual(seen, new Set(documents.filter(({ length }) => length > 3).flat()));
});

test('half of the second segments are from another document, and the labels say which', async (t) => {
  const documents = [range(0, 99), range(200, 299), range(400, 429)];
  const samples = await samplesOfDocuments(t, documents, 23);
  const documentOf = (token: number) => Math.floor(token / 200);
  let replaced = 0;
  const draws = 2000;
  const places = new Set<number>();
  for (let epoch = 0; epoch < draws; epoch++) {
    const sample = samples.read(key(epoch % samples.count, 1, epoch));
    const [first, second] = segments(sample);
    assert.equal(first.length + second.length, 20);
    assert.deepEqual(second, range(second[0]!, second.at(-1)!));
    if (sample.nextSentenceLabel === 1) {
      replaced++;
      assert.notEqual(documentOf(second[0]!), documentOf(first[0]!));
      places.add(second[0]!);
    } else {
      assert.equal(second[0], first.at(-1)! + 1);
    }
  }
  assert.ok(Math.abs(replaced - draws / 2) < 4 * Math.sqrt(draws / 4), `${replaced}`);
  assert.ok(places.size > 150); // of the 170 or so where a run can start
});

test('a document that is shorter than the second segment replaces all of it', async (t) => {
  const samples = await samplesOfDocuments(t, [range(0, 99), [200, 201]], 23);
  const replaced = range(0, 99)
    .map((epoch) => samples.read(key(0, 1, epoch)))
    .filter(({ nextSentenceLabel }) => nextSentenceLabel === 1);
  assert.ok(replaced.length > 25);
  for (const sample of replaced) {
    const [first, second] = segments(sample);
    assert.equal(second.length, Math.min(2, 20 - first.length));
    assert.ok(second.every((token) => token >= 200));
    assert.equal(sample.ids.length, first.length + second.length + 3);
  }
});

test('in a single document a replaced second segment is a distant one', async (t) => {
  const samples = await samplesOfDocuments(t, [range(0, 999)], 23);
  let replaced = 0;
  for (let epoch = 0; epoch < 400; epoch++) {
    const sample = samples.read(key(epoch % samples.count, 1, epoch));
    const [first, second] = segments(sample);
    if (sample.nextSentenceLabel === 0) {
      assert.equal(second[0], first.at(-1)! + 1);
      continue;
    }
    replaced++;
    assert.ok(Math.abs(second[0]! - first[0]!) > 200, `${first[0]} ${second[0]}`);
    assert.deepEqual(second, range(second[0]!, second.at(-1)!));
  }
  assert.ok(Math.abs(replaced - 200) < 4 * 10, `${replaced}`);
});

test('where nothing distant is left the second segment stays, and its label too', async (t) => {
  const samples = await samplesOfDocuments(t, [range(0, 24)], 23);
  for (let epoch = 0; epoch < 100; epoch++) {
    const sample = samples.read(key(epoch % samples.count, 1, epoch));
    const [first, second] = segments(sample);
    assert.equal(sample.nextSentenceLabel, 0);
    assert.equal(second[0], first.at(-1)! + 1);
  }
});

test('segments are divided at a sentence end where there is one', async (t) => {
  // Full stops behind the 3rd, 8th and 20th token; the last one is the window's end and divides nothing.
  const words = range(0, 19).map((i) => ([2, 7, 19].includes(i) ? -1 : i));
  const samples = await samplesOfDocuments(t, [words, range(200, 219)], 23);
  const dividedAt = new Map<number, number>();
  for (let epoch = 0; epoch < 400; epoch++) {
    const length = segments(samples.read(key(0, 1, epoch)))[0].length;
    dividedAt.set(length, (dividedAt.get(length) ?? 0) + 1);
  }
  assert.deepEqual(new Set(dividedAt.keys()), new Set([3, 8]));
  // Of the points 1 … 19, 1 … 5 are nearest to 3.
  const expected = (400 * 5) / 19;
  assert.ok(Math.abs(dividedAt.get(3)! - expected) < 4 * Math.sqrt(expected * (14 / 19)), `${dividedAt.get(3)}`);

  const anywhere = new Set(range(0, 400).map((epoch) => segments(samples.read(key(1, 1, epoch)))[0].length));
  assert.deepEqual(anywhere, new Set(range(1, 19)));
});

test('packed windows run through all documents, joined by separators', async (t) => {
  const documents = [range(0, 4), [10], range(20, 41), range(50, 52)];
  const samples = await samplesOfDocuments(t, documents, 8, 'mlm');
  const joined = documents.flatMap((document) => [...document.map((number) => number + firstWord), sep]).slice(0, -1);
  assert.equal(samples.count, Math.floor(joined.length / 6));
  for (let sample = 0; sample < samples.count; sample++) {
    const { ids, secondStart, nextSentenceLabel } = samples.read(key(sample));
    assert.deepEqual([...ids], [cls, ...joined.slice(6 * sample, 6 * sample + 6), sep]);
    assert.equal(secondStart, 8);
    assert.equal(nextSentenceLabel, undefined);
  }
});

/** Documents of all lengths from 1 to 19, so that cuts fall everywhere, each of words of its own. */
const manyDocuments = range(0, 94).map((d) => range(20 * d, 20 * d + ((7 * d) % 19)));

/** The documents of a sample, each as its tokens. */
function piecesOf({ ids, documents }: Sample): number[][] {
  let start = 0;
  return documents.map((length) => {
    start += length;
    return [...ids.subarray(start - length, start)];
  });
}

test('without packing each window is one document', async (t) => {
  for (const objective of ['mlm', 'clm'] as const) {
    const samples = await samplesOfDocuments(t, manyDocuments, 16, objective);
    for (let sample = 0; sample < samples.count; sample++) assert.deepEqual(samples.read(key(sample)).documents, [16]);
  }
});

test('packed for clm the windows are the same, and each part of a document is one, with its end token', async (t) => {
  const plain = await samplesOfDocuments(t, manyDocuments, 16, 'clm');
  const samples = await samplesOfDocuments(t, manyDocuments, 16, 'clm', 'documents');
  assert.equal(samples.count, plain.count);
  for (let sample = 0; sample < samples.count; sample++) {
    const found = samples.read(key(sample));
    assert.deepEqual(found.ids, plain.read(key(sample)).ids);
    const pieces = piecesOf(found);
    assert.deepEqual(pieces.flat(), [...found.ids]);
    for (const [i, piece] of pieces.entries()) {
      const isLast = i === pieces.length - 1;
      assert.ok(piece.length > 0 && !piece.slice(0, -1).includes(sep));
      assert.ok(isLast || piece.at(-1) === sep);
    }
  }
});

test('packed for mlm the documents are joined by [SEP] [CLS] and divided between them', async (t) => {
  // Two windows of six: 0 1 2 SEP CLS 10, SEP CLS 20 21 22 23.
  const samples = await samplesOfDocuments(t, [range(0, 2), [10], range(20, 24)], 8, 'mlm', 'documents');
  const [a, b] = [0, 1].map((sample) => samples.read(key(sample))) as [Sample, Sample];
  const words = (first: number, last: number) => range(first + firstWord, last + firstWord);
  assert.equal(samples.count, 2);
  assert.deepEqual(piecesOf(a), [
    [cls, ...words(0, 2), sep],
    [cls, ...words(10, 10), sep],
  ]);
  // The first [SEP] is all that the window has of a document: it stands with its neighbour.
  assert.deepEqual(piecesOf(b), [[cls, sep, cls, ...words(20, 23), sep]]);
});

test('packed for mlm windows run through the joined documents, and every document in them has borders and text', async (t) => {
  const samples = await samplesOfDocuments(t, manyDocuments, 16, 'mlm', 'documents');
  const joined = manyDocuments.flatMap((words) => [...words.map((word) => word + firstWord), sep, cls]).slice(0, -2);
  assert.equal(samples.count, Math.floor(joined.length / 14));
  const seen = { first: new Set<string>(), last: new Set<string>() };
  for (let sample = 0; sample < samples.count; sample++) {
    const found = samples.read(key(sample));
    const window = joined.slice(14 * sample, 14 * (sample + 1));
    assert.deepEqual([...found.ids], [cls, ...window, sep]);
    for (const piece of piecesOf(found)) {
      assert.equal(piece[0], cls);
      assert.equal(piece.at(-1), sep);
      const words = piece.filter((id) => id >= firstWord);
      assert.ok(words.length > 0);
      assert.deepEqual(words, range(words[0]!, words.at(-1)!)); // of one document
      const last = piece.findLastIndex((id) => id >= firstWord);
      seen.first.add(piece.slice(0, piece.indexOf(words[0]!)).join());
      seen.last.add(piece.slice(last + 1).join());
    }
  }
  // Where a cut falls into a joint, what is left of it stands with the text beside it.
  assert.deepEqual(seen.first, new Set([`${cls}`, `${cls},${cls}`, `${cls},${sep},${cls}`]));
  assert.deepEqual(seen.last, new Set([`${sep}`, `${sep},${sep}`, `${sep},${cls},${sep}`]));
});

test('each token of the text that fills windows is in exactly one sample', async (t) => {
  for (const [objective, packing] of [
    ['mlm', 'none'],
    ['mlm', 'documents'],
    ['clm', 'none'],
    ['clm', 'documents'],
  ] as const) {
    const samples = await samplesOfDocuments(t, manyDocuments, 16, objective, packing);
    const tokens = range(0, samples.count - 1).flatMap((sample) => [...samples.read(key(sample)).ids]);
    const words = tokens.filter((id) => id >= firstWord).map((id) => id - firstWord);
    assert.deepEqual(words, manyDocuments.flat().slice(0, words.length));
    assert.ok(manyDocuments.flat().length - words.length < 16);
  }
});

test('packed samples can be read in any order', async (t) => {
  for (const objective of ['mlm', 'clm'] as const) {
    const samples = await samplesOfDocuments(t, manyDocuments, 16, objective, 'documents');
    const numbers = range(0, samples.count - 1);
    const forwards = numbers.map((sample) => samples.read(key(sample)));
    const backwards = numbers.toReversed().map((sample) => samples.read(key(sample)));
    assert.deepEqual(backwards.reverse(), forwards);
  }
});

test('a sample is the same whenever it is read, and another in another epoch or under another seed', async (t) => {
  const samples = await samplesOfDocuments(t, [range(0, 199), range(300, 499)], 43);
  const read = (seed: number, epoch: number) =>
    range(0, samples.count - 1).map((sample) => [...samples.read(key(sample, seed, epoch)).ids]);
  const once = read(1, 0);
  assert.deepEqual(read(1, 0).reverse(), once.reverse());
  assert.notDeepEqual(read(1, 1), once);
  assert.notDeepEqual(read(2, 0), once);
});

test('samples of a held-out part hold nothing of the other part', async (t) => {
  const corpus = await corpusOf(t, tokenizer, [wordsText(range(0, 999))]);
  const { train, valid } = splitCorpus(corpus, 0.1);
  for (const [view, from, to] of [
    [train, 0, 899],
    [valid, 900, 999],
  ] as const) {
    for (const objective of ['mlm+nsp', 'mlm'] as const) {
      const samples = samplesOf(view, { tokenizer, sequenceLength: 32, objective });
      for (let sample = 0; sample < samples.count; sample++) {
        const words = [...samples.read(key(sample)).ids].filter((id) => id >= firstWord).map((id) => id - firstWord);
        assert.ok(words.every((word) => word >= from && word <= to));
      }
    }
  }
});

test('text that does not fill a sequence is an error with both numbers', async (t) => {
  const rejects = async (documents: number[][], objective: Objective, message: RegExp) =>
    assert.rejects(samplesOfDocuments(t, documents, 16, objective), (error: Error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, message);
      return true;
    });
  await rejects([range(0, 14)], 'mlm+nsp', /has 15 tokens, which is less than one sequence of 16/);
  await rejects([range(0, 14)], 'mlm', /has 15 tokens, which is less than one sequence of 16/);
  await rejects(new Array(10).fill([1, 2, 3]), 'mlm+nsp', /no document \(of 10\) has the 4 tokens/);
  assert.equal((await samplesOfDocuments(t, [range(0, 15)], 16, 'mlm')).count, 1);
});

test('in a large text second segments from elsewhere are from documents nearby', (t) => {
  const corpus = sparseCorpus(t, new Uint32Array(3000).fill(10_000));
  const samples = samplesOf(wholeCorpus(corpus), { tokenizer, sequenceLength: 17, objective: 'mlm+nsp' });
  assert.ok(samples.count >= 2 ** 21);
  const { mock } = t.mock.method(corpus, 'read');
  const distances = range(0, 400).flatMap((i) => {
    mock.resetCalls();
    samples.read(key(Math.floor((i * samples.count) / 401)));
    const [window, elsewhere] = mock.calls.map((call) => call.arguments[0]);
    return elsewhere === undefined ? [] : [(elsewhere - window! + corpus.index.tokens) % corpus.index.tokens];
  });
  assert.ok(distances.length > 150);
  assert.ok(distances.every((distance) => distance > 0 && distance < 2 ** 20 + 20_000));
  assert.ok(Math.max(...distances) > 2 ** 19);
});
