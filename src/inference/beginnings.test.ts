import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteLevelJson, endOfText, type Samples, TextTokenizer } from '../data/index.ts';
import { inEpochs } from '../data/sampler.ts';
import { heldOutBeginnings } from './beginnings.ts';

const tokens = [endOfText, '.', 'Ġ', 'Ċ', 'Ġthe', 'Ġqueen', 'Ġsaw', 'Ġa', 'Ġbird', 's', 'Ġthat', 'Ġsang', 'ĠThe'];
const tokenizer = TextTokenizer.fromJson(byteLevelJson(Object.fromEntries(tokens.map((token, id) => [token, id])), []));
const texts = [
  '. ĠThe Ġqueen Ġsaw Ġa Ġbird Ġthat s Ġsang Ġthe Ġbird .',
  '. ĠThe Ġbird Ċ Ġsaw Ġa Ġqueen Ġthat Ġsang .', // across lines
  '. ĠThe Ġqueen Ġsang .', // too short
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
  assert.deepEqual(heldOutBeginnings(samples, { count: 2, seed: 1 }), [
    'The queen saw a bird thats',
    'The queen saw a bird thats',
  ]);
});
