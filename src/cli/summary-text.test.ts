import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EvalMetrics } from '../runs/index.ts';
import { summarise } from '../runs/index.ts';
import { summaryText } from './summary-text.ts';

const result = { run: 'runs/mine', checkpoint: 'runs/mine/checkpoints/step-9', step: 9, stoppedBy: undefined };
const evaluation = (step: number, accuracy: Partial<EvalMetrics>): EvalMetrics => ({
  ...{ type: 'eval', step, split: 'valid', loss: 5, perplexity: 148, tokens: 100, ...accuracy },
});
const textOf = (lines: EvalMetrics[], tokens = 1e9, isContinued = false) =>
  summaryText(result, summarise(lines), { tokens, commonest: 0.061, isContinued });
const first = (lines: EvalMetrics[]) => textOf(lines).split('\n')[0];

test('a summary starts with what the model can do, then says what it cost', () => {
  const masked = [evaluation(0, { mlmAccuracy: 0.001 }), evaluation(9, { mlmAccuracy: 0.246 })];
  assert.equal(
    first(masked),
    'Of 100 hidden tokens (words and parts of words) in text that it was not trained on, the model guesses 25 correctly; always guessing the most frequent one would get 6 right.',
  );
  const text = textOf(masked);
  assert.ok(text.indexOf('accuracy') < text.indexOf('work '), text);
  assert.match(
    first([evaluation(0, { clmAccuracy: 0 }), evaluation(9, { clmAccuracy: 0.3 })])!,
    /^Of 100 next tokens .* guesses 30 correctly; /,
  );
});

test('a run that stopped before its second evaluation says how to evaluate it', () => {
  assert.match(
    first([evaluation(0, { mlmAccuracy: 0 })])!,
    /not been evaluated .* npx taper-lm eval runs\/mine does that/,
  );
  assert.match(
    textOf([evaluation(0, { mlmAccuracy: 0 })]),
    /^held-out loss +5\.000 nats \(lower is better\) at step 0, not measured since$/m,
  );
});

test('a good accuracy needs no excuse', () => {
  assert.doesNotMatch(
    textOf([evaluation(0, { mlmAccuracy: 0 }), evaluation(9, { mlmAccuracy: 0.9 })], 1e5),
    /tokens\. From/,
  );
});

test('time saved is not a negative number, which other programs make of it', () => {
  const summary = { ...summarise([evaluation(0, { mlmAccuracy: 0 })]), blockFlopsSaved: 0.2 };
  assert.match(summaryText(result, { ...summary, timeSaved: -0.2 }), /^time saved +not measurable/m);
  assert.match(summaryText(result, { ...summary, timeSaved: 0.2 }), /^time saved +20\.0 % \(beside dense training\)$/m);
});

test('a summary says if the text was too small, or the run too short, to learn more than common words', () => {
  const lines = [evaluation(0, { mlmAccuracy: 0 }), evaluation(9, { mlmAccuracy: 0.2 })];
  assert.match(textOf(lines, 447_000), /text has 447K tokens\. From fewer than 10M, .*\nMore text /);
  assert.match(textOf(lines), /trained for 9 steps; a new model needs about 2,000 /);
  assert.doesNotMatch(summaryText({ ...result, step: 2000 }, summarise(lines)), /trained for/);
  assert.doesNotMatch(textOf(lines, 20e6), /More text/);
  assert.doesNotMatch(textOf(lines, 447_000, true), /More text/); // it had been trained before
});
