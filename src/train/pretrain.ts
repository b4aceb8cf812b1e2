import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Config, LoadedConfig } from '../config/index.ts';
import { heldOutBatches, type MicroBatch, makeMicroBatch, objectives } from '../data/index.ts';
import { expectedDepth, stepFlops } from '../depth/index.ts';
import { joinRanks, type ProcessGroup, partOf, type RankEnvironment, rankEnvironment } from '../distributed/index.ts';
import { UserError } from '../errors/index.ts';
import { writing } from '../files/index.ts';
import { numProcessors } from '../machine/index.ts';
import { gpus, isCuda, setNumThreads } from '../tensor/index.ts';
import { checkpointPath, checkpointsOf, isWhole, type Progress, saveCheckpoint } from './checkpoint.ts';
import { prepareDevice } from './device.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { fillExamples } from './examples.ts';
import {
  appendMetrics,
  type EvalMetrics,
  evaluationNumbers,
  type Metrics,
  readMetrics,
  type StepMetrics,
} from './metrics.ts';
import { newRunCommand } from './new-run.ts';
import { nextLossScale } from './precision.ts';
import type { Reporter } from './reporter.ts';
import { openRun, type Run, type RunOptions } from './run.ts';
import { RunLog, startEntry } from './run-log.ts';
import { withWholeOptimizer } from './shards.ts';
import { type StopSignal, type signalExitCodes, watchSignals } from './signals.ts';
import { type StepResult, trainStep } from './step.ts';
import { areFinite } from './weights.ts';

/** So many steps in a row without a finite loss and gradient end a run. */
const maxNonFiniteSteps = 5;
/** Held-out sequences whose loss must be finite before a checkpoint is written. */
const numProbes = 8;
/** The highest learning rate that is advised after a divergence. */
const safeLearningRate = 1e-3;

/** Training diverged: a loss, gradients in several steps in a row, weights or moments were not finite; it was stopped, and not saved. */
export class NonFiniteError extends UserError {}

/** A signal came before there was anything to save. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly signal: keyof typeof signalExitCodes;
  constructor(signal: keyof typeof signalExitCodes) {
    super(`stopped by ${signal} before training began; nothing was written`);
    this.signal = signal;
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
  /** The signal that stopped it before its last step, if one did. */
  stoppedBy: StopSignal['received'];
}

export interface PretrainOptions extends RunOptions, Partial<Pick<LoadedConfig, 'derived' | 'warnings'>> {
  /** Hears of it on rank 0. */
  report?: Reporter;
}

const silent: Reporter = { note: () => {}, warn: (message) => process.emitWarning(message) };
/** What all ranks would say rank 0 says. */
const quiet: Reporter = { note: () => {}, warn: () => {} };

/**
 * Pre-trains the model of a configuration and writes a run folder: `config.json`, `metrics.jsonl`, `events/`, `checkpoints/`.
 * A resumed run goes on bit for bit as if it had never stopped (one machine, one thread count). SIGINT and SIGTERM
 * finish the step, save and return.
 *
 * @throws ConfigError, DataError, CheckpointError, OutputError for what the user can mend; NonFiniteError when training diverged;
 *   InterruptedError for a signal while the texts are prepared; PeerError when another rank is lost.
 */
export async function pretrain(config: Config, options: PretrainOptions): Promise<PretrainResult> {
  using stop = watchSignals();
  const environment = rankEnvironment();
  useThreads(config.train.threads, environment);
  prepareDevice(config.train, environment);
  using group = await joinRanks(environment, {
    device: config.train.device,
    timeoutSeconds: config.train.peerTimeout,
  });
  const runLog = new RunLog();
  const report = group.rank === 0 ? runLog.hearing(options.report ?? silent) : quiet;
  try {
    for (const { key, value, reason } of options.derived ?? []) report.note(`${key} = ${value} (${reason})`);
    for (const warning of options.warnings ?? []) report.warn(warning);
    using run = await openRun(config, options, stoppable(report, stop), group);
    if (group.rank === 0) runLog.open(run, startEntry(run));
    const stoppedBy = await train(run, stop);
    runLog.end(stoppedBy ? `stopped by ${stoppedBy}` : 'done');
    return { run: run.out, checkpoint: run.saved, step: run.progress.step, stoppedBy };
  } catch (error) {
    const settled = await group.settle(error);
    runLog.end(settled instanceof Error ? settled.message : String(settled));
    throw settled;
  }
}

/** The ranks of one machine share its processors. */
function useThreads(threads: number, environment: RankEnvironment | undefined): void {
  if (threads > 0) setNumThreads(threads);
  else if (environment) setNumThreads(Math.max(1, Math.floor(numProcessors() / environment.localSize)));
}

/** A reporter that ends the preparation of texts when a signal came: nothing has to be saved yet. */
function stoppable(report: Reporter, stop: StopSignal): Reporter {
  return {
    ...report,
    prepare: (progress) => {
      if (stop.received) throw new InterruptedError(stop.received);
      report.prepare?.(progress);
    },
  };
}

