import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../errors/index.ts';
import { checkSettings, defaultLearningRate, type FineTuneSettings, fineTuneDefaults } from './settings.ts';

test("the default learning rate is BERT's at its width, and larger for smaller models, up to 1e-3", () => {
  const rates = [1024, 768, 256, 128, 64].map(defaultLearningRate);
  assert.deepEqual(rates, [3.2e-5, 5e-5, 2.6e-4, 7.3e-4, 1e-3]);
});

test('settings that are out of range are refused by name, and the defaults are not', () => {
  const given: FineTuneSettings = { ...fineTuneDefaults, seed: 1, precision: 'fp32', device: 'cpu' };
  checkSettings(given);
  checkSettings({ ...given, patience: 1, frozenBlocks: 0, dropout: 0, maxLength: 3 });
  for (const [change, message] of [
    [{ epochs: 0 }, 'epochs: 0 is not an integer ≥ 1'],
    [{ batchSize: 0.5 }, 'batchSize: 0.5 is not an integer ≥ 1'],
    [{ microBatchSize: Number.NaN }, 'microBatchSize: NaN is not an integer ≥ 1'],
    [{ patience: 0 }, 'patience: 0 is not an integer ≥ 1'],
    [{ frozenBlocks: -1 }, 'frozenBlocks: -1 is not an integer ≥ 0'],
    [{ dropout: 1 }, 'dropout: 1 is not a number ≥ 0 and < 1'],
    [{ warmupRatio: -0.1 }, 'warmupRatio: -0.1 is not a number ≥ 0 and < 1'],
    [{ maxLength: 2 }, 'maxLength: 2 is not an integer ≥ 3: two special tokens and one of the text'],
  ] as const) {
    assert.throws(
      () => checkSettings({ ...given, ...change }),
      (error) => error instanceof ConfigError && error.message === message,
      message,
    );
  }
});
