import { setImmediate } from 'node:timers/promises';
import { type Checkpoint, weightsFrom } from '../checkpoints/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError, DataError } from '../errors/index.ts';
import { abortReason } from '../errors/words.ts';
import { predictsNothing } from '../inference/index.ts';
import { type Family, families, familyOf, type Head, parameterSpecs, type Weights } from '../model/index.ts';
import {
  globalNorm,
  initialState,
  learningRate,
  type OptimizerState,
  slotTensors,
  updateParameters,
} from '../optimizers/index.ts';
import { checkDevice, dtypeOf, scope } from '../tensor/index.ts';
import { dropoutSeeds, InterruptedError } from '../train/index.ts';
import { shuffledBatches } from './batches.ts';
import { baselineScores, type EncodedSet, encodeTask, hasTargets } from './encode-task.ts';
import { checkJudged, checkMetric, deciding, judge } from './judge.ts';
import { type Learner, lossAndGradients, predict } from './learner.ts';
import { type RateGroup, rateGroups } from './rate-groups.ts';
import { checkSettings, defaultLearningRate, type FineTuneSettings } from './settings.ts';
import type { BaselineScores, Details, Encoded, SetScores, Task } from './task.ts';

/** The scores of a development set. */
export interface DevScores extends SetScores {
  /** The score that decides which epoch is kept: one of the scores, or their mean. */
  judged: number;
}

/** A fine-tuned model, as it was after its best epoch. */
export interface FineTuned {
  head: Head;
  /** They belong to the caller. */
  weights: Weights;
  /** Counted from 1. */
  bestEpoch: number;
  /** Of the best epoch, for each development set. */
  devs: DevScores[];
  /** Of the best epoch, for each test set whose targets are known. */
  tests: SetScores[];
  /** The deciding score after each epoch; empty without a development set. */
  history: number[];
  /** What that score is; null without a development set. */
  decidedBy: string | null;
  /** What the scores are compared with. */
  baselines: BaselineScores[];
  /** What stopped it early: the reason of the abort signal. */
  stoppedBy?: string;
  /** Of the best epoch, of the first development set. */
  details?: Details;
  /** Of the best epoch: for each development and test set, a file by its name. */
  predictions: Record<string, string>;
}

/** Receives the progress of fine-tuning. */
export interface FineTuneReporter {
  /** Called before the first step if some training examples are cut. */
  note?(text: string): void;
  /** Called after each step with its loss. */
  step?(done: number, total: number, loss: number): void;
  /** Called after each epoch, counted from 1, with its scores on the development sets. */
  epoch?(epoch: number, devs: readonly DevScores[]): void;
}

/** Fixed as in BERT's recipe. */
const optimizerSettings = {
  optimizer: 'adamw',
  biasCorrection: true,
  betas: [0.9, 0.999],
  epsilon: 1e-6,
  momentum: 0.95,
  muonScale: 0.2,
  clipNorm: 1,
} as const;

/** The model after the best epoch so far. */
type Kept = Omit<FineTuned, 'history' | 'decidedBy' | 'baselines' | 'stoppedBy'>;

/** What fine-tuning reads and changes. */
interface State {
  checkpoint: Checkpoint;
  task: Task;
  settings: FineTuneSettings;
  learner: Learner;
  groups: readonly RateGroup[];
  masters: Weights;
  optimizer: OptimizerState;
}

/**
 * Fine-tunes a pre-trained encoder with a new head on a task, dense, with AdamW and a linear warm-up and decay; after each epoch
 * the first development set is scored, and the best epoch is kept. If `signal` is aborted, training stops after the current step, and
 * the best epoch so far is returned.
 *
 * @throws CheckpointError for a model that is not an encoder.
 * @throws DataError when its loss is not finite, or there is no training example to learn from.
 * @throws ConfigError for a missing device, settings that are out of range or with which its kind of examples cannot be learned, a
 *   score that its task does not have, a metric or patience without a development set, and more frozen blocks than the model has.
 * @throws InterruptedError if `signal` was aborted before there was an epoch to keep.
 */
