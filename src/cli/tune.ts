import { join } from 'node:path';
import { Command } from 'commander';
import type { Config, LoadedConfig } from '../config/index.ts';
import type { Staged } from '../config/stages.ts';
import { ConfigError, commandText } from '../errors/index.ts';
import { percent, table } from '../report/format.ts';
import { bestRate, nextRate, type TriedRate } from '../train/rate-search.ts';
import {
  type ConfigOptions,
  configArgument,
  configOf,
  dataOption,
  deepSpeedOption,
  jsonOption,
  setOption,
} from './config.ts';
import { writeFiles } from './files.ts';
import { countOf } from './numbers.ts';
import { train } from './pretrain.ts';
import { signalExitCodes } from './signals.ts';

interface TuneOptions extends ConfigOptions {
  out: string;
  steps?: number;
  json?: boolean;
}

/** What a short run came to. */
interface Trial extends TriedRate {
  /** Of the predicted tokens; null where training diverged. */
  accuracy: number | null;
}

/** A short run has this share of the steps, and no fewer than so many. */
const [share, fewest] = [0.02, 200];
const chart = 'learning-rates.svg';

/** `taper-lm tune`: a peak learning rate from short runs. */
export function tuneCommand(): Command {
  return new Command('tune')
    .description('find a peak learning rate by short runs of a configuration, each of which decays fully')
    .argument(...configArgument)
    .addOption(dataOption())
    .requiredOption('--out <folder>', 'folder for the runs, one for each learning rate')
    .option(
      '--steps <steps>',
      `steps of a run (default: ${percent(share)} of train.steps, at least ${fewest})`,
      countOf('--steps'),
    )
    .addOption(setOption())
    .addOption(deepSpeedOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
It begins with train.peakLearningRate and goes on by factors of two, until the best rate has a worse one on either side.
CTRL-C stops it; the same command goes on.

Example:
  npx taper-lm tune configs/encoder.yaml --data my/texts --out runs/tune`,
    )
    .action(run);
}

async function run(file: string | undefined, options: TuneOptions, command: Command): Promise<void> {
  const { config } = configOf(file, options, command);
  const first = config.train.peakLearningRate;
  const steps = options.steps ?? Math.max(fewest, Math.round(share * config.train.steps));
  const trials: Trial[] = [];
  for (let rate: number | undefined = first; rate !== undefined; rate = nextRate(trials, first)) {
    const set = [...(options.set ?? []), ...shortened(config, steps, rate)];
    const trial = await tried(configOf(file, { ...options, set }, command), join(options.out, `${rate}-${steps}`));
    if (trial === undefined) return; // stopped
    trials.push({ learningRate: rate, ...trial });
  }
  if (trials.every(({ loss }) => loss === Infinity)) {
    throw new ConfigError(
      `train.peakLearningRate: training diverged at ${first}, and at each rate below it that was tried; begin far lower, with --set train.peakLearningRate=${first / 1000}`,
    );
  }
  const best = bestRate(trials);
  trials.sort((a, b) => a.learningRate - b.learningRate);
  await draw(trials, steps, options.out);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ best, steps, trials: trials.map(inJson) })}\n`
      : textOf(trials, best, file, options),
  );
}

/** What makes a short run of a configuration: all that happens at some step happens at the same share of the steps. */
function shortened({ data, train: { steps: before, ...train } }: Config, steps: number, rate: number): string[] {
  const scaled = (name: string, value: Staged<number>) =>
    Array.isArray(value)
      ? [`${name}=${JSON.stringify(value.map(([step, each]) => [Math.round((step * steps) / before), each]))}`]
      : [];
  return [
    ...scaled('train.batchSize', train.batchSize),
    ...scaled('data.sequenceLength', data.sequenceLength),
    ...scaled('data.maskRate', data.maskRate),
    `train.steps=${steps}`,
    `train.peakLearningRate=${rate}`,
    `train.finalLearningRate=${(train.finalLearningRate * rate) / train.peakLearningRate}`,
    'train.evalEvery=0',
    `train.saveEvery=${Math.ceil(steps / 4)}`,
    'train.keepCheckpoints=1',
  ];
}

/** Trains a short run, or what is left of it; undefined where it was stopped. */
async function tried(loaded: LoadedConfig, out: string): Promise<Omit<Trial, 'learningRate'> | undefined> {
  const { NonFiniteError } = await import('../train/index.ts');
  try {
    const { result, summary } = await train(loaded, { out, resume: true });
    if (result.stoppedBy !== undefined) process.exitCode = signalExitCodes[result.stoppedBy] ?? 1;
    if (result.stoppedBy !== undefined || summary === undefined) return undefined;
    const { loss, mlmAccuracy, clmAccuracy } = summary.lastEvaluation!;
    return { loss, accuracy: mlmAccuracy ?? clmAccuracy ?? null };
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    return { loss: Infinity, accuracy: null };
  }
}

const inJson = ({ loss, ...trial }: Trial) => ({ ...trial, loss: Number.isFinite(loss) ? loss : null });

async function draw(trials: readonly Trial[], steps: number, out: string): Promise<void> {
  const { lineChart } = await import('../report/index.ts');
  const svg = lineChart({
    title: `Held-out loss after ${steps.toLocaleString('en')} steps`,
    xLabel: 'peak learning rate',
    yLabel: 'loss, nats',
    logTicks: trials.map(({ learningRate }) => learningRate),
    series: [
      {
        name: 'loss',
        points: trials
          .filter(({ loss }) => loss < Infinity)
          .map(({ learningRate, loss }) => [learningRate, loss] as const),
      },
    ],
  });
  writeFiles(out, { [chart]: svg });
}

function textOf(
  trials: readonly Trial[],
  best: number,
  file: string | undefined,
  { data = [], set = [], deepspeed }: TuneOptions,
): string {
  const rows = trials.map(({ learningRate, loss, accuracy }) => [
    `${learningRate}`,
    accuracy === null ? 'diverged' : loss.toFixed(3),
    accuracy === null ? '' : percent(accuracy),
  ]);
  const found = commandText([
    ...['npx', 'taper-lm', 'pretrain', ...(file === undefined ? [] : [file])],
    ...(data.length > 0 ? ['--data', ...data] : []),
    ...(file === undefined ? ['--out', 'runs/tuned'] : []), // with a file, its name is the default
    ...(deepspeed === undefined ? [] : ['--deepspeed', deepspeed]),
    ...[
      '--set',
      ...set.filter((text) => !text.startsWith('train.peakLearningRate=')),
      `train.peakLearningRate=${best}`,
    ],
  ]);
  return `${table([['learning rate', 'held-out loss', 'accuracy'], ...rows])}\nbest: ${best}\n${found}\n`;
}
