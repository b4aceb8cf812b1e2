import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FineTuned, Task } from '../tasks/index.ts';
import { resultText } from './finetune-result.ts';

/** What is printed of a classifier with an accuracy on some examples, where naive Bayes has 95.8 %. */
function printed(
  accuracy: number,
  {
    epochs,
    isTested = false,
    count = 120,
    bestEpoch = 1,
    ...stopped
  }: { epochs: number; isTested?: boolean; count?: number; bestEpoch?: number; stoppedBy?: string },
): string {
  const of = (score: number) => ({ set: isTested ? 'test' : 'dev', scores: { accuracy: score } });
  const examples = new Array(count).fill({});
  const task = {
    kind: { judgedBy: ['accuracy'] },
    devs: [{ name: 'dev', examples }],
    tests: isTested ? [{ name: 'test', examples }] : [],
  } as unknown as Task;
  const tuned = {
    head: { kind: 'single-label', labels: ['ham', 'spam'] },
    bestEpoch,
    ...stopped,
    devs: [{ set: 'dev', scores: { accuracy }, judged: accuracy }],
    tests: isTested ? [of(accuracy)] : [],
    history: new Array<number>(epochs).fill(accuracy),
    baselines: [{ name: 'naive Bayes on words', sets: [of(0.958)] }],
  } as unknown as FineTuned;
  return resultText([{ ...tuned, seed: 1 }], tuned, task);
}

const chance = /^The lead over naive Bayes on words may be chance: with 120 examples, a difference below 3\.3 points/m;
const chosen = /^These examples also chose the best of 4 epochs/m;

test('a small lead over naive Bayes may be chance, a large one is not', () => {
  assert.match(printed(0.983, { epochs: 4 }), chance);
  assert.doesNotMatch(printed(0.999, { epochs: 4 }), chance);
});

test('scores of the examples that chose the epoch are said to flatter the model, those of a test set are not', () => {
  assert.match(printed(0.983, { epochs: 4 }), chosen);
  assert.doesNotMatch(printed(0.983, { epochs: 1 }), /chose the best/);
  assert.doesNotMatch(printed(0.983, { epochs: 4, isTested: true }), /chose the best/);
});

test('a score on few examples is said to say little', () => {
  assert.match(printed(1, { epochs: 4, count: 2 }), /^With 2 examples this score says little; give more with --dev/m);
  assert.doesNotMatch(printed(1, { epochs: 4, count: 30 }), /says little/);
});

test('a stopped fine-tuning gets no advice about epochs', () => {
  assert.doesNotMatch(printed(0.9, { epochs: 1, bestEpoch: 1, stoppedBy: 'SIGINT' }), /The last epoch/);
});

test('more epochs are advised if the last one was the best', () => {
  assert.match(printed(0.9, { epochs: 4, bestEpoch: 4 }), /^The last epoch was the best; .* --epochs 8\.$/m);
  assert.doesNotMatch(printed(0.9, { epochs: 4, bestEpoch: 3 }), /The last epoch/);
  assert.doesNotMatch(printed(1, { epochs: 4, bestEpoch: 4 }), /The last epoch/);
});