export async function fineTune(
  checkpoint: Checkpoint,
  task: Task,
  settings: FineTuneSettings,
  report: FineTuneReporter = {},
  signal?: AbortSignal,
): Promise<FineTuned> {
  checkTunable(checkpoint);
  checkDevice(settings.device);
  checkSettings(settings);
  const { kind } = task;
  kind.checkSettings?.(settings, task.train.examples);
  checkJudged(task, settings);
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  const { train, devs, tests, cut } = await encodeTask(task, tokenizer, checkpoint.config.model, settings);
  if (cut !== undefined) report.note?.(cut);
  const baselines = baselineScores(task, [...devs, ...tests]);
  const state = initialise(checkpoint, task, settings, tokenizer.padId);

  const { patience = Number.POSITIVE_INFINITY } = settings;
  const epochSteps = Math.ceil(train.length / settings.batchSize);
  const steps = settings.epochs * epochSteps;
  const rate = rateOf(settings, checkpoint, steps);
  let step = 0;
  let best: Kept | undefined;
  const history: number[] = [];
  try {
    checkMetric(state, devs);
    for (let epoch = 1; epoch <= settings.epochs; epoch++) {
      for (const batch of shuffledBatches(train, settings.batchSize, { seed: settings.seed, epoch })) {
        if (signal?.aborted) break;
        const examples = batch.map((i) => train[i]!);
        const loss = fineTuneStep(state, examples, step, rate(step));
        step += 1;
        report.step?.(step, steps, loss);
        await setImmediate(); // let signals and listeners run
      }
      if (step < epoch * epochSteps) break; // stopped: an unfinished epoch is not kept
      if (!Number.isFinite(globalNorm(state.masters.values()))) throw diverged(task, step);
      const scored = scoreEpoch(state, devs);
      report.epoch?.(epoch, scored.devs);
      const judged = scored.devs[0]?.judged;
      if (judged !== undefined) history.push(judged);
      if (best && judged !== undefined && judged <= best.devs[0]!.judged) {
        if (epoch - best.bestEpoch >= patience) break;
        continue;
      }
      if (judged === undefined && epoch < settings.epochs) continue;
      if (best) free(best.weights);
      best = { bestEpoch: epoch, ...scored.keep(tests) };
    }
    if (!best)
      throw new InterruptedError(abortReason(signal), `before the ${devs[0] ? 'first' : 'last'} epoch was over`);
  } catch (error) {
    if (best) free(best.weights);
    throw error;
  } finally {
    free(state.masters);
    for (const tensor of slotTensors(state.optimizer.values())) tensor.free();
  }
  const stoppedBy = step < steps && signal?.aborted ? abortReason(signal) : undefined;
  const decidedBy = deciding(kind, settings, best.devs[0]?.scores);
  return { ...best, history, decidedBy, baselines, ...(stoppedBy !== undefined && { stoppedBy }) };
}

/**
 * Checks that a model can be fine-tuned.
 *
 * @throws CheckpointError for a model that is not an encoder.
 */
export function checkTunable({ path, config }: Checkpoint): void {
  if (familyOf(config.model).takesHeads) return;
  const tunable = Object.entries<Family>(families).flatMap(([name, { takesHeads }]) => (takesHeads ? [name] : []));
  throw new CheckpointError(
    `${path}: is a ${config.model.kind} model; only encoders (${tunable.join(', ')}) can be fine-tuned. To train one: npx taper-lm pretrain configs/encoder.yaml --data my/texts`,
  );
}

/** The model before its first step: the checkpoint's blocks under a new head. */
function initialise(checkpoint: Checkpoint, task: Task, settings: FineTuneSettings, padId: number): State {
  const { dropout, device, precision, microBatchSize } = settings;
  const sizes = { ...checkpoint.config.model, dropout, attentionDropout: dropout };
  const specs = parameterSpecs(sizes, task.kind.head);
  const groups = rateGroups(sizes, specs, settings);
  const { weights: masters } = weightsFrom(checkpoint, specs, settings);
  for (const { name } of groups.flatMap((group) => group.specs)) masters.get(name)!.requiresGrad();
  const model = familyOf(sizes).create(sizes, masters, dtypeOf[precision]);
  return {
    checkpoint,
    task,
    settings,
    learner: { model, kind: task.kind, padId, device, microBatchSize },
    groups,
    masters,
    optimizer: initialState(optimizerSettings.optimizer, specs, device),
  };
}

