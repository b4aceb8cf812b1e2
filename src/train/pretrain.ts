import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  areFinite,
  checkpointPath,
  checkpointsOf,
  isWhole,
  newRunCommand,
  type Progress,
  saveCheckpoint,
} from '../checkpoints/index.ts';
import type { Config, LoadedConfig } from '../config/index.ts';
import { heldOutBatches, type MicroBatch, makeMicroBatch, objectives } from '../data/index.ts';
import { expectedDepth, stepFlops } from '../depth/index.ts';
import { joinRanks, type ProcessGroup, partOf, type RankEnvironment, rankEnvironment } from '../distributed/index.ts';
import { UserError } from '../errors/index.ts';
import { type Evaluation, evaluate, evaluationNumbers, fillExamples } from '../inference/index.ts';
import { numProcessors } from '../machine/index.ts';
import { type EvalMetrics, type Metrics, type Reporter, RunLog, readMetrics, type StepMetrics } from '../runs/index.ts';
import { gpus, isCuda, setNumThreads } from '../tensor/index.ts';
import { prepareDevice } from './device.ts';
import { environmentOf } from './environment.ts';
import { nextLossScale } from './loss-scale.ts';
import { openRun, type Run, type RunOptions } from './run.ts';
import { withWholeOptimizer } from './shards.ts';
import { beginStep, type StepResult } from './step.ts';

/** So many steps in a row without a finite loss and gradient end a run. */
const maxNonFiniteSteps = 5;
/** Held-out sequences whose loss must be finite before a checkpoint is written. */
const numProbes = 8;
/** The highest learning rate that is advised after a divergence. */
const safeLearningRate = 1e-3;

/** Training diverged: a loss, gradients in several steps in a row, weights or moments were not finite; it was stopped, and not saved. */
export class NonFiniteError extends UserError {}

/** Training was stopped before there was anything to save. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  /** What stopped it: the reason of the abort signal. */
  readonly reason: string;
  constructor(reason: string) {
    super(`stopped by ${reason} before training began; nothing was written`);
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
  /** What stopped it before its last step: the reason of the abort signal; undefined where nothing did. */
  stoppedBy: string | undefined;
}

export interface PretrainOptions extends RunOptions, Partial<Pick<LoadedConfig, 'derived' | 'warnings'>> {
  /** Hears on rank 0 what the run says in words; it stands in `log.jsonl` as well. */
  report?: Reporter;
  /** Stops the run after the step: it saves and returns. */
  signal?: AbortSignal | undefined;
}

const silent: Reporter = { note: () => {}, warn: () => {} };

/**
 * Pre-trains the model of a configuration and writes a run folder: `config.json`, `metrics.jsonl`, `log.jsonl`, `events/`,
 * `checkpoints/`. A resumed run goes on bit for bit as if it had never stopped (one machine, one thread count).
 *
 * @throws ConfigError, DataError, CheckpointError, OutputError for what the user can mend; NonFiniteError when training diverged;
 *   InterruptedError where `signal` was aborted while the texts were prepared; PeerError when another rank is lost.
 */
