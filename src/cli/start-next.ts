import { relative } from 'node:path';
import { loadConfig } from '../config/index.ts';
import { valuesOf } from '../config/phases.ts';
import { isRemote } from '../data/remote.ts';
import { commandText, counted } from '../errors/index.ts';
import { duration } from '../report/format.ts';
import { fewerEpochs, leastSteps } from '../train/epochs.ts';
import type { Look } from './look.ts';

/**
 * The first runs of `npm start`: their configuration, how long they take, the configuration that they lead to, and whether their models
 * can be fine-tuned.
 */
export const firstRuns = {
  encoder: { file: 'configs/start.yaml', minutes: 'two', next: 'configs/encoder.yaml', isTunable: true },
  decoder: { file: 'configs/start-decoder.yaml', minutes: 'three', next: 'configs/decoder.yaml', isTunable: false },
};

/** A first run, and the text that it was trained on. */
interface FirstRun extends Pick<Look, 'command'>, Partial<Pick<Look, 'tokens'>> {
  /** Absolute paths or addresses. */
  texts: readonly string[];
  /** Its configuration, and the one that it leads to. */
  file: string;
  next: string;
  isTunable: boolean;
  /** Settings of its text, which the other runs need as well. */
  sets?: readonly string[];
  secondsPerStep: number;
  /** Its folder, and that of a longer run. */
  run: string;
  longer: string;
  /** The folder of a larger model. */
  bigger: string;
  /** Whether it was stopped, and can be resumed. */
  isStopped?: boolean;
}

/** The same model is advised for this long, but for at least as many steps as a new model needs. */
const longerSeconds = 600;

/** What to do after a first run: commands that look at it, and commands that train longer, or a larger model, on the same text. */
export function nextText(first: FirstRun): string {
  const { texts, tokens, command, file, next, isTunable, sets = [], secondsPerStep, run, longer, bigger } = first;
  const data = ['--data', ...texts.map(fromHere)];
  const set = (...words: readonly string[]) => (words.length > 0 ? ['--set', ...words] : []);
  const larger = [next, ...data, ...set(...sets, ...lengthFor(next, tokens))];
  const line = (...words: readonly string[]) => `  ${commandText(['npx', 'taper-lm', ...words])}\n`;
  const tune = [
    'finetune',
    run,
    '--train',
    'my/table.csv',
    '--text',
    'text',
    '--label',
    'label',
    '--out',
    'runs/classifier',
  ];
  const classifier = `
Make a classifier of the model, with a table that has a text and a label in each row:
${line(...tune)}`;
  const steps = Math.max(leastSteps, Number((longerSeconds / Math.max(secondsPerStep, 1e-3)).toPrecision(1)));
  const resume = first.isStopped ? line('pretrain', '--resume', '--out', run) : '';
  return `What next:
${resume}${line(...command)}${line('dashboard', 'runs')}
Train the same model for ${counted(steps, 'step')}, about ${duration(steps * secondsPerStep)} at this run's speed; new models need ${leastSteps.toLocaleString('en')} or more:
${line('pretrain', file, ...data, '--out', longer, ...set(...sets, `train.steps=${steps}`))}
Train a larger model on the same text; plan shows how long that takes on this machine:
${line('plan', ...larger)}${line('pretrain', ...larger, '--out', bigger)}${isTunable ? classifier : ''}`;
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
  return fewer ? [`train.epochs=${fewer.epochs}`] : [];
}
