import { spawn } from 'node:child_process';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { holdsRun, kindOf, modelsIn, named } from '../checkpoints/index.ts';
import { type Config, type LoadedConfig, loadConfig, type PartialConfig } from '../config/index.ts';
import { countedInTurn, valuesOf } from '../config/phases.ts';
import { rankEnvironment } from '../distributed/environment.ts';
import { ConfigError, commandText, counted } from '../errors/index.ts';
import { numParameters, parameterSpecs } from '../model/index.ts';
import { rounded } from '../report/format.ts';
import { jsonl, readMetrics, type Summary, summarise, tensorBoard } from '../runs/index.ts';
import type { PretrainResult } from '../train/index.ts';
import {
  type ConfigOptions,
  configArgument,
  configOf,
  dataOption,
  deepSpeedOption,
  jsonOption,
  setOption,
} from './config.ts';
import { lookAt, tryCommand } from './look.ts';
import { checkMemory, memoryNote } from './memory.ts';
import { countOf } from './numbers.ts';
import { terminalReporter } from './progress.ts';
import { finishing, signalExitCodes, watchSignals } from './signals.ts';
import { summaryText } from './summary-text.ts';
import { warn } from './terminal.ts';

interface PretrainCommandOptions extends Omit<ConfigOptions, 'from'> {
  from?: string;
  decayFrom?: string;
  steps?: number;
  out?: string;
  resume?: boolean;
  dashboard?: true | number;
  quiet?: boolean;
  json?: boolean;
}

