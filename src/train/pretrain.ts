import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Config, ConfigError, DataError } from '../config/index.ts';
import { heldOutBatches, type MicroBatch, makeFolder, makeMicroBatch, TextTokenizer } from '../data/index.ts';
import { expectedDepth, stepFlops } from '../depth/index.ts';
import { initialiseParameters, makeIdentity, parameterSpecs } from '../model/index.ts';
import { setNumThreads } from '../tensor/index.ts';
import {
  type Checkpoint,
  checkpointsOf,
  loadOptimizer,
  loadWeights,
  openCheckpoint,
  type Progress,
  saveCheckpoint,
} from './checkpoint.ts';
import { checkDevice } from './device.ts';
import { evaluate } from './evaluate.ts';
import { replaceFile, writing } from './files.ts';
import { lockRun } from './lock.ts';
import {
  appendMetrics,
  type EvalMetrics,
  evaluationNumbers,
  type Metrics,
  type StepMetrics,
  truncateMetrics,
} from './metrics.ts';
import type { Reporter } from './reporter.ts';
import { checkResumable } from './resume.ts';
import { shapeOf } from './shape.ts';
import { type StopSignal, type signalExitCodes, watchSignals } from './signals.ts';
import { trainingState } from './state.ts';
import { type StepResult, type TrainingState, trainStep } from './step.ts';
import { openTexts, openTokenizer, type Texts } from './texts.ts';
import { checkSameModel, weightsFrom } from './trained.ts';

/** So many steps in a row without a finite loss and gradient end a run. */
const maxNonFiniteSteps = 5;

/** The loss or the gradient was not finite for several steps in a row; the run was saved and stopped. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

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

export interface PretrainOptions {
  /** The folder of the run. */
  out: string;
  /** Go on from the newest checkpoint in `out`. */
  resume?: boolean;
  report?: Reporter;
}

/** A run while it trains. */
interface Run extends Disposable {
  readonly config: Config;
  readonly out: string;
  readonly texts: Texts;
  readonly state: TrainingState;
  readonly report: Reporter;
  progress: Progress;
  saved: string;
}

const silent: Reporter = { note: () => {}, warn: (message) => process.emitWarning(message) };

/**
 * Pre-trains the model of a configuration and writes a run folder: `config.json`, `metrics.jsonl`, `checkpoints/`.
 * A resumed run goes on bit for bit as if it had never stopped (one machine, one thread count). SIGINT and SIGTERM
 * finish the step, save and return.
 *
 * @throws ConfigError, DataError, CheckpointError, OutputError for what the user can mend; NonFiniteError when training diverged;
 *   InterruptedError for a signal while the texts are prepared.
 */
