import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteLevelJson, endOfText, type Samples, TextTokenizer } from '../data/index.ts';
import { inEpochs } from '../data/sampler.ts';
import { heldOutBeginnings } from './beginnings.ts';

// `_` stands for a space, `/` for a line break.
const tokens = [endOfText, '.', '_', '/', '_the', '_queen', '_saw', '_a', '_bird', 's', '_that', '_sang', '_The'];
const vocab = tokens.map((token, id) => [token.replace('_', 'Ġ').replace('/', 'Ċ'), id] as const);
const tokenizer = TextTokenizer.fromJson(byteLevelJson(Object.fromEntries(vocab), []));
const texts = [
  '. _The _queen _saw _that _a _bird s _sang _the _bird .',
  '. _The _bird / _saw _a _queen _that _sang .', // across lines
  '. _The _queen _sang .', // too short
];
const samples: Samples = {
  count: texts.length,
  sequenceLength: 20,
  tokenizer,
  at: inEpochs(texts.length),
  read: ({ sample }) => {
    const ids = Int32Array.from(texts[sample]!.split(' '), (token) => tokens.indexOf(token));
    return { ids, documents: [ids.length], secondStart: ids.length };
  },
};

test('beginnings are at least six tokens of a held-out sentence, and end with a whole word', () => {
  // Only one sentence has a beginning, and it is drawn once.
  assert.deepEqual(heldOutBeginnings(samples, { count: 2, seed: 1 }), ['The queen saw that a birds']);
});
