import { setImmediate } from 'node:timers/promises';
import { type Config, configAt, type LoadedConfig, loadConfig } from '../config/index.ts';
import { type MicroBatch, makeMicroBatch } from '../data/index.ts';
import { joinRanks, type ProcessGroup, partOf, type RankEnvironment, rankEnvironment } from '../distributed/index.ts';
import { ConfigError } from '../errors/index.ts';
import { abortReason } from '../errors/words.ts';
import { numProcessors } from '../machine/index.ts';
import { type Metrics, RunLog, type StepMetrics } from '../runs/index.ts';
import { type Reporter, silent } from '../runs/reporter.ts';
import { setNumThreads } from '../tensor/index.ts';
import { prepareDevice } from './device.ts';
import { checkSteps } from './divergence.ts';
import { environmentOf } from './environment.ts';
import { logEvaluation } from './evaluation.ts';
import { openRun, type Run, type RunOptions } from './run.ts';
import { save } from './save.ts';
import { type BegunStep, beginStep } from './step.ts';
import { progressAfter, StepTimer, stepMetrics } from './step-metrics.ts';

/** Training or fine-tuning was stopped before there was anything to save. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  /** What stopped it: the reason of the abort signal. */
  readonly reason: string;
  constructor(reason: string, when = 'before training began') {
    super(`stopped by ${reason} ${when}; nothing was written`);
    this.reason = reason;
  }
}

/** How a run ended. */
export interface PretrainResult {
  /** The folder of the run. */
  run: string;
  /** Its newest checkpoint. */
  checkpoint: string;
  /** Optimizer steps done. */
  step: number;
  /** What stopped it before its last step: the reason of the abort signal; undefined if nothing did. */
  stoppedBy: string | undefined;
}

/** The folder of a run, and what a program passes besides the configuration. */
export interface PretrainOptions extends RunOptions, Partial<Pick<LoadedConfig, 'derived' | 'warnings'>> {
  /** Called on rank 0 with the run's messages, which `log.jsonl` contains as well. */
  report?: Reporter;
  /** Stops the run after the current step: it saves and returns. */
  signal?: AbortSignal | undefined;
}

/**
 * Pre-trains the model of a configuration and writes a run folder: `config.json`, `metrics.jsonl`, `log.jsonl`, `events/`,
 * `checkpoints/`. A resumed run continues bit for bit as if it had never stopped (same machine, same thread count).
 *
 * @throws ConfigError for settings that conflict with each other, the machine, or the resumed run.
 * @throws DataError for texts or a tokenizer that cannot be used.
 * @throws CheckpointError for a checkpoint that is missing, broken or of another model.
 * @throws OutputError when the folder of the run or the cache cannot be written.
 * @throws NonFiniteError when training diverged.
 * @throws InterruptedError if `signal` was aborted while the texts were being prepared.
 * @throws PeerError when another rank is lost.
 * @throws SetupError if the native addon is not built, does not load, or lacks c10d for several ranks.
 */
export async function pretrain(config: Config, options: PretrainOptions): Promise<PretrainResult> {
  loadConfig({ overrides: config }); // a program may have changed it since it was loaded
  const environment = rankEnvironment();
  useThreads(config.train.threads, environment);
  prepareDevice(config.train, environment);
  using group = await joinRanks(environment, {
    device: config.train.device,
    timeoutSeconds: config.train.peerTimeout,
  });
  const runLog = new RunLog();
  // Only rank 0 reports what all ranks have in common.
  const report = group.rank === 0 ? runLog.hearing(options.report ?? silent) : silent;
  try {
    for (const { key, value, reason } of options.derived ?? []) report.note(`${key} = ${value} (${reason})`);
    for (const warning of options.warnings ?? []) report.warn(warning);
    checkDocuments(options.samples);
    using run = await openRun(ownDepth(config, options), options, stoppable(report, options.signal), group);
    if (group.rank === 0) {
      runLog.open(run.out, run.progress.step, {
        command: process.argv.slice(1),
        environment: environmentOf(config, group),
      });
    }
    const stoppedBy = await train(run, runLog, options.signal);
    runLog.end(stoppedBy === undefined ? 'done' : `stopped by ${stoppedBy}`);
    return { run: run.out, checkpoint: run.saved, step: run.progress.step, stoppedBy };
  } catch (error) {
    const settled = await group.settle(error);
    runLog.end(settled instanceof Error ? settled.message : String(settled));
    throw settled;
  }
}

/** Throws a ConfigError if the samples have no name or cannot be iterated. */
function checkDocuments(samples: PretrainOptions['samples']): void {
  if (samples === undefined) return;
  const isIterable = typeof samples === 'object' && (Symbol.iterator in samples || Symbol.asyncIterator in samples);
  if (isIterable && typeof samples.name === 'string') return;
  throw new ConfigError(
    'samples: not an iterable with a name; give { name, [Symbol.iterator]() { … } }, or the same with Symbol.asyncIterator',
  );
}

/** A configuration records only that a program's own depth method is used: it cannot name the method. */
function ownDepth(config: Config, { depth }: PretrainOptions): Config {
  return depth ? { ...config, depth: { ...config.depth, method: 'own' } } : config;
}

