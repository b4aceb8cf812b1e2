import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import type { Config, LoadedConfig } from '../config/index.ts';
import type { Phased } from '../config/phases.ts';
import { rankEnvironment } from '../distributed/environment.ts';
import { ConfigError, commandText, UserError } from '../errors/index.ts';
import { learningRate } from '../optimizers/index.ts';
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

/** The result of a short run. */
interface Trial extends TriedRate {
  /** On the predicted tokens; null if training diverged. */
  accuracy: number | null;
}

/** The steps of a short run: the fraction `share` of `train.steps`, but at least `fewest`. */
const [share, fewest] = [0.02, 200];
const chart = 'learning-rates.svg';

/** `taper-lm tune`: finds a peak learning rate with short runs. */
export function tuneCommand(): Command {
  return new Command('tune')
    .description('find a peak learning rate with short runs of a configuration')
    .argument(...configArgument)
    .addOption(dataOption())
    .requiredOption('--out <folder>', 'folder for the runs, one per learning rate')
    .option(
      '--steps <steps>',
      `steps per run (default: ${percent(share)} of train.steps, at least ${fewest})`,
      countOf('--steps'),
    )
    .addOption(setOption())
    .addOption(deepSpeedOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
It starts at train.peakLearningRate and moves by factors of two until the best rate has a worse one on either side.
CTRL-C stops it; the same command continues.

Example:
  npx taper-lm tune configs/encoder.yaml --data my/texts --out runs/tune`,
    )
    .action(run);
}

async function run(file: string | undefined, options: TuneOptions, command: Command): Promise<void> {
  const { config } = await configOf(file, options, command);
  const first = config.train.peakLearningRate;
  if (rankEnvironment()) throw new ConfigError('tune: works in one process only; start it without launch or torchrun');
  const steps = options.steps ?? Math.min(config.train.steps, Math.max(fewest, Math.round(share * config.train.steps)));
  const trials: Trial[] = [];
  for (let rate: number | undefined = first; rate !== undefined; rate = nextRate(trials, first)) {
    const set = [...(options.set ?? []), ...shortened(config, steps, rate)];
    const trial = await tried(
      await configOf(file, { ...options, set }, command),
      join(options.out, `${rate}-${steps}`),
    );
    if (trial === undefined) return; // stopped
    trials.push({ learningRate: rate, ...trial });
  }
  if (trials.every(({ loss }) => loss === Infinity)) {
    const lowest = trials.at(-1)!.learningRate;
    throw new ConfigError(
      `train.peakLearningRate: training diverged at every rate from ${first} down to ${lowest}; start lower, with --set train.peakLearningRate=${lowest / 100}`,
    );
  }
  const best = bestRate(trials);
  trials.sort((a, b) => a.learningRate - b.learningRate);
  await draw(trials, steps, options.out);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ best, steps, trials: trials.map(inJson) })}\n`
      : textOf(trials, best, config, file, options),
  );
}

/** The settings of a short run: listed values, θ and the learning rate change at the same fractions of it as in the full run. */
function shortened({ data, depth, train }: Config, steps: number, rate: number): string[] {
  const part = steps / train.steps;
  const scaled = (name: string, value: Phased<number>) => {
    if (!Array.isArray(value)) return [];
    const pairs = new Map(value.map(([step, each]) => [Math.round(step * part), each])); // the last of those that fall on one step
    return [`${name}=${JSON.stringify([...pairs])}`];
  };
  return [
    ...scaled('train.batchSize', train.batchSize),
    ...scaled('data.sequenceLength', data.sequenceLength),
    ...scaled('data.maskRate', data.maskRate),
    ...(depth.growAt
      ? [`depth.growAt=[${depth.growAt.map((step, i) => Math.max(i + 1, Math.round(step * part)))}]`]
      : []),
    ...(typeof depth.gamma === 'number' ? [`depth.gamma=${depth.gamma / part}`] : []),
    ...(isHighAtEnd({ ...train, steps }) ? ['train.schedule=wsd'] : []),
    ...withRate(train, rate),
    `train.steps=${steps}`,
    'train.evalEvery=0',
    `train.saveEvery=${Math.ceil(steps / 4)}`,
    'train.keepCheckpoints=1',
  ];
}

/** Whether a run ends with its learning rate still less than half of the way down. */
function isHighAtEnd(train: Config['train']): boolean {
  return learningRate(train)(train.steps - 1) > (train.peakLearningRate + train.finalLearningRate) / 2;
}

/** Sets another peak; the final learning rate stays the same fraction of it. */
function withRate({ peakLearningRate, finalLearningRate }: Config['train'], rate: number): string[] {
  const end = Number(((finalLearningRate * rate) / peakLearningRate).toPrecision(3));
  return [`train.peakLearningRate=${rate}`, ...(finalLearningRate > 0 ? [`train.finalLearningRate=${end}`] : [])];
}

/** Trains a short run, or the rest of it; undefined if it was stopped. */
async function tried(loaded: LoadedConfig, out: string): Promise<Omit<Trial, 'learningRate'> | undefined> {
  const { NonFiniteError } = await import('../train/index.ts');
  const wasThere = existsSync(out);
  try {
    const { result, summary } = await train(loaded, { out, resume: true });
    if (result.stoppedBy !== undefined) process.exitCode = signalExitCodes[result.stoppedBy] ?? 1;
    if (result.stoppedBy !== undefined || summary === undefined) return undefined;
    const { loss, mlmAccuracy, clmAccuracy } = summary.lastEvaluation!;
    return { loss, accuracy: mlmAccuracy ?? clmAccuracy ?? null };
  } catch (error) {
    if (error instanceof NonFiniteError) return { loss: Infinity, accuracy: null };
    if (wasThere && error instanceof UserError)
      throw new ConfigError(
        `--out ${dirname(out)}: holds runs with other settings or texts; give another folder (${error.message})`,
      );
    throw error;
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
  { train }: Config,
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
    ...['--set', ...set.filter((text) => !/^train\.(peak|final)LearningRate=/.test(text)), ...withRate(train, best)],
  ]);
  return `${table([['learning rate', 'held-out loss', 'accuracy'], ...rows])}\nbest: ${best}\n${found}\n`;
}