export async function pretrain(config: Config, options: PretrainOptions): Promise<PretrainResult> {
  const environment = rankEnvironment();
  useThreads(config.train.threads, environment);
  prepareDevice(config.train, environment);
  using group = await joinRanks(environment, {
    device: config.train.device,
    timeoutSeconds: config.train.peerTimeout,
  });
  const runLog = new RunLog();
  // What all ranks would say rank 0 says.
  const report = group.rank === 0 ? runLog.hearing(options.report ?? silent) : silent;
  try {
    for (const { key, value, reason } of options.derived ?? []) report.note(`${key} = ${value} (${reason})`);
    for (const warning of options.warnings ?? []) report.warn(warning);
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

/** A configuration says where a program's own depth method is used, since it cannot say which. */
function ownDepth(config: Config, { depth }: PretrainOptions): Config {
  return depth ? { ...config, depth: { ...config.depth, method: 'own' } } : config;
}

/** The ranks of one machine share its processors. */
function useThreads(threads: number, environment: RankEnvironment | undefined): void {
  if (threads > 0) setNumThreads(threads);
  else if (environment) setNumThreads(Math.max(1, Math.floor(numProcessors() / environment.localSize)));
}

/** A reporter that ends the preparation of texts when the run is to stop: nothing has to be saved yet. */
function stoppable(report: Reporter, signal: AbortSignal | undefined): Reporter {
  return {
    ...report,
    prepare: (progress) => {
      if (signal?.aborted) throw new InterruptedError(reasonOf(signal));
      report.prepare?.(progress);
    },
  };
}

const reasonOf = ({ reason }: AbortSignal) => (reason instanceof Error ? reason.message : String(reason));

/** The loop, until the last step or until it is stopped; then the reason is given. */
async function train(run: Run, runLog: RunLog, signal: AbortSignal | undefined): Promise<string | undefined> {
  const { evalEvery, saveEvery, steps } = run.config.train;
  const log = (line: Metrics) => {
    for (const sink of [runLog, ...run.sinks]) sink.metrics(line);
  };
  let stopped: string | undefined;
  let ahead: MicroBatch[] | undefined;
  if (run.progress.step === 0) logEvaluation(run, log);
  while (run.progress.step < steps) {
    stopped = await stoppedBy(run.group, signal);
    if (stopped !== undefined) break;
    ahead = trainOneStep(run, ahead, log);
    const { step } = run.progress;
    const isDue = (every: number) => step === steps || (every > 0 && step % every === 0);
    if (isDue(evalEvery)) logEvaluation(run, log);
    if (isDue(saveEvery)) save(run);
    await setImmediate(); // signals and listeners get their turn
  }
  if (!run.saved.endsWith(`step-${run.progress.step}`)) save(run);
  return stopped;
}

/** Where one rank is to stop all of them stop, after the same step, and all know why. */
async function stoppedBy(group: ProcessGroup, signal: AbortSignal | undefined): Promise<string | undefined> {
  const isAborted = signal?.aborted === true;
  const [count = 0] = group.sum([Number(isAborted)]);
  if (count === 0) return undefined;
  const reasons = await group.gather('stopped', isAborted ? reasonOf(signal) : null);
  return reasons.find((reason) => reason !== null) ?? undefined;
}

/**
 * Trains one step and logs it. The batch of the next one, which is given back, is made between the two halves of this one, while a GPU
 * works.
 */
function trainOneStep(
  run: Run,
  ahead: MicroBatch[] | undefined,
  log: (line: Metrics) => void,
): MicroBatch[] | undefined {
  const { state, progress, group, report } = run;
  const { batchSize, steps } = run.config.train;
  const scale = progress.lossScale?.scale;
  const timer = new StepTimer();
  group.traffic(); // of what came before the step
  const batches = ahead ?? timer.data(() => microBatchesOf(run, progress.samples));
  using begun = beginStep(state, progress.step, batches, scale === undefined ? {} : { lossScale: scale });
  const isLast = progress.step + 1 >= steps;
  const next = isLast ? undefined : timer.data(() => microBatchesOf(run, progress.samples + batchSize));
  const result = begun.finish();
  run.progress = progressAfter(progress, result, batchSize);
  const metrics = stepMetrics(run, result, scale, timer);
  log(metrics);
  if (run.progress.nonFiniteSteps > progress.nonFiniteSteps)
    report.warn(`step ${metrics.step}: loss or gradient is not finite; nothing was changed`);
  const warning = result.applied && run.norms.hear(metrics.step, result.gradientNorm);
  if (warning) report.warn(warning);
  const { step, nonFiniteSteps } = run.progress;
  if (nonFiniteSteps >= maxNonFiniteSteps)
    throw diverged(
      run,
      `the loss or the gradient was not finite for ${nonFiniteSteps} steps in a row, up to step ${step}`,
    );
  return next;
}

/** The time of a step, and of that the time of making batches, in seconds. */
class StepTimer {
  dataSeconds = 0;
  readonly #started = performance.now();

  data<T>(make: () => T): T {
    const before = performance.now();
    const made = make();
    this.dataSeconds += (performance.now() - before) / 1000;
    return made;
  }

  get stepSeconds(): number {
    return (performance.now() - this.#started) / 1000;
  }
}

/** Where a run stands after a step. */
export function progressAfter(
  { lossScale, ...before }: Progress,
  { applied, loss, tokens }: Pick<StepResult, 'applied' | 'loss' | 'tokens'>,
  batchSize: number,
): Progress {
  // In fp16 gradients that overflow are how the scale finds its place: that is nothing to count, or to warn of.
  const isOverflow = !applied && Number.isFinite(loss) && lossScale !== undefined && lossScale.scale > 1;
  return {
    ...before,
    step: before.step + 1,
    samples: before.samples + batchSize,
    tokens: before.tokens + tokens,
    nonFiniteSteps: applied ? 0 : before.nonFiniteSteps + Number(!isOverflow),
    ...(lossScale && { lossScale: nextLossScale(lossScale, applied) }),
  };
}

/** This rank's part of each micro-batch of the step that begins after so many samples. */
function microBatchesOf({ config, texts, group }: Run, samples: number): MicroBatch[] {
  const { batchSize, microBatchSize, seed } = config.train;
  const { first, count } = partOf(microBatchSize, group);
  return Array.from({ length: batchSize / microBatchSize }, (_, i) => {
    const start = samples + i * microBatchSize + first;
    const batch = makeMicroBatch(texts.train, { seed, start, size: count, mask: texts.mask });
    return group.size === 1 ? batch : { ...batch, part: { first, of: microBatchSize } };
  });
}

function stepMetrics(
  { config, work, progress, group }: Run,
  result: StepResult,
  lossScale: number | undefined,
  { stepSeconds, dataSeconds }: StepTimer,
): StepMetrics {
  const { step, samples, tokens } = progress;
  const done = { ...work, predictedTokens: result.predictedTokens };
  return {
    type: 'step',
    step,
    samples,
    tokens,
    loss: result.loss,
    [`${objectives[config.data.objective].loss}Loss`]: result.tokenLoss,
    learningRate: result.learningRate,
    gradientNorm: result.gradientNorm,
    theta: result.theta,
    keepRates: result.keepRates,
    depth: result.depth,
    ...(result.nspLoss !== undefined && { nspLoss: result.nspLoss }),
    expectedDepth: expectedDepth(result.keepRates),
    stepSeconds,
    dataSeconds,
    tokensPerSecond: result.tokens / stepSeconds,
    flops: stepFlops(done, result.depth, result.updatedBlocks),
    denseFlops: stepFlops(done, work.layers),
    peakMemoryBytes: isCuda(config.train.device) ? gpus.peakBytes() : process.resourceUsage().maxRSS * 1024,
    ...(group.size > 1 && { ranks: group.size, ...group.traffic() }),
    ...(lossScale !== undefined && { lossScale }),
    ...(!result.applied && { applied: false }),
  };
}

function logEvaluation(run: Run, log: (line: Metrics) => void): void {
  const { config, state, texts, group, progress } = run;
  const evaluation = evaluateHeldOut(run, config.train);
  const hasDiverged = !Number.isFinite(evaluation.loss);
  if (group.rank === 0) {
    // All know the numbers, rank 0 writes them.
    const numbers = evaluationNumbers(config.data.objective, evaluation);
    const trained = { model: state.model, tokenizer: texts.tokenizer, device: config.train.device };
    const examples = hasDiverged ? {} : { examples: fillExamples(trained, texts.valid) };
    const metrics: EvalMetrics = { type: 'eval', step: progress.step, split: 'valid', ...numbers, ...examples };
    log(metrics);
  }
  if (hasDiverged) throw diverged(run, `the held-out loss was not finite at step ${progress.step}`);
}

function evaluateHeldOut(
  { config, state, texts, group }: Run,
  { microBatchSize, evalSamples: limit }: Pick<Config['train'], 'microBatchSize' | 'evalSamples'>,
): Evaluation {
  const size = Math.ceil(microBatchSize / group.size);
  const batches = [...heldOutBatches(texts.valid, { limit, size, mask: texts.mask })];
  const own = batches.filter((_, i) => i % group.size === group.rank);
  return evaluate(state.model, own, config.train.device, { group });
}

/** Rank 0 writes; with a divided optimizer the others give their parts of it. */
function save(run: Run): void {
  checkHealthy(run);
  const { config, out, progress, state, texts } = run;
  const { masters: weights } = state;
  withWholeOptimizer(state, (optimizer) => {
    saveCheckpoint(out, { config, progress, weights, optimizer, tokenizerJson: texts.tokenizer.json });
  });
  run.saved = checkpointPath(out, progress.step);
}

/**
 * Refuses, on every rank, a state that nothing can go on from: weights or moments that are not finite, or so large that the
 * loss is not. A loss that is merely high may come down again.
 */
function checkHealthy(run: Run): void {
  const { progress, state, group } = run;
  const [broken = 0] = group.sum([Number(!areFinite(state.masters, state.optimizer))]);
  const { step } = progress;
  if (broken > 0) throw diverged(run, `weights or moments of the optimizer were not finite at step ${step}`);
  const { loss } = evaluateHeldOut(run, { microBatchSize: numProbes, evalSamples: numProbes });
  if (!Number.isFinite(loss)) throw diverged(run, `the held-out loss was not finite at step ${step}`);
}

/** Rank 0, which knows the folder of the run, advises a new one from its last good checkpoint. */
function diverged({ config, out, progress, group }: Run, what: string): NonFiniteError {
  const { peakLearningRate, from, precision } = config.train;
  const message = `training diverged: ${what}; no checkpoint of that is written`;
  if (group.rank !== 0) return new NonFiniteError(message);
  if (progress.step === 0) {
    const advice = from === undefined ? 'lower model.embeddingStd' : `${from} diverged itself: use another checkpoint`;
    return new NonFiniteError(`${message}; ${advice}`);
  }
  const good = lastGoodCheckpoint(out);
  const lower = Number(Math.min(peakLearningRate / 10, safeLearningRate).toPrecision(2));
  const command = newRunCommand(out, { ...config, train: { ...config.train, peakLearningRate: lower } }, good);
  const where = good === undefined ? 'start a new run' : `start a new run from ${good}`;
  const precise = precision === 'fp32' ? '' : ', or with train.precision=fp32';
  return new NonFiniteError(`${message}; ${where} with a lower learning rate${precise}: ${command}`);
}

/** The newest checkpoint from which a step was taken, and whose loss in that step was not above the run's first. */
function lastGoodCheckpoint(out: string): string | undefined {
  const steps = readMetrics(join(out, 'metrics.jsonl')).filter((metrics) => metrics.type === 'step');
  const losses = new Map(steps.map(({ step, loss, applied = true }) => [step - 1, applied ? loss : Infinity]));
  const lossOf = (path: string) => losses.get(Number(path.split('-').at(-1))) ?? Infinity;
  return checkpointsOf(out).find((path) => lossOf(path) <= lossOf('step-0') && isWhole(path));
}
