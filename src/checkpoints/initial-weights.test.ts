import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import type { ModelSettings } from '../model/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkSameModel } from './initial-weights.ts';

const configOf = (model: Partial<ModelSettings>) =>
  loadConfig({ overrides: { model: { preset: 'llama-mini', ...model }, train: { steps: 1 } } }).config;

test('weights are taken over only where the model does the same with them', () => {
  const linear = (factor: number) => ({ ropeScaling: { type: 'linear' as const, factor } });
  const checkpoint = { path: 'models/a', config: configOf(linear(2)) } as Checkpoint;
  checkSameModel(checkpoint, configOf({ ...linear(2), dropout: 0.1 }).model);
  const refused = (model: Partial<ModelSettings>, message: RegExp) =>
    assert.throws(() => checkSameModel(checkpoint, configOf(model).model), message);
  refused(
    linear(4),
    /^ConfigError: model\.ropeScaling: \{.*4\}, but models\/a has \{.*2\}; use its model with --from$/,
  );
  refused({}, /model\.ropeScaling: undefined, but models\/a has \{/);
  refused({ ...linear(2), ropeTheta: 500 }, /model\.ropeTheta: 500, but models\/a has 10000/);
  refused({ ...linear(2), keyValueHeads: 3 }, /model\.keyValueHeads: 3, but models\/a has 2/);
});
