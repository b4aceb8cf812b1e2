import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bert, bertNames, initialise, type ModelConfig } from '../model/index.ts';
import { liveTensors, scope, Tensor } from '../tensor/index.ts';
import { joined, rowOf, tinyBatch, tinyConfig } from '../train/tiny.fixture.ts';
import { evaluate } from './evaluate.ts';

const { model } = tinyConfig({ model: { dropout: 0.5, attentionDropout: 0.5 } });
const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const close = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) < 1e-5, `${found}, expected ${expected}`);

scoped('a model that knows nothing has the loss ln V + ln 2, perplexity V, and is right where 0 is the label', () => {
  const weights = initialise(model, 1);
  for (const name of [bertNames.words, 'cls.seq_relationship.weight']) weights.get(name)!.mul_(0);
  const batch = { ...tinyBatch(1), labels: Int32Array.of(0, 7, 0, 3, 1) };
  const found = evaluate(new Bert(model, weights), [batch], 'cpu');
  close(found.tokenLoss, Math.log(50));
  close(found.loss, Math.log(50) + Math.log(2));
  close(found.perplexity / 50, 1);
  assert.equal(found.tokenAccuracy, 0.4);
  assert.equal(found.tokens, 5);
});

scoped('the means are over all tokens and sequences, however they are cut into batches', () => {
  const bert = new Bert(model, initialise(model, 1));
  const [a, b] = [tinyBatch(1), tinyBatch(2, [6, 8])];
  const whole = evaluate(bert, [joined(a, b)], 'cpu');
  const first = evaluate(bert, [rowOf(a, 0)], 'cpu'); // three masked tokens
  const rest = evaluate(bert, [rowOf(a, 1), b], 'cpu'); // seven
  for (const cut of [
    [a, b],
    [joined(a, rowOf(b, 0)), rowOf(b, 1)],
  ]) {
    const found = evaluate(bert, cut, 'cpu');
    close(found.loss, whole.loss);
    close(found.tokenLoss, whole.tokenLoss);
    assert.equal(found.tokenAccuracy, whole.tokenAccuracy);
    assert.equal(found.tokens, 10);
  }
  close(whole.tokenLoss, (3 * first.tokenLoss + 7 * rest.tokenLoss) / 10);
  const nsp = (result: typeof whole) => result.loss - result.tokenLoss;
  close(nsp(whole), (nsp(first) + 3 * nsp(rest)) / 4);
});

scoped('without next-sentence labels the loss is that of the masked tokens', () => {
  const { nextSentenceLabels: _, ...batch } = tinyBatch(1);
  const { loss, tokenLoss } = evaluate(new Bert(model, initialise(model, 1)), [batch], 'cpu');
  assert.equal(loss, tokenLoss);
});

scoped('evaluation runs every block without dropout, the same each time', () => {
  const bert = new Bert(model, initialise(model, 1));
  const batches = [tinyBatch(1), tinyBatch(2)];
  const found = evaluate(bert, batches, 'cpu');
  assert.deepEqual(evaluate(bert, batches, 'cpu'), found);
  const withoutDropout: ModelConfig = { ...model, dropout: 0, attentionDropout: 0 };
  assert.deepEqual(evaluate(new Bert(withoutDropout, bert.weights), batches, 'cpu'), found);
  const shallower = new Bert({ ...withoutDropout, layers: 2 }, bert.weights);
  assert.notEqual(evaluate(shallower, batches, 'cpu').loss, found.loss);
});

scoped('evaluation leaks no tensor, and leaves recording for gradients on', () => {
  const weights = initialise(model, 1);
  for (const weight of weights.values()) weight.requiresGrad();
  const before = liveTensors();
  evaluate(new Bert(model, weights), [tinyBatch(1), tinyBatch(2)], 'cpu');
  assert.equal(liveTensors(), before);
  const x = Tensor.full([1], 3).requiresGrad();
  assert.equal(x.mul(x).grad([x])[0]!.item(), 6);
});
