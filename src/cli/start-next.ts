import { relative } from 'node:path';
import { loadConfig } from '../config/index.ts';
import { valuesOf } from '../config/phases.ts';
import { isRemote } from '../data/remote.ts';
import { commandText } from '../errors/index.ts';
import { fewerEpochs } from '../train/epochs.ts';
import type { Look } from './look.ts';

/** The first runs of `npm start`: their configuration, how long they take, and the configuration that they lead to. */
export const firstRuns = {
  encoder: { file: 'configs/start.yaml', minutes: 'two', next: 'configs/encoder.yaml' },
  decoder: { file: 'configs/start-decoder.yaml', minutes: 'three', next: 'configs/decoder.yaml' },
};

/** A first run, and the text that it was trained on. */
interface FirstRun extends Pick<Look, 'command'>, Partial<Pick<Look, 'tokens'>> {
  /** Absolute paths or addresses. */
  texts: readonly string[];
  /** The configuration that it leads to. */
  next: string;
}

/** What to do after a first run: commands that look at it, and commands that train a larger model on the same text. */
export function nextText({ texts, tokens, command, next }: FirstRun): string {
  const larger = [next, '--data', ...texts.map(fromHere), ...lengthFor(next, tokens)];
  const line = (...words: readonly string[]) => `  ${commandText(['npx', 'taper-lm', ...words])}\n`;
  return `What next:
${line(...command)}${line('dashboard', 'runs')}
Train a larger model on the same text; plan shows how long that takes on this machine:
${line('plan', ...larger)}${line('pretrain', ...larger)}`;
}

/** A path as a user types it in the working directory. */
function fromHere(path: string): string {
  const short = isRemote(path) ? path : relative('', path);
  return short === '' || short.startsWith('..') ? path : short;
}

/** The setting of the epochs that fit a text of about `tokens` tokens, if that is known and those of a configuration are too many. */
function lengthFor(file: string, tokens: number | undefined): string[] {
  if (tokens === undefined) return [];
  const { config } = loadConfig({ file });
  const count = Math.ceil(tokens / Math.max(...valuesOf(config.data.sequenceLength)));
  const fewer = fewerEpochs(config, { train: () => ({ samples: { count } }) });
  return fewer ? ['--set', `train.epochs=${fewer.epochs}`] : [];
}
