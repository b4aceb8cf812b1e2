import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { heldOutBatches, type MicroBatch, makeMicroBatch } from './batch.ts';
import { corpusOf, range, wordsText, wordTokenizer } from './fixtures.ts';
import { maskTokens } from './masking.ts';
import { makeMask, type Objective, samplesOf } from './objectives.ts';
import type { Packing } from './samples.ts';
import { wholeCorpus } from './split.ts';

const tokenizer = wordTokenizer(1000);
const mask = maskTokens(tokenizer, { maskRate: 0.15 });
const sequenceLength = 16;

async function textSamples(t: TestContext, objective: Objective = 'mlm+nsp', packing: Packing = 'none') {
  const documents = [range(0, 99), range(100, 105), range(200, 299), range(300, 330)];
  const corpus = await corpusOf(t, tokenizer, documents.map(wordsText));
  return samplesOf(wholeCorpus(corpus), { tokenizer, sequenceLength, objective, packing });
}

/** Each sequence of a batch on its own, as plain lists. */
function rows(batch: MicroBatch) {
  return range(0, batch.numSequences - 1).map((row) => {
    const [from, to] = [row * sequenceLength, (row + 1) * sequenceLength];
    const masked = [...batch.predictedPositions.keys()].filter((i) => {
      const position = batch.predictedPositions[i]!;
      return position >= from && position < to;
    });
    return {
      ids: [...batch.inputIds.subarray(from, to)],
      types: [...batch.tokenTypeIds.subarray(from, to)],
      length: batch.documents[row]![0]!,
      positions: masked.map((i) => batch.predictedPositions[i]! - from),
      labels: masked.map((i) => batch.labels[i]!),
      pair: batch.nextSentenceLabels?.[row],
    };
  });
}

test('a batch is [CLS] A [SEP] B [SEP] with token types, padding behind, and its masked tokens', async (t) => {
  const samples = await textSamples(t);
  const batch = makeMicroBatch(samples, { seed: 1, start: 0, size: 2 * samples.count, mask });
  assert.equal(batch.numSequences, 2 * samples.count);
  assert.equal(batch.inputIds.length, batch.numSequences * sequenceLength);
  assert.ok(new Set(batch.documents.flat()).size > 1);
  assert.deepEqual(new Set(batch.nextSentenceLabels), new Set([0, 1]));
  const all = rows(batch);
  assert.equal(all.flatMap(({ positions }) => positions).length, batch.predictedPositions.length);
  for (const { ids, types, length, positions, labels } of all) {
    const { clsId, sepId, padId } = tokenizer;
    assert.equal(ids[0], clsId);
    assert.deepEqual(ids.slice(length), new Array(sequenceLength - length).fill(padId));
    const separators = [...ids.keys()].filter((i) => ids[i] === sepId);
    assert.equal(separators.length, 2);
    assert.equal(separators[1], length - 1);
    assert.deepEqual(
      types,
      ids.map((_, i) => (i > separators[0]! && i < length ? 1 : 0)),
    );
    assert.equal(positions.length, Math.max(1, Math.round(0.15 * (length - 3))));
    assert.ok(positions.every((position) => position > 0 && position < length && !separators.includes(position)));
    // With the labels back in place the first segment is consecutive words again.
    const original = ids.slice();
    for (const [i, position] of positions.entries()) original[position] = labels[i]!;
    const first = original.slice(1, separators[0]);
    assert.deepEqual(first, range(first[0]!, first[0]! + first.length - 1));
  }
});

test('the same positions give the same numbers, however they are divided into batches', async (t) => {
  for (const objective of ['mlm+nsp', 'mlm'] as const) {
    const samples = await textSamples(t, objective);
    const make = (start: number, size: number) => makeMicroBatch(samples, { seed: 3, start, size, mask });
    const whole = make(5, 60); // across two epochs
    assert.deepEqual(make(5, 60), whole);
    assert.deepEqual([make(5, 1), make(6, 20), make(26, 39)].flatMap(rows), rows(whole));
    assert.equal(whole.nextSentenceLabels === undefined, objective === 'mlm');
    assert.notDeepEqual(makeMicroBatch(samples, { seed: 4, start: 5, size: 60, mask }).inputIds, whole.inputIds);
  }
});

