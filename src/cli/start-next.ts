import { relative } from 'node:path';
import { loadConfig } from '../config/index.ts';
import { valuesOf } from '../config/phases.ts';
import { isRemote } from '../data/remote.ts';
import { commandText } from '../errors/index.ts';
import type { Gap } from '../inference/index.ts';
import { fewerEpochs } from '../train/epochs.ts';

/** The configuration that a first run leads to. */
const nextFile = 'configs/encoder.yaml';

/** A first run, and the text that it was trained on. */
interface FirstRun {
  out: string;
  /** Absolute paths or addresses. */
  texts: readonly string[];
  tokens: number;
  /** A gap in its held-out text. */
  gap: Pick<Gap, 'before' | 'after'> | undefined;
}

/** What to do after a first run: commands that look at it, and commands that train a larger model on the same text. */
export function nextText({ out, texts, tokens, gap = { before: 'The', after: 'sat.' } }: FirstRun): string {
  const larger = [nextFile, '--data', ...texts.map(fromHere), ...lengthFor(tokens)];
  const command = (...words: readonly string[]) => `  ${commandText(['npx', 'taper-lm', ...words])}\n`;
  return `What next:
${command('dashboard', 'runs')}${command('fill', out, `${gap.before} [MASK] ${gap.after}`)}
Train a larger model on the same text; plan shows how long that takes on this machine:
${command('plan', ...larger)}${command('pretrain', ...larger)}`;
}

/** A path as a user types it in the working directory. */
function fromHere(path: string): string {
  const short = isRemote(path) ? path : relative('', path);
  return short === '' || short.startsWith('..') ? path : short;
}

/** The setting of the epochs that fit a text of about `tokens` tokens, if those of the next configuration are too many. */
function lengthFor(tokens: number): string[] {
  const { config } = loadConfig({ file: nextFile });
  const count = Math.ceil(tokens / Math.max(...valuesOf(config.data.sequenceLength)));
  const fewer = fewerEpochs(config, { train: () => ({ samples: { count } }) });
  return fewer ? ['--set', `train.epochs=${fewer.epochs}`] : [];
}
