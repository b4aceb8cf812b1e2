import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLearningRate } from './settings.ts';

test("the default learning rate is BERT's at its width, and larger for smaller models, up to 1e-3", () => {
  const rates = [1024, 768, 256, 128, 64].map(defaultLearningRate);
  assert.deepEqual(rates, [3.2e-5, 5e-5, 2.6e-4, 7.3e-4, 1e-3]);
});
