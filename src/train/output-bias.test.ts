import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordTokenizer } from '../data/fixtures.ts';
import type { Samples } from '../data/index.ts';
import { inEpochs } from '../data/sampler.ts';
import { logFrequencies } from './output-bias.ts';

test('the output bias starts as the logarithm of the share of each token in the text, special tokens counting as none', () => {
  const tokenizer = wordTokenizer(3); // three words behind the five special tokens
  const [cls, sep] = [tokenizer.clsId, tokenizer.sepId];
  const first = tokenizer.vocabSize - 3;
  const texts = [
    [cls, first, first, first + 1, sep],
    [cls, first, first + 1, sep],
  ];
  const samples: Samples = {
    count: texts.length,
    sequenceLength: 5,
    tokenizer,
    at: inEpochs(texts.length),
    read: ({ sample }) => ({
      ids: Int32Array.from(texts[sample]!),
      documents: [texts[sample]!.length],
      secondStart: 5,
    }),
  };
  const bias = logFrequencies(samples, tokenizer.vocabSize);
  const total = 5 + tokenizer.vocabSize;
  const expected = Array.from(
    { length: tokenizer.vocabSize },
    (_, id) => Math.log(([3, 2, 0][id - first] ?? 0) + 1) - Math.log(total),
  );
  for (const [id, value] of expected.entries()) {
    assert.ok(Math.abs(bias[id]! - value) < 1e-6, `${id}: ${bias[id]}, not ${value}`);
  }
  const sum = bias.reduce((all, value) => all + Math.exp(value), 0);
  assert.ok(Math.abs(sum - 1) < 1e-6);
});
