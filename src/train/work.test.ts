import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastConfig, loadConfig, type StepConfig } from '../config/index.ts';
import { stepFlops } from '../depth/index.ts';
import { workOf } from './work.ts';

function bertBase(objective: 'mlm+nsp' | 'mlm'): StepConfig {
  const overrides = {
    model: { preset: 'bert-base' as const },
    data: { sequenceLength: 128, objective },
    train: { steps: 1, batchSize: 1, optimizer: 'adamw' as const },
  };
  return lastConfig(loadConfig({ overrides }).config);
}

test("a dense step of BERT-base is its blocks, its heads and AdamW's 14 operations on each of 110,106,428 parameters", () => {
  // By hand, for M = 19 and N = 1: MLM 2·19·768² + 2·19·768·30522 = 913,167,360; pooler and NSP 1,182,720.
  const forward = 22_347_251_712 + 913_167_360 + 1_182_720;
  assert.equal(stepFlops(workOf(bertBase('mlm+nsp'), 19), 12), 3 * forward + 14 * 110_106_428);
});

test('one objective less saves the pooler and the NSP head', () => {
  const [both, masked] = [workOf(bertBase('mlm+nsp'), 19), workOf(bertBase('mlm'), 19)];
  const saved = stepFlops(both, 12) - stepFlops(masked, 12);
  assert.equal(saved, 3 * 1_182_720 + 14 * (768 * 768 + 768 + 2 * 768 + 2));
});