/** The loop: step, log, evaluate, save, until the last step or a signal, which is given. */
async function train(run: Run, stop: StopSignal): Promise<StopSignal['received']> {
  const { evalEvery, saveEvery, steps } = run.config.train;
  let stopped: StopSignal['received'];
  if (run.progress.step === 0) logEvaluation(run);
  while (run.progress.step < steps) {
    stopped = anySignal(run.group, stop);
    if (stopped) break;
    logStep(run);
    const { step, nonFiniteSteps } = run.progress;
    if (nonFiniteSteps >= maxNonFiniteSteps)
      throw diverged(
        run,
        `the loss or the gradient was not finite for ${nonFiniteSteps} steps in a row, up to step ${step}`,
      );
    const isDue = (every: number) => step === steps || (every > 0 && step % every === 0);
    if (isDue(evalEvery)) logEvaluation(run);
    if (isDue(saveEvery)) save(run);
    await setImmediate(); // signals and listeners get their turn
  }
  if (!run.saved.endsWith(`step-${run.progress.step}`)) save(run);
  return stopped;
}

/** A signal to any rank stops all of them after the same step. */
function anySignal(group: ProcessGroup, { received }: StopSignal): StopSignal['received'] {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const counts = group.sum(signals.map((signal) => Number(signal === received)));
  return signals.find((_, i) => counts[i]! > 0);
}

function logStep(run: Run): void {
  const started = performance.now();
  const { config, state, progress, group } = run;
  const { batchSize, steps } = config.train;
  const { lossScale } = progress;
  let dataSeconds = 0;
  const batchesFrom = (samples: number) => {
    const before = performance.now();
    const batches = microBatchesOf(run, samples);
    dataSeconds += (performance.now() - before) / 1000;
    return batches;
  };
  group.traffic(); // of what came before the step
  const batches = run.ahead ?? batchesFrom(progress.samples);
  run.ahead = undefined;
  const result = trainStep(state, progress.step, batches, {
    ...(lossScale && { lossScale: lossScale.scale }),
    meanwhile: () => {
      if (progress.step + 1 < steps) run.ahead = batchesFrom(progress.samples + batchSize);
    },
  });
  run.progress = progressAfter(progress, result, batchSize);
  const stepSeconds = (performance.now() - started) / 1000;
  const metrics = stepMetrics(run, result, lossScale?.scale, {
    stepSeconds,
    dataSeconds,
    tokensPerSecond: result.tokens / stepSeconds,
  });
  log(run, metrics);
  run.report.step?.(metrics);
  if (run.progress.nonFiniteSteps > progress.nonFiniteSteps)
    run.report.warn(`step ${metrics.step}: loss or gradient is not finite; nothing was changed`);
  const warning = result.applied && run.norms.hear(metrics.step, result.gradientNorm);
  if (warning) run.report.warn(warning);
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
  speed: Pick<StepMetrics, 'stepSeconds' | 'dataSeconds' | 'tokensPerSecond'>,
): StepMetrics {
  const { applied, predictedTokens, tokens: _, loss, tokenLoss, nspLoss, updatedBlocks, ...logged } = result;
  const done = { ...work, predictedTokens };
  const { step, samples, tokens } = progress;
  return {
    type: 'step',
    step,
    samples,
    tokens,
    loss,
    [`${objectives[config.data.objective].loss}Loss`]: tokenLoss,
    ...logged,
    ...(nspLoss !== undefined && { nspLoss }),
    expectedDepth: expectedDepth(result.keepRates),
    ...speed,
    flops: stepFlops(done, result.depth, updatedBlocks),
    denseFlops: stepFlops(done, config.model.layers),
    peakMemoryBytes: isCuda(config.train.device) ? gpus.peakBytes() : process.resourceUsage().maxRSS * 1024,
    ...(group.size > 1 && { ranks: group.size, ...group.traffic() }),
    ...(lossScale !== undefined && { lossScale }),
    ...(!applied && { applied }),
  };
}

function logEvaluation(run: Run): void {
  const { config, state, texts, group, progress } = run;
  const evaluation = evaluateHeldOut(run, config.train);
  const hasDiverged = !Number.isFinite(evaluation.loss);
  if (group.rank === 0) {
    // All know the numbers, rank 0 writes them.
    const numbers = evaluationNumbers(config.data.objective, evaluation);
    const trained = { model: state.model, tokenizer: texts.tokenizer, device: config.train.device };
    const examples = hasDiverged ? {} : { examples: fillExamples(trained, texts.valid) };
    const metrics: EvalMetrics = { type: 'eval', step: progress.step, split: 'valid', ...numbers, ...examples };
    log(run, metrics);
    run.report.evaluation?.(metrics);
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

function log(run: Run, metrics: Metrics): void {
  if (run.group.rank !== 0) return;
  const path = join(run.out, 'metrics.jsonl');
  writing(path, () => appendMetrics(path, metrics));
  run.events?.metrics(metrics);
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