/** `taper-lm pretrain`: trains a model and leaves a run folder. */
export function pretrainCommand(): Command {
  return new Command('pretrain')
    .description('pre-train a model on text')
    .argument(...configArgument)
    .addOption(dataOption())
    .option('--out <run>', 'folder of the run (default: runs/NAME, after the config file)')
    .addOption(setOption())
    .addOption(deepSpeedOption())
    .option('--from <checkpoint>', 'start from the model and tokenizer of a checkpoint, or of a run')
    .option('--decay-from <run@step>', 'continue from a saved step of a run and decay the learning rate over --steps')
    .option('--steps <steps>', 'number of steps for --decay-from', countOf('--steps', 1))
    .option('--resume', "resume from the run's newest checkpoint; without CONFIG, with the run's own configuration")
    .option('--dashboard [port]', 'serve a page that shows the run while it trains', countOf('--dashboard', 0))
    .option('--quiet', 'print warnings only while it trains')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
CTRL-C finishes the step, saves a checkpoint and exits; --resume continues from there.

Examples:
  npx taper-lm pretrain configs/encoder.yaml --data my/texts
  npx taper-lm pretrain configs/encoder.yaml --data my/texts --out runs/short --set train.epochs=20
  npx taper-lm pretrain configs/encoder.yaml --data my/texts --out runs/long --set train.steps=100000 train.precision=bf16
  npx taper-lm pretrain --out runs/long --resume
  npx taper-lm pretrain configs/encoder.yaml --data my/texts --out runs/stem --set train.schedule=constant
  npx taper-lm pretrain --decay-from runs/stem@20000 --steps 5000 --out runs/decayed
  npx taper-lm pretrain configs/encoder.yaml --data my/texts --from models/imported --out runs/further`,
    )
    .action(run);
}

async function run(file: string | undefined, options: PretrainCommandOptions, command: Command): Promise<void> {
  checkDecay(file, options);
  const out = options.out ?? defaultOut(file);
  const ownConfig = join(out, 'config.json');
  const isOwn = options.resume === true && file === undefined && options.deepspeed === undefined;
  if (isOwn && !holdsRun(out)) {
    const inside = modelsIn(out);
    const which = inside.length > 0 ? `one of these with --out: ${named(inside)}` : 'the folder of a run with --out';
    const found = kindOf(out) === 'checkpoint' ? 'is a checkpoint, not a run' : 'holds no run';
    throw new ConfigError(`--resume: ${out} ${found}; give ${which}`);
  }
  const { from: path, quiet = false, resume = false, dashboard, ...others } = options;
  const from = path === undefined ? undefined : { path, model: await modelOfCheckpoint(path) };
  const loaded =
    options.decayFrom === undefined
      ? await configOf(isOwn ? ownConfig : file, { ...others, ...(from && { from }) }, command, { out, resume })
      : await decayConfig(options.decayFrom, options);
  const { result, summary } = await train(loaded, { out, from: path, resume, quiet, dashboard });
  if (summary) {
    const { config } = loaded;
    process.stdout.write(
      options.json ? `${JSON.stringify(jsonOf(result, summary))}\n` : await endText(result, summary, config),
    );
  }
  if (result.stoppedBy !== undefined) process.exitCode = signalExitCodes[result.stoppedBy] ?? 1;
}

/** The summary of a run, what its model does with held-out text, and commands to try it. */
async function endText(result: PretrainResult, summary: Summary, config: Config): Promise<string> {
  const look = result.stoppedBy === undefined ? await lookAt(result.run, config.train.device) : undefined;
  const commands = [look?.command ?? tryCommand(result.run, config), ['dashboard', result.run]];
  const lines = commands.map((words) => `  ${commandText(['npx', 'taper-lm', ...words])}\n`);
  return `${summaryText(result, summary, look)}\n${look?.shown ? `${look.shown}\n` : ''}Try it:\n${lines.join('')}`;
}

/** Refuses options that do not work with --decay-from. */
function checkDecay(
  file: string | undefined,
  { decayFrom, steps, out, data, deepspeed, from, resume, set = [] }: PretrainCommandOptions,
): void {
  if (decayFrom === undefined) {
    if (steps === undefined) return;
    throw new ConfigError(`--steps: works only with --decay-from; give --set train.steps=${steps} instead`);
  }
  if (resume)
    throw new ConfigError(
      '--decay-from: starts a new run; to resume one that has started, give only --resume and its --out',
    );
  const others = { CONFIG: file, '--data': data, '--deepspeed': deepspeed, '--from': from };
  for (const [flag, given] of Object.entries(others)) {
    if (given !== undefined)
      throw new ConfigError(`--decay-from: keeps the text and the configuration of the run; leave out ${flag}`);
  }
  if (out === undefined)
    throw new ConfigError('--out: missing; give a folder for the new run, as in --out runs/decayed');
  if (steps === undefined)
    throw new ConfigError(
      '--steps: missing; give the number of steps over which the learning rate decays, as in --steps 1000',
    );
  const fixed = set.find((text) => /^train\.(steps|epochs|schedule|decayRatio|warmupRatio)=/.test(text));
  if (fixed !== undefined)
    throw new ConfigError(`--set ${fixed}: --decay-from and --steps set when the learning rate decays; leave it out`);
}

/** The configuration of a run that decays from a step of another one. */
async function decayConfig(name: string, { steps, set = [] }: PretrainCommandOptions): Promise<LoadedConfig> {
  const { checkpointAt, decayOf } = await import('../checkpoints/index.ts');
  const checkpoint = checkpointAt(name, warn);
  const { decayShape, finalLearningRate } = checkpoint.config.train;
  const total = checkpoint.progress.step + steps!;
  return loadConfig({ overrides: decayOf(checkpoint, { steps: total, decayShape, finalLearningRate }), sets: set });
}

async function modelOfCheckpoint(path: string): Promise<NonNullable<PartialConfig['model']>> {
  const { openCheckpoint } = await import('../checkpoints/index.ts');
  // Dropout rates belong to training, not to the model.
  const { dropout: _, attentionDropout: __, ...model } = openCheckpoint(path, warn).config.model;
  return model;
}

function defaultOut(file: string | undefined): string {
  if (file === undefined) {
    throw new ConfigError('--out: missing; without a config file, give the folder of the run, as in --out runs/mine');
  }
  return join('runs', basename(file, extname(file)));
}

/** The model and the length of the run in one line. */
function describe(config: Config): string {
  const { model, depth, data, train } = config;
  const size = `${counted(model.layers, 'block')} of width ${model.hiddenSize}`;
  const work = `${counted(train.steps, 'step')} of ${countedInTurn(valuesOf(train.batchSize), 'sequence')} of ${countedInTurn(valuesOf(data.sequenceLength), 'token')}`;
  return `${size}, ${rounded(numParameters(parameterSpecs(model)) / 1e6)} million parameters, ${depth.method}, ${work}`;
}

interface TrainOptions {
  out: string;
  /** Printed first, unless a mistake ends the run before its first step. */
  announcement?: string;
  /** The checkpoint that the model comes from; it overrides the configuration's model. */
  from?: string | undefined;
  resume?: boolean;
  quiet?: boolean;
  /** The port of a page that shows the run, or true for any. */
  dashboard?: true | number | undefined;
}

/** The dashboard of a run, in its own process: it answers during long steps, and ends when this process does. */
function dashboardOf(out: string, port: true | number): Disposable {
  const main = fileURLToPath(new URL('main.js', import.meta.url));
  const words = ['dashboard', out, '--until-input-ends', ...(port === true ? [] : ['--port', String(port)])];
  const child = spawn(process.execPath, [main, ...words], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.on('error', ({ message }) => warn(`--dashboard: ${message}`)); // it could not be started
  child.stdin.on('error', () => {}); // it has exited already and printed why
  return { [Symbol.dispose]: () => child.stdin.end() };
}

/**
 * Trains with progress on standard error and summarises the whole run, including its earlier parts. With several ranks, only the
 * first prints and summarises.
 */
export async function train(
  { config, derived, warnings }: LoadedConfig,
  { out, announcement, from, resume = false, quiet = false, dashboard }: TrainOptions,
) {
  const ranks = rankEnvironment();
  const isFirst = ranks === undefined || ranks.rank === 0;
  const memoryWarnings = isFirst ? checkMemory(config, { ranks, resume: resume && holdsRun(out) }) : [];
  const { pretrain } = await import('../train/index.ts');
  using signals = watchSignals(isFirst && !quiet ? finishing : undefined);
  const { signal } = signals;
  if (!isFirst) return { result: await pretrain(config, { out, resume, signal }) };
  const { runtime } = await import('../tensor/index.ts');
  runtime(); // loads libtorch, which takes a second, before the reporter waits for a first mistake
  using report = terminalReporter(config, out, { quiet });
  using _page = dashboard === undefined ? undefined : dashboardOf(out, dashboard);
  if (announcement !== undefined) report.note(announcement);
  report.note(`${out}: ${describe(config)}`);
  report.note(memoryNote(config, ranks));
  if (from !== undefined) report.note(`the model comes from ${from}; it overrides model in the configuration`);
  const sinks = [jsonl(), tensorBoard(), report.metrics];
  const allWarnings = [...warnings, ...memoryWarnings];
  const result = await pretrain(config, { out, resume, signal, report, sinks, derived, warnings: allWarnings });
  return { result, summary: summarise(readMetrics(join(out, 'metrics.jsonl'))) };
}

function jsonOf(result: PretrainResult, summary: Summary): object {
  const { firstEvaluation, lastEvaluation, flops, denseFlops, blockFlopsSaved, stepFlopsSaved, timeSaved } = summary;
  return {
    run: result.run,
    checkpoint: result.checkpoint,
    step: result.step,
    stoppedBy: result.stoppedBy ?? null,
    firstEvaluation: firstEvaluation ?? null,
    lastEvaluation: lastEvaluation ?? null,
    flops,
    denseFlops,
    blockFlopsSaved,
    stepFlopsSaved,
    timeSaved: timeSaved ?? null,
  };
}
