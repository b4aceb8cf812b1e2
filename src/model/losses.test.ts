import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scope, Tensor } from '../tensor/index.ts';
import { tinyBatch, tinyConfig } from '../train/tiny.fixture.ts';
import { Bert, bertNames, initialise } from './index.ts';
import { modelInputs, pretrainingLosses } from './losses.ts';

const { model } = tinyConfig();
const scoped = (name: string, body: () => void) => test(name, () => scope(body));

scoped('a model reads tokens, their types, and where documents end unless each sequence is one', () => {
  const batch = tinyBatch(1, [8, 5]);
  const { inputIds, tokenTypeIds, documents } = modelInputs(batch, 'cpu');
  assert.deepEqual(
    [inputIds.shape, tokenTypeIds.shape, documents],
    [
      [2, 8],
      [2, 8],
      [[8], [5]],
    ],
  );
  assert.deepEqual(inputIds.toArray(), batch.inputIds);
  assert.deepEqual(tokenTypeIds.toArray(), batch.tokenTypeIds);
  assert.equal(modelInputs(tinyBatch(1, [8, 8]), 'cpu').documents, undefined);
});

scoped('losses are summed −log softmax of the labels, over masked tokens and over sequences', () => {
  // With word embeddings of 0 and no weight in the second head, the logits are the biases alone.
  const weights = initialise(model, 1);
  const bias = Tensor.normal([50], { std: 1, seed: 9 });
  weights.get(bertNames.words)!.mul_(0);
  weights.get('cls.predictions.bias')!.copy_(bias);
  weights.get('cls.seq_relationship.weight')!.mul_(0);
  weights.get('cls.seq_relationship.bias')!.copy_(Tensor.from(Float32Array.of(0, Math.log(3)), [2]));
  const batch = { ...tinyBatch(1), nextSentenceLabels: Int32Array.of(0, 1) };
  const { tokenSum, nspSum, tokenHits } = pretrainingLosses(new Bert(model, weights), batch, 'cpu');
  const logits = Array.from(bias.toFloats());
  const logTotal = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  const expected = batch.labels.reduce((sum, label) => sum + logTotal - logits[label]!, 0);
  assert.ok(Math.abs(tokenSum.item() - expected) < 1e-4, `${tokenSum.item()}, expected ${expected}`);
  assert.ok(Math.abs(nspSum!.item() - (Math.log(4) + Math.log(4 / 3))) < 1e-5, `${nspSum!.item()}`);
  const best = logits.indexOf(Math.max(...logits));
  assert.equal(tokenHits.item(), batch.labels.filter((label) => label === best).length);
});

scoped('a batch without next-sentence labels has no next-sentence loss', () => {
  const { nextSentenceLabels: _, ...batch } = tinyBatch(1);
  assert.equal(pretrainingLosses(new Bert(model, initialise(model, 1)), batch, 'cpu').nspSum, undefined);
});
