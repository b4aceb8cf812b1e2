import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordTokenizer } from '../data/fixtures.ts';
import type { MicroBatch } from '../data/index.ts';
import { initialise, modelOf, type Transformer } from '../model/index.ts';
import { liveTensors, scope } from '../tensor/index.ts';
import { evaluate } from './evaluate.ts';
import { sampleText } from './sample.ts';
import { rowOf, tinyBatch, tinyConfig } from './tiny.fixture.ts';

const tokenizer = wordTokenizer(41); // with the special tokens the 50 pieces of the tiny model

/** The label at a position that has the least loss: the evaluation's way to find what the model says there. */
function saidAt(model: Transformer, batch: MicroBatch, position: number): number {
  const { nextSentenceLabels: _, ...tokens } = batch;
  const losses = Array.from({ length: tokenizer.vocabSize }, (_, label) => {
    const asked = { ...tokens, predictedPositions: Int32Array.of(position), labels: Int32Array.of(label) };
    return evaluate(model, [asked], 'cpu').tokenLoss;
  });
  return losses.indexOf(Math.min(...losses));
}

/** The words `w4`, `w5` … as the tokenizer numbers them. */
const word = (n: number) => 9 + n;

for (const [kind, ahead] of [
  ['bert', 0],
  ['gpt2', 1],
] as const) {
  test(`${kind}: a piece that the model finds is bold, and beside another stands what it says instead`, () =>
    scope(() => {
      const sizes = { ...tinyConfig().model, kind };
      const weights = initialise(sizes, 1);
      for (const weight of weights.values()) weight.mul_(20); // so that it says something else at each position
      const model = modelOf(sizes, weights, 'float32');
      const inputIds = Int32Array.from([4, 5, 6, 7, 8, 9, 10, 11], word);
      const { nextSentenceLabels: _, ...row } = rowOf(tinyBatch(1), 0);
      const batch = { ...row, inputIds, predictedPositions: Int32Array.of(1, 3, 6) };
      const [first, second, third] = Array.from(batch.predictedPositions, (position) => saidAt(model, batch, position));
      assert.notEqual(first, second);
      const other = word(0) === second ? word(1) : word(0);
      const text = sampleText(model, { ...batch, labels: Int32Array.of(first!, other, third!) }, tokenizer, 'cpu');
      const textOf = (id: number) => tokenizer.decode([id]) || '·';
      const expected = Array.from(inputIds, textOf);
      expected[1 + ahead] = `**${textOf(first!)}**`;
      expected[3 + ahead] = `${textOf(other)} (*${textOf(second!)}*)`;
      expected[6 + ahead] = `**${textOf(third!)}**`;
      assert.equal(text, expected.join(' '));
    }));
}

test('only the first sequence is shown, without its padding, and special tokens are dots', () =>
  scope(() => {
    const { model: sizes } = tinyConfig();
    const model = modelOf(sizes, initialise(sizes, 1), 'float32');
    const batch = {
      ...tinyBatch(1, [6, 8]),
      predictedPositions: Int32Array.of(9, 12),
      labels: Int32Array.of(word(1), word(2)),
    };
    batch.inputIds.set([2, word(3), 6, 8, 4, 3]);
    const before = liveTensors();
    // nothing is masked in it: there is nothing to be found
    assert.equal(sampleText(model, batch, tokenizer, 'cpu'), '· w3 &#33; &#35;&#35;s · ·');
    assert.equal(liveTensors(), before);
  }));
