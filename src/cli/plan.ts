import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import { type Config, type LoadedConfig, lastConfig, phasesOf } from '../config/index.ts';
import {
  type DepthState,
  depthJumps,
  depthMethod,
  expectedDepth,
  hasGamma,
  ownSettings,
  ownWords,
  type PlannedCost,
  plannedCost,
  resolveGamma,
} from '../depth/index.ts';
import { counted } from '../errors/index.ts';
import { startedWith } from '../errors/started-with.ts';
import { numParameters, parameterSpecs } from '../model/index.ts';
import { duration, flopsText, percent, rounded, table } from '../report/format.ts';
import { advisedEpochs, epochsOf, epochsText, fewerEpochs, isTooShort, leastSteps } from '../train/epochs.ts';
import type { StepTimes } from '../train/index.ts';
import { estimateMemory, type MemoryEstimate } from '../train/memory.ts';
import { workOf, worksOf } from '../train/work.ts';
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
import { memoryFacts, memoryWarning, microBatchesFor } from './memory.ts';
import { preparation } from './progress.ts';
import { longHours, shorterRun, trialHours, trialRun, watchTraining } from './run-time.ts';
import { warn } from './terminal.ts';

/** The points of a run at which the schedule is shown, as fractions; it changes most at the start. */
const shownAt = [0, 0.01, 0.02, 0.05, 0.1, 0.5, 1];
/** The maximum number of columns of the heat map. */
const numColumns = 100;
/** The maximum number of micro-batch sizes that are timed. */
const numSizes = 4;

/** What a configuration will do, computed without training, with the settings that only its method reads. */
interface Plan extends PlannedCost {
  parameters: number;
  steps: number;
  layers: number;
  method: string;
  /** In 1/steps; null for a method without a schedule in time. */
  gamma: number | null;
  thetaBar: number | null;
  /** Peak memory of training in one process, in bytes. */
  memory: MemoryEstimate;
  /** With `--data`: the training text. */
  text?: TextFacts;
  schedule: ({ step: number; expectedDepth: number } & Pick<DepthState, 'theta' | 'keepRates'>)[];
  warnings: string[];
  /** With `--measure` or `--data`: the time of the steps on this machine, excluding evaluations and checkpoints. */
  measured?: MeasuredTime;
}

/** The training text, split into sequences of the last length. */
interface TextFacts {
  tokens: number;
  /** Sequences to train on, and held out. */
  sequences: number;
  heldOut: number;
  epochs: number;
  /** Fewer epochs, if these are too many. */
  advisedEpochs: number | null;
}

interface MeasuredTime {
  /** One entry per phase of the run. */
  stepTimes: StepTimes[];
  denseHours: number;
  hours: number;
  /** The fraction of `denseHours` that is saved. */
  timeSaved: number;
  /** With `--measure`: seconds of a dense step with several micro-batch sizes that fit into memory, and the fastest size; null on a GPU. */
  microBatches: { sizes: { size: number; seconds: number }[]; fastest: number } | null;
}

interface PlanOptions extends ConfigOptions {
  measure?: boolean;
  svg?: string;
  json?: boolean;
}

/** `taper-lm plan`: shows what a configuration will do, without training. */
export function planCommand(): Command {
  return new Command('plan')
    .description(
      'show how long a run would take, how much memory it needs, and when each block will run, without training',
    )
    .argument(...configArgument)
    .addOption(dataOption())
    .addOption(setOption())
    .addOption(deepSpeedOption())
    .option('--measure', 'time some steps on this machine, also with other micro-batch sizes')
    .option('--svg <file>', 'draw the keep rate of each block at each step')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  npx taper-lm plan configs/encoder.yaml --data my/texts --set train.epochs=20\n  npx taper-lm plan configs/bert-base.yaml --set depth.thetaBar=0.7',
    )
    .action(async (file: string | undefined, options: PlanOptions, command: Command) => {
      const loaded = await configOf(file, options, command);
      const { config } = loaded;
      const plan = planOf(loaded);
      const tooMuch = memoryWarning(config);
      if (tooMuch !== undefined) plan.warnings.push(tooMuch);
      if (options.data !== undefined) await readTexts(config, plan);
      if (options.svg !== undefined) await draw(config, options.svg);
      const isTimed = options.measure || (options.data !== undefined && tooMuch === undefined); // else it may be killed
      if (isTimed) {
        const slowdown = watchTraining(config);
        plan.measured = await measured(config, options.measure);
        const slow = slowdown();
        if (slow !== undefined) plan.warnings.push(`the measured times are too long: ${slow}`);
      }
      if (!options.json) plan.warnings.forEach(warn);
      process.stdout.write(options.json ? `${JSON.stringify(plan)}\n` : planText(plan, config));
    });
}

