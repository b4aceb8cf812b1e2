import assert from 'node:assert/strict';
import test from 'node:test';
import type { ModelConfig } from '../../model/index.ts';
import { llama } from './llama.ts';

test("what llama.cpp's Llama supports and its Qwen3 does not is reported only for Qwen3", () => {
  const ropeScaling = { type: 'llama3', factor: 8, lowFrequency: 1, highFrequency: 4, originalPositions: 32 };
  const config = { activation: 'silu', attentionBias: true, ropeScaling } as ModelConfig;
  assert.deepEqual(llama.mistakes(config, { model_type: 'llama' }), []);
  assert.deepEqual(llama.mistakes(config, { model_type: 'qwen3' }), [
    'biases in its attention',
    'rotary positions scaled as llama3',
  ]);
});
