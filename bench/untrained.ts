import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Checkpoint, writeCheckpoint } from '../src/checkpoints/index.ts';
import { initialise } from '../src/model/index.ts';
import { scope } from '../src/tensor/index.ts';

/** A checkpoint in a folder with new weights, of the same model and tokenizer; it is made once for each checkpoint. */
export function untrainedLike({ config, progress, tokenizerJson, weightsHash }: Checkpoint, folder: string): string {
  const path = join(folder, `untrained-${weightsHash.slice(0, 8)}`);
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
