import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf } from '../data/batch.ts';
import { type Samples, TextTokenizer } from '../data/index.ts';
import { inEpochs } from '../data/sampler.ts';
import { wordPieceJson } from '../data/tokenizer-json.ts';
import { familyOf, initialise, modelInputs } from '../model/index.ts';
import { noGrad, scope, Tensor } from '../tensor/index.ts';
import { tinyConfig } from '../train/tiny.fixture.ts';
import { heldOutGaps } from './gaps.ts';
import { drawSentences } from './sentences.ts';

const words = 'the queen saw a bird that sang of old ships and far lands'.split(' ');
const tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '.', '1', "'", '##s', ...words];
const tokenizer = TextTokenizer.fromJson(wordPieceJson(tokens, { lowercase: true }));
const idsOf = (text: string) => text.split(' ').map((token) => tokens.indexOf(token));
const sentence = "the queen saw a bird that sang of 1 ships ##s ' far .";
const texts = [
  `[CLS] a . ${sentence} old [SEP]`,
  '[CLS] . far lands and a bird saw the queen . a [SEP]',
  '[CLS] . a bird . the queen [SEP]', // no sentence of eight tokens
];
const samples: Samples = {
  count: texts.length,
  sequenceLength: 20,
  tokenizer,
  at: inEpochs(texts.length),
  read: ({ sample }) => ({ ids: Int32Array.from(idsOf(texts[sample]!)), documents: [20], secondStart: 20 }),
};

test('short sentences are drawn only from a text without longer ones', () => {
  const of = (...all: string[]): Samples => ({
    ...samples,
    count: all.length,
    at: inEpochs(all.length),
    read: ({ sample }) => ({ ids: Int32Array.from(idsOf(all[sample]!)), documents: [20], secondStart: 20 }),
  });
  const short = '[CLS] . the queen saw . a [SEP]';
  const lengths = (drawn: Samples) => drawSentences(drawn, { count: 9, seed: 1 }, ({ start, end }) => end - start);
  assert.deepEqual(lengths(of(short)), [4]);
  assert.ok(lengths(of(short, texts[0]!)).every((length) => length >= 8));
});

test('gaps are whole words of whole held-out sentences, the same for a seed, with the guesses of the model', () => {
  scope(() => {
    const config = tinyConfig({
      model: { kind: 'modernbert', vocabSize: tokens.length, maxPositions: 20 },
      data: { objective: 'mlm' },
    });
    const weights = initialise(config.model, 1);
    const biases: Record<string, number> = { '##s': 90, '.': 80, '[SEP]': 70, queen: 60 };
    const bias = Float32Array.from(tokens, (token) => biases[token] ?? 0);
    weights.get('decoder.bias')!.copy_(Tensor.from(bias, [tokens.length]));
    const trained = { model: familyOf(config.model).create(config.model, weights), tokenizer, device: 'cpu' };
    const draw = (seed: number) => heldOutGaps(trained, samples, { count: 12, seed });

    const gaps = draw(1);
    assert.equal(gaps.length, 12);
    const whole = texts.map((text) => tokenizer.decode(idsOf(text)));
    for (const { before, right, after, guesses } of gaps) {
      assert.ok(words.includes(right), right); // neither a number, a part of a word, nor a full stop
      assert.notEqual(right, 'ships', 'its second half would be left');
      assert.ok(!(right === 'far' && before.includes('ships')), 'the end of a longer word');
      const told = `${before}${right}${after}`;
      assert.ok(
        whole.some((text) => text.includes(told)),
        told,
      );
      assert.equal(guesses.length, 3);
      assert.equal(guesses[0]!.text, 'queen');
      assert.ok(guesses[0]!.probability < 1e-6, 'its probability among all tokens');
      assert.ok(guesses.every(({ text }) => words.includes(text)));
    }
    assert.ok(new Set(gaps.map(({ right }) => right)).size > 3);
    assert.deepEqual(draw(1), gaps);
    assert.notDeepEqual(draw(2), gaps);
  });
});

for (const [kind, objective] of [
  ['modernbert', 'mlm'],
  ['llama', 'clm'],
] as const) {
  test(`the guesses of a ${kind} are the words with the largest logits there`, () => {
    scope(() => {
      const config = tinyConfig({
        model: { kind, vocabSize: 300, maxPositions: 20 },
        data: { objective },
      });
      const model = familyOf(config.model).create(config.model, initialise(config.model, 3));
      const gaps = heldOutGaps({ model, tokenizer, device: 'cpu' }, samples, { count: 4, seed: 1 });
      const { isCausal } = familyOf(config.model);
      const { padId, maskId, unkId } = tokenizer;
      for (const { before, right, after, guesses } of gaps) {
        const text = texts.find((each) => tokenizer.decode(idsOf(each)).includes(`${before}${right}${after}`))!;
        const ids = idsOf(text);
        const place = ids.findIndex(
          (id, i) => tokens[id] === right && tokenizer.decode(ids.slice(0, i)).trim().endsWith(before.trim()),
        );
        // What a causal model cannot see is made unreadable.
        const read = ids.map((id, i) => (isCausal ? (i >= place ? unkId : id) : i === place ? maskId : id));
        const batch = batchOf([{ ids: Int32Array.from(read), secondStart: read.length }], { padId, maxPositions: 20 });
        const logits = noGrad(() => {
          const at = Tensor.from(BigInt64Array.of(BigInt(isCausal ? place - 1 : place)), [1]);
          return model
            .tokenLogits(model.encode(modelInputs(batch, 'cpu')), at)
            .to('float32')
            .toFloats()
            .slice(0, tokens.length); // the others have no token
        });
        const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
        const expected = words
          .map((word) => ({ text: word, probability: Math.exp(logits[tokens.indexOf(word)]!) / total }))
          .sort((one, other) => other.probability - one.probability)
          .slice(0, 3);
        assert.deepEqual(
          guesses.map((guess) => guess.text),
          expected.map((guess) => guess.text),
        );
        for (const [i, { probability }] of guesses.entries())
          assert.ok(Math.abs(probability / expected[i]!.probability - 1) < 1e-4, `${probability}`);
      }
    });
  });
}
