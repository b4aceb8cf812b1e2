import { basename } from 'node:path';
import { type Checkpoint, freeName } from '../checkpoints/index.ts';
import { trainPaths } from '../config/index.ts';
import { commandText } from '../errors/index.ts';

/** Small models that train in minutes, by what they can do. */
const configs = { fill: 'configs/start.yaml', generate: 'configs/start-decoder.yaml' };

/** The command that trains a model that can do something else than the one of a checkpoint, on the same text. */
export function trainingCommand({ config }: Checkpoint, wanted: keyof typeof configs): string {
  const texts = trainPaths(config.data.train);
  const words = ['pretrain', configs[wanted], '--data', ...(texts.length > 0 ? texts : ['my/texts'])];
  const out = freeName(`runs/${basename(configs[wanted], '.yaml')}`);
  return commandText(['npx', 'taper-lm', ...words, '--out', out]);
}
