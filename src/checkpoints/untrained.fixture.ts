// For tests: a checkpoint of a model that nobody trained.
import assert from 'node:assert/strict';
import type { Config } from '../config/index.ts';
import { initialise } from '../model/index.ts';
import { scope } from '../tensor/index.ts';
import { type Checkpoint, openCheckpoint, untrainedProgress, writeCheckpoint } from './checkpoint.ts';

/** Writes the initial weights of a configuration as a checkpoint, and opens it. */
export function untrained(path: string, config: Config, tokenizerJson: string): Checkpoint {
  const weights = () => initialise(config.model, 1);
  scope(() => writeCheckpoint(path, { config, progress: untrainedProgress, weights: weights(), tokenizerJson }));
  return openCheckpoint(path, assert.fail);
}