test('with clm each token but the first is predicted from those before it, and nothing is masked', async (t) => {
  const samples = await textSamples(t, 'clm');
  const batch = makeMicroBatch(samples, {
    seed: 1,
    start: 0,
    size: 3,
    mask: makeMask(tokenizer, { objective: 'clm', maskRate: 0.15 }),
  });
  const { sequenceLength: T } = samples;
  assert.deepEqual(batch.documents, [[T], [T], [T]]);
  assert.deepEqual(
    [...batch.predictedPositions],
    range(0, 3 * T - 1).filter((i) => i % T !== T - 1),
  );
  assert.deepEqual(
    [...batch.labels],
    [...batch.predictedPositions].map((i) => batch.inputIds[i + 1]),
  );
  // Documents follow each other with a [SEP] between them, and each token is in one window.
  const epoch = rows(
    makeMicroBatch(samples, {
      seed: 1,
      start: 0,
      size: samples.count,
      mask: () => ({ positions: new Int32Array(0), labels: new Int32Array(0) }),
    }),
  );
  const tokens = epoch.flatMap(({ ids }) => [...ids]).filter((id) => id !== tokenizer.sepId);
  assert.equal(new Set(tokens).size, tokens.length);
});

test('a batch of packed sequences has the documents of each, and with clm no label across them', async (t) => {
  for (const objective of ['mlm', 'clm'] as const) {
    const samples = await textSamples(t, objective, 'documents');
    const size = samples.count;
    const batch = makeMicroBatch(samples, {
      seed: 1,
      start: 0,
      size,
      mask: makeMask(tokenizer, { objective, maskRate: 0.15 }),
    });
    assert.ok(batch.documents.some((documents) => documents.length > 1));
    const starts = new Set<number>();
    for (const [row, documents] of batch.documents.entries()) {
      let at = row * sequenceLength;
      for (const length of documents) {
        starts.add(at);
        at += length;
      }
      assert.equal(at, (row + 1) * sequenceLength);
    }
    if (objective === 'mlm') continue;
    const all = range(0, size * sequenceLength - 1);
    assert.deepEqual(
      [...batch.predictedPositions],
      all.filter((i) => i + 1 < all.length && !starts.has(i + 1)),
    );
    assert.deepEqual(
      [...batch.labels],
      [...batch.predictedPositions].map((i) => batch.inputIds[i + 1]),
    );
  }
});

test('an epoch has each window once', async (t) => {
  const samples = await textSamples(t, 'mlm');
  const none = () => ({ positions: new Int32Array(0), labels: new Int32Array(0) });
  const epoch = (n: number) =>
    rows(makeMicroBatch(samples, { seed: 1, start: n * samples.count, size: samples.count, mask: none })).map(
      ({ ids }) => ids.join(),
    );
  assert.equal(new Set(epoch(0)).size, samples.count);
  assert.deepEqual(new Set(epoch(1)), new Set(epoch(0)));
  assert.notDeepEqual(epoch(1), epoch(0));
});

test('held-out batches are the same every time and hold the number asked for', async (t) => {
  const samples = await textSamples(t);
  const take = (limit: number, size: number) => [...heldOutBatches(samples, { limit, size, mask })];
  assert.deepEqual(
    take(10, 4).map(({ numSequences }) => numSequences),
    [4, 4, 2],
  );
  assert.deepEqual(take(10, 4).flatMap(rows), take(10, 10).flatMap(rows));
  assert.deepEqual(take(10, 4).flatMap(rows), take(12, 4).flatMap(rows).slice(0, 10));
  assert.equal(take(1e9, 7).flatMap(rows).length, samples.count);
});
