import { setImmediate } from 'node:timers/promises';
import { mean } from '../averages.ts';
import { type Checkpoint, weightsFrom } from '../checkpoints/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError, ConfigError, counted, DataError } from '../errors/index.ts';
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
import { type Learner, lossAndGradients, predict } from './learner.ts';
import { type RateGroup, rateGroups } from './rate-groups.ts';
import { checkSettings, defaultLearningRate, type FineTuneSettings } from './settings.ts';
import type { Details, Encoded, ExampleSet, Kind, Scores, Task } from './task.ts';

/** The scores of a set. */
export interface SetScores {
  /** The name of the set. */
  set: string;
  scores: Scores;
}

/** The scores of a development set. */
export interface DevScores extends SetScores {
  /** The score that decides which epoch is kept: one of the scores, or their mean. */
  judged: number;
}

/** The scores of predictions without a model. */
export interface BaselineScores {
  /** As in `always "ham"`. */
  name: string;
  /** For each development set, and each test set whose targets are known. */
  sets: SetScores[];
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
  const { metric, patience } = settings;
  if (task.devs.length === 0 && (metric !== undefined || patience !== undefined)) {
    throw new ConfigError(
      `--${metric === undefined ? 'patience' : 'metric'}: needs a development set; give one with --dev, or leave out this option`,
    );
  }
  const { model: pretrained } = checkpoint.config;
  const sizes = { ...pretrained, dropout: settings.dropout, attentionDropout: settings.dropout };
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  const maxLength = Math.min(settings.maxLength, pretrained.maxPositions);
  const encode = async ({ name, examples }: ExampleSet) => ({
    name,
    read: examples,
    examples: await kind.encode(examples, tokenizer, maxLength),
  });
  const { examples: all } = await encode(task.train);
  const train = all.filter((example) => kind.numOutputs(example) > 0); // a sentence of no tokens teaches nothing
  if (train.length === 0)
    throw new DataError(`${task.name}: has no training example to learn from; give examples whose texts are not empty`);
  const numCut = train.filter((example) => kind.isCut?.(example, maxLength)).length;
  if (numCut > 0) {
    const more = [
      ...(maxLength < pretrained.maxPositions
        ? [`--max-length (this model reads up to ${pretrained.maxPositions})`]
        : []),
      ...(kind.takesWindows ? ['--windows 4 for single texts'] : []),
    ];
    const advice = more.length > 0 ? `; to read more, give ${more.join(', or ')}` : '';
    report.note?.(`cut at ${maxLength} tokens: ${numCut} of ${counted(train.length, 'training example')}${advice}`);
  }
  const [devs, tests] = [await Promise.all(task.devs.map(encode)), await Promise.all(task.tests.map(encode))];
  const baselines = (kind.baselines?.(task.train.examples) ?? []).map(({ name, predict }) => ({
    name,
    sets: [...devs, ...tests]
      .filter(({ examples }) => examples.every((example) => kind.hasTarget(example)))
      .map(({ name: set, read, examples }) => ({ set, scores: kind.scores(read.map(predict), examples) })),
  }));

  const specs = parameterSpecs(sizes, kind.head);
  const groups = rateGroups(sizes, specs, settings);
  const { weights: masters } = weightsFrom(checkpoint, specs, settings);
  for (const { name } of groups.flatMap((group) => group.specs)) masters.get(name)!.requiresGrad();
  const state: State = {
    checkpoint,
    task,
    settings,
    learner: {
      model: familyOf(sizes).create(sizes, masters, dtypeOf[settings.precision]),
      kind,
      padId: tokenizer.padId,
      device: settings.device,
      microBatchSize: settings.microBatchSize,
    },
    groups,
    masters,
    optimizer: initialState(optimizerSettings.optimizer, specs, settings.device),
  };

  const epochSteps = Math.ceil(train.length / settings.batchSize);
  const steps = settings.epochs * epochSteps;
  const rate = learningRate({
    steps,
    peakLearningRate: settings.learningRate ?? defaultLearningRate(pretrained.hiddenSize),
    warmupRatio: settings.warmupRatio,
    warmupShape: 'linear',
    schedule: 'linear',
    finalLearningRate: 0,
    decayRatio: 0,
    decayShape: 'linear',
  });
  let step = 0;
  let best: Omit<FineTuned, 'history' | 'decidedBy' | 'baselines'> | undefined;
  const history: number[] = [];
  try {
    if (metric !== undefined) {
      // An unknown score name is found before training, on a few examples.
      const few = devs[0]!.examples.slice(0, settings.microBatchSize);
      judge(task, settings, kind.scores(predict(state.learner, few), few));
    }
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
      const norm = globalNorm(masters.values());
      if (!Number.isFinite(norm)) throw diverged(task, step);
      const predicted = devs.map((dev) => ({ ...dev, predictions: predict(state.learner, dev.examples) }));
      const [first] = predicted;
      const settled = (first && kind.settle?.(first.predictions, first.examples)) ?? kind;
      const scoresOf = ({ name, examples, predictions }: (typeof predicted)[number]): SetScores => ({
        set: name,
        scores: settled.scores(predictions, examples),
      });
      const scored = predicted.map(scoresOf).map((dev) => ({ ...dev, judged: judge(task, settings, dev.scores) }));
      report.epoch?.(epoch, scored);
      history.push(...scored.slice(0, 1).map(({ judged }) => judged));
      if (best && scored[0] && scored[0].judged <= best.devs[0]!.judged) {
        if (epoch - best.bestEpoch >= (settings.patience ?? Infinity)) break;
        continue;
      }
      if (!first && epoch < settings.epochs) continue;
      if (best) free(best.weights);
      const tested = tests.map((test) => ({ ...test, predictions: predict(state.learner, test.examples) }));
      best = {
        head: settled.head,
        weights: copyOf(masters),
        bestEpoch: epoch,
        devs: scored,
        tests: tested.filter(({ examples }) => examples.every((example) => kind.hasTarget(example))).map(scoresOf),
        ...(settled.details && first && { details: settled.details(first.predictions, first.examples) }),
        predictions: Object.fromEntries(
          [...predicted, ...tested].map(({ name, examples, predictions }) => {
            const { ending, text } = settled.written(predictions, examples);
            return [`${name}${ending}`, text];
          }),
        ),
      };
    }
    if (!best)
      throw new InterruptedError(abortReason(signal), `before the ${devs[0] ? 'first' : 'last'} epoch was over`);
  } catch (error) {
    if (best) free(best.weights);
    throw error;
  } finally {
    free(masters);
    for (const tensor of slotTensors(state.optimizer.values())) tensor.free();
  }
  const stoppedBy = step < steps && signal?.aborted ? abortReason(signal) : undefined;
  const [dev] = best.devs;
  const decidedBy =
    dev === undefined
      ? null
      : (decisive(kind, metric, dev.scores) ?? `the mean of ${Object.keys(dev.scores).join(', ')}`);
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

/** The score that decides which epoch is kept; undefined for the mean of all. */
const decisive = ({ judgedBy }: Kind, metric: string | undefined, scores: Scores): string | undefined =>
  metric ?? judgedBy?.find((name) => name in scores);

/**
 * Its value.
 *
 * @throws ConfigError if the settings name a score that does not exist.
 */
function judge({ kind }: Task, { metric }: FineTuneSettings, scores: Scores): number {
  const wanted = decisive(kind, metric, scores);
  if (wanted === undefined) return mean(Object.values(scores));
  const found = scores[wanted];
  if (found !== undefined) return found;
  throw new ConfigError(`--metric ${wanted}: is not one of ${Object.keys(scores).join(', ')}`);
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
