import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { makeMicroBatch } from './batch.ts';
import { corpusOf, range, wordsText, wordTokenizer } from './fixtures.ts';
import { maskTokens } from './masking.ts';
import { joined, mixed } from './mixture.ts';
import { type Objective, samplesOf } from './objectives.ts';
import { inEpochs } from './sampler.ts';
import type { Samples } from './samples.ts';
import { splitCorpus, wholeCorpus } from './split.ts';

const tokenizer = wordTokenizer(1000);
const sequenceLength = 16;

/** Texts with these numbers of samples, and nothing in them. */
const emptyTexts = (counts: number[]): Samples[] =>
  counts.map((count) => ({
    count,
    sequenceLength,
    tokenizer,
    at: inEpochs(count),
    read: () => assert.fail('is not read here'),
  }));

/** Which text the samples at positions are from, and which sample of it. */
function drawn(counts: number[], shares: number[], first: number, size: number, seed = 1) {
  const samples = mixed(emptyTexts(counts), shares);
  const starts = counts.map((_, i) => counts.slice(0, i).reduce((sum, count) => sum + count, 0));
  return range(first, first + size - 1).map((position) => {
    const { sample, epoch } = samples.at(position, seed);
    const text = starts.findLastIndex((start) => start <= sample);
    return { text, sample: sample - starts[text]!, epoch };
  });
}

test('after each 1,024 sequences every text has had its share to within one sequence', () => {
  const shares = [0.7, 0.2, 0.07, 0.03];
  const times = [0, 0, 0, 0];
  for (let block = 0; block < 40; block++) {
    for (const { text } of drawn([500, 90, 11, 7], shares, 1024 * block, 1024)) times[text]! += 1;
    for (const [text, share] of shares.entries())
      assert.ok(Math.abs(times[text]! - share * 1024 * (block + 1)) < 1 + 1e-9, `${times}`);
  }
});

test('a text of the smallest share comes as often as it should', () => {
  const shares = [0.5, 1e-4, 0.49990000000000001];
  const found = drawn([10, 10, 10], shares, 0, 200_000).filter(({ text }) => text === 1);
  assert.ok(Math.abs(found.length - 20) <= 1, `${found.length}`);
});

test('each text is read from its first sample on, each of its samples once an epoch', () => {
  const counts = [50, 300, 7];
  const all = drawn(counts, [0.5, 0.3, 0.2], 0, 20_000);
  for (const [text, count] of counts.entries()) {
    const own = all.filter((one) => one.text === text);
    // By construction the last epochs are not whole, and the one that ends with the last block may lack what comes in the next.
    const whole = Math.floor((own.length - 1024) / count);
    assert.ok(whole >= 10);
    for (let epoch = 0; epoch < whole; epoch++) {
      const samples = own.filter((one) => one.epoch === epoch).map(({ sample }) => sample);
      assert.deepEqual(
        samples.sort((a, b) => a - b),
        range(0, count - 1),
      );
    }
  }
});

test('turns are mixed: no text comes in runs, and another seed has other turns', () => {
  const turns = (seed: number) => drawn([100, 100], [0.5, 0.5], 0, 4096, seed).map(({ text }) => text);
  const [first, second] = [turns(1), turns(2)];
  const changes = first.filter((text, i) => i > 0 && text !== first[i - 1]).length;
  assert.ok(Math.abs(changes - 2048) < 4 * 32, `${changes}`);
  const same = first.filter((text, i) => text === second[i]).length;
  assert.ok(Math.abs(same - 2048) < 4 * 32, `${same}`);
});

test('equal texts are read in different orders', () => {
  const all = drawn([1000, 1000], [0.5, 0.5], 0, 1024);
  const [a, b] = [0, 1].map((text) => all.filter((one) => one.text === text).map(({ sample }) => sample));
  assert.ok(a!.filter((sample, i) => sample === b![i]).length < 8);
});

async function twoTexts(t: TestContext, objective: Objective) {
  const texts = [
    [range(0, 99), range(100, 299)],
    [range(300, 399), range(400, 480)],
  ];
  return Promise.all(
    texts.map(async (documents) => {
      const corpus = await corpusOf(t, tokenizer, documents.map(wordsText));
      return { corpus, samples: samplesOf(wholeCorpus(corpus), { tokenizer, sequenceLength, objective }) };
    }),
  );
}

test('the same positions give the same numbers, however they are divided into batches and wherever a run resumes', async (t) => {
  for (const objective of ['mlm+nsp', 'mlm'] as const) {
    const texts = await twoTexts(t, objective);
    const samples = mixed(
      texts.map((text) => text.samples),
      [0.25, 0.75],
    );
    const mask = maskTokens(tokenizer, { maskRate: 0.15 });
    const make = (start: number, size: number) => makeMicroBatch(samples, { seed: 3, start, size, mask });
    const whole = make(1000, 60);
    const parts = [make(1000, 7), make(1007, 32), make(1039, 21)];
    assert.deepEqual(
      [...whole.inputIds],
      parts.flatMap(({ inputIds }) => [...inputIds]),
    );
    assert.deepEqual(
      [...whole.labels],
      parts.flatMap(({ labels }) => [...labels]),
    );
    assert.deepEqual(make(1000, 60), whole);
    // A word's number says which text it is from.
    const isSecond = range(0, 59).map((row) => {
      const words = [...whole.inputIds.subarray(row * 16, row * 16 + 16)].filter((id) => id >= 9).map((id) => id - 9);
      return words.filter((word) => word >= 300).length > words.length / 2;
    });
    const times = isSecond.filter(Boolean).length;
    assert.ok(times > 32 && times < 57, `${times} of 60`);
  }
});

test('one text alone is read as it always was', async (t) => {
  const [one] = await twoTexts(t, 'mlm');
  assert.equal(mixed([one!.samples], [1]), one!.samples);
  assert.equal(joined([one!.samples]), one!.samples);
});

test('held-out parts are joined: each sample of each is there once', async (t) => {
  const texts = await twoTexts(t, 'mlm');
  const parts = texts.map(({ corpus }) =>
    samplesOf(splitCorpus(corpus, 0.3).valid, { tokenizer, sequenceLength, objective: 'mlm' }),
  );
  const samples = joined(parts);
  const idsOf = ({ count, read }: Samples) =>
    range(0, count - 1).map((sample) => [...read({ seed: 0, epoch: 0, sample }).ids]);
  assert.deepEqual(idsOf(samples), parts.flatMap(idsOf));
  const visited = range(0, samples.count - 1).map((position) => samples.at(position, 0).sample);
  assert.deepEqual(
    visited.sort((a, b) => a - b),
    range(0, samples.count - 1),
  );
});