function planOf({ config, warnings }: LoadedConfig): Plan {
  const { depth, model, train } = config;
  const method = depthMethod(depth, model.layers, train.steps);
  const lastStep = train.steps - 1;
  const shown = [
    ...shownAt.map((fraction) => Math.round(fraction * lastStep)),
    ...depthJumps(depth, model.layers, train.steps).map((step) => Math.min(lastStep, step)),
  ];
  const steps = [...new Set(shown)].sort((a, b) => a - b);
  const isScheduled = hasGamma(depth);
  return {
    parameters: numParameters(parameterSpecs(model)),
    steps: train.steps,
    layers: model.layers,
    method: depth.method,
    gamma: isScheduled ? resolveGamma(depth.gamma, train.steps) : null,
    thetaBar: isScheduled ? depth.thetaBar : null,
    ...ownSettings(depth),
    ...plannedCost(method, train.steps, worksOf(config), {
      microBatchSize: train.microBatchSize,
      granularity: depth.granularity,
    }),
    memory: estimateMemory(config),
    schedule: steps.map((step) => {
      const { theta, keepRates } = method(step);
      return { step, theta, expectedDepth: expectedDepth(keepRates), keepRates };
    }),
    warnings: [...warnings],
  };
}

/** Tokenises the texts, as the run will, and adds what they are to a plan. */
async function readTexts(config: Config, plan: Plan): Promise<void> {
  const { openTextsBefore } = await import('../train/load-for-texts.ts');
  using report = preparation();
  const texts = await openTextsBefore(config, { report });
  texts.close();
  const { steps } = config.train;
  const sequences = texts.train(steps).samples.count;
  const fewer = fewerEpochs(config, texts);
  plan.text = {
    tokens: texts.tokens,
    sequences,
    heldOut: texts.valid.samples.count,
    epochs: epochsOf(config, texts),
    advisedEpochs: fewer?.epochs ?? null,
  };
  const advised = advisedEpochs(config, texts);
  if (isTooShort(steps) && config.train.from === undefined && plan.text.epochs < advised) {
    plan.warnings.push(
      `${counted(steps, 'step')} are few for a new model, which needs about ${leastSteps.toLocaleString('en')} to learn more than common words and their neighbours. Try ${advised} epochs: ${startedWith(['--set', `train.epochs=${advised}`])}`,
    );
  }
  if (fewer) plan.warnings.push(`${fewer.warning}: ${startedWith(['--set', `train.epochs=${fewer.epochs}`])}`);
}

async function measured(config: Config, hasSizes = false): Promise<MeasuredTime> {
  const { measureSteps, stepSeconds } = await import('../train/index.ts'); // imported here because it loads libtorch
  const { depth, model, train } = config;
  const method = depthMethod(depth, model.layers, train.steps);
  const phases = phasesOf(config);
  const each = phases.length === 1 ? '' : `, for each of ${phases.length} phases`;
  process.stderr.write(`timing some steps on this machine, for about half a minute or a few large steps${each}\n`);
  const found = { stepTimes: [] as StepTimes[], denseHours: 0, hours: 0 };
  for (const phase of phases) {
    const times = measureSteps(phase.config);
    const { microBatchSize, batchSize } = phase.config.train;
    const hoursAt = (depth: number, updated: number) =>
      (phase.steps * stepSeconds(times, { depth, updated, microBatches: batchSize / microBatchSize })) / 3600;
    const work = workOf(phase.config);
    const draws = { microBatchSize, granularity: depth.granularity };
    const planned = plannedCost(
      (step) => method(phase.first + step),
      phase.steps,
      () => work,
      draws,
    );
    found.stepTimes.push(times);
    found.denseHours += hoursAt(model.layers, model.layers);
    found.hours += hoursAt(planned.meanDepth, planned.meanUpdated);
  }
  return {
    ...found,
    timeSaved: 1 - found.hours / found.denseHours,
    microBatches: hasSizes ? await measuredMicroBatches(config) : null,
  };
}

/** Times micro-batch sizes that fit into memory: the largest, then each that is at most half of the one before. */
async function measuredMicroBatches(config: Config): Promise<MeasuredTime['microBatches']> {
  const { timeMicroBatches } = await import('../train/index.ts');
  const tried: number[] = [];
  for (const size of microBatchesFor(config)) {
    if (tried.length < numSizes && size <= (tried.at(-1) ?? Infinity) / 2) tried.push(size);
  }
  if (tried.length === 0) return null;
  const times = timeMicroBatches(lastConfig(config), tried);
  const sizes = Array.from(times, ([size, seconds]) => ({ size, seconds }));
  const { size } = sizes.reduce((best, one) => (one.seconds < best.seconds ? one : best));
  return { sizes, fastest: size };
}