export async function pretrain(config: Config, options: PretrainOptions): Promise<PretrainResult> {
  const report = options.report ?? silent;
  using stop = watchSignals();
  if (config.train.threads > 0) setNumThreads(config.train.threads);
  checkDevice(config.train.device);
  using run = await openRun(config, options.out, options.resume ?? false, stoppable(report, stop));
  await train(run, stop);
  const stoppedBy = run.progress.step < run.config.train.steps ? stop.received : undefined;
  return { run: run.out, checkpoint: run.saved, step: run.progress.step, stoppedBy };
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

/** The loop: step, log, evaluate, save, until the last step or a signal. */
async function train(run: Run, stop: StopSignal): Promise<void> {
  const { evalEvery, saveEvery, steps } = run.config.train;
  if (run.progress.step === 0) logEvaluation(run);
  while (run.progress.step < steps && stop.received === undefined) {
    logStep(run);
    const { step } = run.progress;
    const isDue = (every: number) => step === steps || (every > 0 && step % every === 0);
    if (isDue(evalEvery)) logEvaluation(run);
    if (run.progress.nonFiniteSteps >= maxNonFiniteSteps) throw diverged(run);
    if (isDue(saveEvery)) save(run);
    await setImmediate(); // signals and listeners get their turn
  }
  if (run.saved === '' || !run.saved.endsWith(`step-${run.progress.step}`)) save(run);
}

/** Texts and tensors are opened and checked before a new run's folder is made. */
async function openRun(given: Config, out: string, resume: boolean, report: Reporter): Promise<Run> {
  const held: Disposable[] = [];
  const release = () => {
    for (const resource of held.splice(0).reverse()) resource[Symbol.dispose]();
  };
  try {
    return { ...(await open(given, out, resume, report, held)), [Symbol.dispose]: release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Puts into `held` what has to be given back at the end: the run's lock and its open texts. */
async function open(given: Config, out: string, resume: boolean, report: Reporter, held: Disposable[]) {
  const configPath = join(out, 'config.json');
  const exists = existsSync(configPath);
  refuseOld(configPath, resume);
  if (exists) held.push(lockRun(out));
  // A run that was killed before it had one starts anew.
  const checkpoint = exists && checkpointsOf(out).length > 0 ? openCheckpoint(out, report.warn) : undefined;
  const initial =
    checkpoint || given.train.from === undefined ? undefined : openCheckpoint(given.train.from, report.warn);
  const known = checkpoint ?? initial;
  const tokenizer = known ? TextTokenizer.fromJson(known.tokenizerJson) : await openTokenizer(given, report);
  const vocabSize = known?.config.model.vocabSize ?? tokenizer.vocabSize;
  const config: Config = { ...given, model: { ...given.model, vocabSize } };
  if (checkpoint) checkResumable(checkpoint, config, report);
  if (initial) checkSameModel(initial, config.model);
  if (initial && config.data.tokenizer !== undefined) {
    throw new ConfigError('data.tokenizer: a run that begins with a checkpoint has its tokenizer; leave it out');
  }
  const texts = await openTexts(config, tokenizer, report);
  held.push({ [Symbol.dispose]: () => texts.close() });
  if (checkpoint && checkpoint.progress.textHash !== texts.hash) {
    throw new DataError(
      `${out}: the texts are not those that the run was started with; bring them back, or start a new run with another --out`,
    );
  }
  const state = openState(config, checkpoint, initial, report);
  const fresh = { step: 0, samples: 0, tokens: 0, nonFiniteSteps: 0, textHash: texts.hash };
  const progress = checkpoint?.progress ?? fresh;
  if (!exists) {
    writing(out, () => makeFolder(out));
    held.push(writing(out, () => lockRun(out)));
    refuseOld(configPath, resume); // another process may have made it meanwhile
  }
  replaceFile(configPath, `${JSON.stringify(config, null, 2)}\n`);
  truncateMetrics(join(out, 'metrics.jsonl'), checkpoint ? progress.step : -1);
  if (checkpoint) report.note(`going on from ${checkpoint.path}`);
  return { config, out, texts, state, report, progress, saved: checkpoint?.path ?? '' };
}

function refuseOld(configPath: string, resume: boolean): void {
  if (resume || !existsSync(configPath)) return;
  const out = dirname(configPath);
  throw new ConfigError(`--out ${out}: holds a run already; give --resume to go on with it, or another folder`);
}

/** The tensors of a run: those of its checkpoint; or the weights of another, or new ones from the seed. */
function openState(
  config: Config,
  checkpoint: Checkpoint | undefined,
  initial: Checkpoint | undefined,
  report: Reporter,
): TrainingState {
  const { model, train } = config;
  if (checkpoint === undefined) {
    const specs = parameterSpecs(model);
    const begin = initial ? weightsFrom(initial, specs, train) : undefined;
    if (initial)
      report.note(
        `beginning with ${initial.path}${begin!.fresh.length > 0 ? `; new: ${begin!.fresh.join(', ')}` : ''}`,
      );
    const weights = begin?.weights ?? initialiseParameters(specs, train.seed, train.device);
    const state = trainingState(config, weights);
    for (const [l, keepRate] of state.depth(0).keepRates.entries())
      if (keepRate === 0) makeIdentity(model, state.masters, l);
    return state;
  }
  return trainingState(config, loadWeights(checkpoint, model, train.device), loadOptimizer(checkpoint, train.device));
}

function logStep(run: Run): void {
  const started = performance.now();
  const { config, state, progress } = run;
  const batches = microBatchesOf(run);
  const dataSeconds = (performance.now() - started) / 1000;
  const result = trainStep(state, progress.step, batches);
  const tokens = batches.reduce((sum, batch) => sum + batch.lengths.reduce((a, b) => a + b, 0), 0);
  run.progress = {
    step: progress.step + 1,
    samples: progress.samples + config.train.batchSize,
    tokens: progress.tokens + tokens,
    nonFiniteSteps: result.applied ? 0 : progress.nonFiniteSteps + 1,
    textHash: progress.textHash,
  };
  const stepSeconds = (performance.now() - started) / 1000;
  const metrics = stepMetrics(run, result, { stepSeconds, dataSeconds, tokensPerSecond: tokens / stepSeconds });
  log(run, metrics);
  if (!result.applied) run.report.warn(`step ${metrics.step}: loss or gradient is not finite; nothing was changed`);
  run.report.step?.(metrics);
}

function microBatchesOf({ config, texts, progress }: Run): MicroBatch[] {
  const { batchSize, microBatchSize, seed } = config.train;
  return Array.from({ length: batchSize / microBatchSize }, (_, i) => {
    const start = progress.samples + i * microBatchSize;
    return makeMicroBatch(texts.train, { seed, start, size: microBatchSize, mask: texts.mask });
  });
}

function stepMetrics(
  { config, progress }: Run,
  result: StepResult,
  speed: Pick<StepMetrics, 'stepSeconds' | 'dataSeconds' | 'tokensPerSecond'>,
): StepMetrics {
  const { applied, predictedTokens, loss, tokenLoss, nspLoss, updatedBlocks, ...logged } = result;
  const shape = shapeOf(config, predictedTokens);
  const { step, samples, tokens } = progress;
  return {
    type: 'step',
    step,
    samples,
    tokens,
    loss,
    [config.data.objective === 'clm' ? 'clmLoss' : 'mlmLoss']: tokenLoss,
    ...logged,
    ...(nspLoss !== undefined && { nspLoss }),
    expectedDepth: expectedDepth(result.keepRates),
    ...speed,
    flops: stepFlops(shape, result.depth, updatedBlocks),
    denseFlops: stepFlops(shape, config.model.layers),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    ...(!applied && { applied }),
  };
}

function logEvaluation(run: Run): void {
  const { config, state, texts } = run;
  const options = { limit: config.train.evalSamples, size: config.train.microBatchSize, mask: texts.mask };
  const evaluation = evaluate(state.model, heldOutBatches(texts.valid, options), config.train.device);
  const numbers = evaluationNumbers(config.data.objective, evaluation);
  const metrics: EvalMetrics = { type: 'eval', step: run.progress.step, split: 'valid', ...numbers };
  log(run, metrics);
  run.report.evaluation?.(metrics);
}

function log(run: Run, metrics: Metrics): void {
  const path = join(run.out, 'metrics.jsonl');
  writing(path, () => appendMetrics(path, metrics));
}

function save(run: Run): void {
  const { config, out, progress, state, texts } = run;
  const { masters: weights, optimizer } = state;
  run.saved = saveCheckpoint(out, { config, progress, weights, optimizer, tokenizerJson: texts.tokenizer.json });
}

function diverged(run: Run): NonFiniteError {
  save(run);
  return new NonFiniteError(
    `loss or gradient was not finite for ${maxNonFiniteSteps} steps in a row, up to step ${run.progress.step}; ` +
      `saved in ${run.saved}: lower train.peakLearningRate, or use train.precision=fp32`,
  );
}