/** The ranks of one machine share its CPU cores. */
function useThreads(threads: number, environment: RankEnvironment | undefined): void {
  const share = Math.max(1, Math.floor(numProcessors() / (environment?.localSize ?? 1)));
  setNumThreads(threads || share);
}

/** A reporter that aborts the preparation of a run when it should stop: there is nothing to save yet. */
function stoppable(report: Reporter, signal: AbortSignal | undefined): Reporter {
  const check = () => {
    if (signal?.aborted) throw new InterruptedError(abortReason(signal));
  };
  check();
  return {
    ...report,
    note: (message) => {
      check();
      report.note(message);
    },
    download: (progress) => {
      check();
      report.download?.(progress);
    },
    prepare: (progress) => {
      check();
      report.prepare?.(progress);
    },
  };
}

/** The training loop, until the last step or until it is stopped. Returns the reason for stopping. */
async function train(run: Run, runLog: RunLog, signal: AbortSignal | undefined): Promise<string | undefined> {
  const { evalEvery, saveEvery, steps } = run.config.train;
  const log = async (line: Metrics) => {
    for (const sink of [runLog, ...run.sinks]) await sink.metrics(line);
  };
  let stopped: string | undefined;
  let batches: MicroBatch[] | undefined;
  if (run.progress.step === 0 && run.saved === '') await logEvaluation(run, log);
  while (run.progress.step < steps) {
    stopped = await stoppedBy(run.group, signal);
    if (stopped !== undefined) break;
    const { metrics, warnings, next } = trainOneStep(run, batches);
    batches = next;
    await log(metrics);
    for (const warning of warnings) run.report.warn(warning);
    checkSteps(run);
    if (isDue(run, evalEvery)) await logEvaluation(run, log);
    if (isDue(run, saveEvery)) save(run);
    await setImmediate(); // let signals and listeners run
  }
  if (!run.saved.endsWith(`step-${run.progress.step}`)) save(run);
  return stopped;
}

function isDue({ progress: { step }, config }: Run, every: number): boolean {
  return step === config.train.steps || (every > 0 && step % every === 0);
}

/** If one rank gets a stop signal, all stop after the same step, and all know why. */
async function stoppedBy(group: ProcessGroup, signal: AbortSignal | undefined): Promise<string | undefined> {
  const isAborted = signal?.aborted === true;
  const [count = 0] = group.sum([Number(isAborted)]);
  if (count === 0) return undefined;
  const reasons = await group.gather('stopped', isAborted ? abortReason(signal) : null);
  return reasons.find((reason) => reason !== null) ?? undefined;
}

/** Trains one step, and fetches the batches of the next one while a GPU works on this one. */
function trainOneStep(run: Run, batches: MicroBatch[] | undefined): Trained & { next: typeof batches } {
  const timer = new StepTimer();
  using begun = begin(run, batches ?? timer.data(() => fetch(run, 0))!);
  const next = timer.data(() => fetch(run, 1));
  return { ...finish(run, begun, timer), next };
}

function begin({ state, progress, group }: Run, batches: readonly MicroBatch[]): BegunStep {
  group.traffic(); // starts the count of this step
  const { lossScale } = progress;
  return beginStep(state, progress.step, batches, lossScale && { lossScale: lossScale.scale });
}

/** A step's line of metrics, and its warnings. */
interface Trained {
  metrics: StepMetrics;
  warnings: string[];
}

function finish(run: Run, begun: BegunStep, timer: StepTimer): Trained {
  const { progress: before } = run;
  const result = begun.finish();
  run.progress = progressAfter(before, result, configAt(run.config, before.step).train.batchSize);
  const metrics = stepMetrics(run, result, before.lossScale?.scale, timer);
  const { step, nonFiniteSteps } = run.progress;
  const warnings: string[] = [];
  if (nonFiniteSteps > before.nonFiniteSteps)
    warnings.push(`step ${step}: loss or gradient is not finite; nothing was changed`);
  const warning = result.applied && run.norms.hear(step, result.gradientNorm);
  if (warning) warnings.push(warning);
  return { metrics, warnings };
}

/** This rank's part of each micro-batch of the next step, or of the one after it if `ahead` is 1; undefined past the last step. */
function fetch({ config, texts, group, progress }: Run, ahead: 0 | 1): MicroBatch[] | undefined {
  const step = progress.step + ahead;
  const { microBatchSize, seed, steps } = config.train;
  if (step >= steps) return undefined;
  const { batchSize } = configAt(config, step).train;
  const before = progress.samples + ahead * configAt(config, progress.step).train.batchSize;
  const { samples, mask } = texts.train(step);
  const { first, count } = partOf(microBatchSize, group);
  return Array.from({ length: batchSize / microBatchSize }, (_, i) => {
    const start = before + i * microBatchSize + first;
    const batch = makeMicroBatch(samples, { seed, start, size: count, mask });
    return group.size === 1 ? batch : { ...batch, part: { first, of: microBatchSize } };
  });
}