/** Draws a heat map of the keep rates by step and block. */
async function draw({ depth, model, train }: Config, file: string): Promise<void> {
  const { heatMap } = await import('../report/index.ts');
  const method = depthMethod(depth, model.layers, train.steps);
  const columns = Math.min(numColumns, train.steps);
  const steps = Array.from({ length: columns }, (_, i) => Math.round((i * train.steps) / columns));
  const svg = heatMap({
    title: `Keep rate of each block: ${depth.method}`,
    xLabel: 'step',
    yLabel: 'block',
    xNames: steps.map(String),
    xNamesEvery: Math.ceil(columns / 5),
    valueLabel: 'keep rate',
    yNames: Array.from({ length: model.layers }, (_, l) => String(l + 1)),
    values: Array.from({ length: model.layers }, (_, l) => steps.map((step) => method(step).keepRates[l]!)),
    range: [0, 1],
  });
  writeFiles(dirname(file), { [basename(file)]: svg });
}

function timeFacts(
  { hours, denseHours, timeSaved, microBatches }: MeasuredTime,
  { train }: Config,
  { hasAdvice, isDense }: { hasAdvice: boolean; isDense: boolean },
): [string, string][] {
  const time = (value: number) => duration(3600 * value);
  return [
    [
      'time',
      `${time(hours)} on this machine${isDense ? '' : `; dense: ${time(denseHours)}`} (training steps only, estimated from the steps just timed)`,
    ],
    ...(hours > longHours && !hasAdvice ? [['a shorter run', shorterRun(train.steps, hours)] as [string, string]] : []),
    ...(hours > 2 * trialHours && hours <= longHours ? [['a trial', trialRun(train, hours)] as [string, string]] : []),
    ...(isDense ? [] : [['time saved', percent(timeSaved)] as [string, string]]),
    ...(microBatches ? [microBatchFact(microBatches)] : []),
    ['learning rate', `peak ${train.peakLearningRate}; npx taper-lm tune searches for a better one with short runs`],
  ];
}

function microBatchFact({ sizes, fastest }: NonNullable<MeasuredTime['microBatches']>): [string, string] {
  const times = sizes.map(({ size, seconds }) => `${rounded(seconds)} s with ${size}`);
  return [
    'micro-batch',
    `--set train.microBatchSize=${fastest} is the fastest that fits (time of a dense step: ${times.join(', ')})`,
  ];
}

function textWords({ tokens, sequences, heldOut, epochs }: TextFacts): string {
  return `${counted(tokens, 'token')}; ${counted(sequences, 'sequence')} to train on, ${heldOut.toLocaleString('en')} held out; ${epochsText(epochs)}`;
}

function planText(plan: Plan, config: Config): string {
  const { schedule, layers, gamma, thetaBar } = plan;
  const number = (value: number) => value.toFixed(3);
  const limits = gamma === null ? '' : `, θ falls from 1 to ${thetaBar} with γ = ${rounded(gamma)} per step`;
  const own = ownWords(config.depth);
  const isDense = plan.blockFlopsSaved === 0;
  const facts = [
    ...(plan.text ? [['text', textWords(plan.text)]] : []),
    ['model', `${rounded(plan.parameters / 1e6)} million parameters, ${counted(layers, 'block')}`],
    ...memoryFacts(config),
    ...(plan.measured
      ? timeFacts(plan.measured, config, { hasAdvice: typeof plan.text?.advisedEpochs === 'number', isDense })
      : [
          [
            'time',
            plan.text
              ? 'not measured: too little free memory'
              : 'not measured; --data my/texts or --measure times some steps',
          ],
        ]),
    ['method', `${plan.method}${limits}${own ? `, ${own}` : ''}`],
    ...(isDense ? [['work', flopsText(plan.denseFlops)]] : savedFacts(plan)),
  ];
  const shown = facts.map(([name, value]) => `${name!.padEnd(19)}${value}\n`).join('');
  // Whole blocks run or do not: the method says which.
  if (schedule.every(({ keepRates }) => keepRates.every((rate) => rate === 0 || rate === 1))) return shown;
  const rows = [
    ['step', ...schedule.map(({ step }) => String(step))],
    ...(schedule.some(({ theta }) => theta < 1) ? [['θ', ...schedule.map(({ theta }) => number(theta))]] : []),
    ['blocks run', ...schedule.map(({ expectedDepth }) => expectedDepth.toFixed(2))],
    ...Array.from({ length: layers }, (_, block) => [
      `block ${block + 1}`,
      ...schedule.map(({ keepRates }) => number(keepRates[block]!)),
    ]),
  ];
  return `${shown}\nKeep rate of each block:\n${table(rows)}`;
}

const savedFacts = ({ meanDepth, layers, steps, expectedFlops, denseFlops, blockFlopsSaved, stepFlopsSaved }: Plan) => [
  ['blocks run', `${meanDepth.toFixed(2)} of ${layers} on average over ${counted(steps, 'step')}`],
  ['work', `${flopsText(expectedFlops)}; dense: ${flopsText(denseFlops)}`],
  ['block FLOPs saved', `${percent(blockFlopsSaved)} (of the work in the blocks)`],
  ['step FLOPs saved', `${percent(stepFlopsSaved)} (of all work: heads and embeddings are never dropped)`],
];
