import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import type { EvalMetrics } from '../runs/index.ts';
import { summarise } from '../runs/index.ts';
import { summaryText, tryText } from './summary-text.ts';

const result = { run: 'runs/mine', checkpoint: 'runs/mine/checkpoints/step-9', step: 9, stoppedBy: undefined };
const gap = { right: 'cat', guess: 'dog', probability: 0.3 };
const evaluation = (step: number, accuracy: Partial<EvalMetrics>): EvalMetrics => ({
  ...{ type: 'eval', step, split: 'valid', loss: 5, perplexity: 148, tokens: 100, ...accuracy },
  examples: [{ parts: ['##day. The', 'sat'], gaps: [gap] }],
});
const first = (lines: EvalMetrics[]) => summaryText(result, summarise(lines)).split('\n')[0];

test('a summary starts with what the model can do, then says what it cost', () => {
  const masked = [evaluation(0, { mlmAccuracy: 0.001 }), evaluation(9, { mlmAccuracy: 0.246 })];
  assert.equal(
    first(masked),
    'The model predicts 24.6 % of masked tokens correctly in text it was not trained on (0.1 % at the start).',
  );
  const text = summaryText(result, summarise(masked));
  assert.ok(text.indexOf('accuracy') < text.indexOf('work '), text);
  assert.match(
    first([evaluation(0, { clmAccuracy: 0 }), evaluation(9, { clmAccuracy: 0.3 })])!,
    /predicts the next token correctly 30\.0 % of the time/,
  );
});

test('a run that stopped before its second evaluation says how to evaluate it', () => {
  assert.match(
    first([evaluation(0, { mlmAccuracy: 0 })])!,
    /not been evaluated .* npx taper-lm eval runs\/mine does that/,
  );
});

test('the commands to try a model use its held-out text, and fit its kind', () => {
  const summary = summarise([evaluation(0, { mlmAccuracy: 0 })]);
  const tried = (preset: string) =>
    tryText(result, summary, loadConfig({ sets: [`model.preset=${preset}`, 'train.steps=1'] }).config).split('\n')[0];
  assert.equal(tried('bert-mini'), "  npx taper-lm fill runs/mine 'The [MASK] sat'");
  assert.equal(tried('llama-mini'), '  npx taper-lm generate runs/mine The');
});
