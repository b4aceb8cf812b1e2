import { existsSync } from 'node:fs';
import { type Checkpoint, writeCheckpoint } from '../src/checkpoints/index.ts';
import { initialise } from '../src/model/index.ts';
import { scope } from '../src/tensor/index.ts';

/** A checkpoint at `path` of the same model and tokenizer with new weights, unless it is there. */
export function untrainedLike({ config, progress, tokenizerJson }: Checkpoint, path: string): string {
  if (existsSync(path)) return path;
  scope(() => {
    const weights = initialise(config.model, config.train.seed);
    writeCheckpoint(path, {
      config,
      progress: { ...progress, step: 0, samples: 0, tokens: 0 },
      weights,
      tokenizerJson,
    });
  });
  return path;
}