/** The learning rate of each step: a warm-up to its peak and a linear decay to 0. */
const rateOf = (settings: FineTuneSettings, { config }: Checkpoint, steps: number) =>
  learningRate({
    steps,
    peakLearningRate: settings.learningRate ?? defaultLearningRate(config.model.hiddenSize),
    warmupRatio: settings.warmupRatio,
    warmupShape: 'linear',
    schedule: 'linear',
    finalLearningRate: 0,
    decayRatio: 0,
    decayShape: 'linear',
  });

/** The scores of the model on the development sets as it is now, and how to keep it as it is. */
function scoreEpoch({ learner, settings, masters }: State, devs: readonly EncodedSet[]) {
  const { kind } = learner;
  const predictionsOf = (set: EncodedSet) => ({ ...set, predictions: predict(learner, set.examples) });
  const predicted = devs.map(predictionsOf);
  const [first] = predicted;
  const settled = (first && kind.settle?.(first.predictions, first.examples)) ?? kind;
  const scoresOf = ({ name, examples, predictions }: (typeof predicted)[number]): SetScores => ({
    set: name,
    scores: settled.scores(predictions, examples),
  });
  const scored = predicted.map(scoresOf).map((dev) => ({ ...dev, judged: judge(kind, settings, dev.scores) }));
  return {
    devs: scored,
    keep(tests: readonly EncodedSet[]): Omit<Kept, 'bestEpoch'> {
      const tested = tests.map(predictionsOf);
      return {
        head: settled.head,
        weights: copyOf(masters),
        devs: scored,
        tests: tested.filter(({ examples }) => hasTargets(kind, examples)).map(scoresOf),
        ...(settled.details && first && { details: settled.details(first.predictions, first.examples) }),
        predictions: Object.fromEntries(
          [...predicted, ...tested].map(({ name, read, examples, predictions }) => {
            const { ending, text } = settled.written(predictions, examples, read);
            return [`${name}${ending}`, text];
          }),
        ),
      };
    },
  };
}

function diverged(task: Task, step: number): DataError {
  return new DataError(
    `${task.name}: the loss, the gradient or the weights were not finite at step ${step}; lower the learning rate`,
  );
}

function copyOf(weights: Weights): Weights {
  return scope(() => new Map(Array.from(weights, ([name, weight]) => [name, weight.detach().clone()])));
}

function free(weights: Weights): void {
  for (const weight of weights.values()) weight.free();
}

/** One optimizer step on a batch. Returns the mean loss. */
function fineTuneStep(state: State, examples: readonly Encoded[], step: number, learningRate: number): number {
  const { checkpoint, task, settings, learner, groups, masters, optimizer } = state;
  const trained = new Map(groups.flatMap(({ specs }) => specs.map(({ name }) => [name, masters.get(name)!])));
  const { loss, gradients } = lossAndGradients(learner, examples, trained, (part) =>
    dropoutSeeds(settings.seed, step, part),
  );
  const optimizing = {
    ...optimizerSettings,
    betas: [...optimizerSettings.betas] as [number, number],
    weightDecay: settings.weightDecay,
    precision: settings.precision,
  };
  const gradientNorm = globalNorm(gradients.values());
  for (const { specs, share } of groups) {
    const own = new Map(specs.flatMap(({ name }) => (gradients.has(name) ? [[name, gradients.get(name)!]] : [])));
    const numbers = { loss, learningRate: share * learningRate, gradientNorm };
    if (!updateParameters(optimizing, { specs, masters, optimizer }, own, numbers)) {
      for (const gradient of gradients.values()) gradient.free();
      // The first step uses the weights of the checkpoint: the learning rate is not to blame.
      throw step === 0 ? predictsNothing(checkpoint) : diverged(task, step + 1);
    }
  }
  return loss;
}
