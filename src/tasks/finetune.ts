import { setImmediate } from 'node:timers/promises';
import { type Checkpoint, weightsFrom } from '../checkpoints/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError, DataError } from '../errors/index.ts';
import { predictsNothing } from '../inference/index.ts';
import {
  type Classifier,
  familyOf,
  modelInputs,
  type ParameterSpec,
  parameterSpecs,
  type Transformer,
  type Weights,
} from '../model/index.ts';
import {
  globalNorm,
  initialState,
  learningRate,
  type OptimizerState,
  slotTensors,
  updateParameters,
} from '../optimizers/index.ts';
import { checkDevice, dtypeOf, noGrad, scope, Tensor } from '../tensor/index.ts';
import { dropoutSeeds } from '../train/index.ts';
import { type EncodedExample, type ExampleBatch, encodeExamples, shuffledBatches, sortedBatches } from './batches.ts';
import { type MetricName, mean, metrics } from './metrics.ts';
import type { FineTuneSettings } from './settings.ts';
import type { ExampleSet, Task } from './task.ts';

/** A set's scores; the mean of a task's scores is what it is judged by. */
export interface Scores {
  /** Of the development set of this name. */
  set: string;
  scores: Partial<Record<MetricName, number>>;
  mean: number;
}

/** A model after fine-tuning: as it was after its best epoch. */
export interface FineTuned {
  classifier: Classifier;
  /** They belong to the caller. */
  weights: Weights;
  /** From 1. */
  bestEpoch: number;
  /** Of the best epoch, for each development set. */
  devs: Scores[];
  /** The mean score on the first development set after each epoch. */
  history: number[];
  /** Of the best epoch, for each development and test set by its name: numbers of labels, or values. */
  predictions: Record<string, number[]>;
}

/** Who hears how it goes. */
export interface FineTuneReporter {
  /** Hears after each step its loss: in nats, or the mean squared error of a regression. */
  step?(done: number, total: number, loss: number): void;
  /** Hears after each epoch, counted from 1, its scores on the development sets. */
  epoch?(epoch: number, devs: readonly Scores[]): void;
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

/** What a fine-tuning reads and changes. */
interface State {
  checkpoint: Checkpoint;
  task: Task;
  settings: FineTuneSettings;
  specs: readonly ParameterSpec[];
  masters: Weights;
  optimizer: OptimizerState;
  model: Transformer;
}

/**
 * Fine-tunes a pre-trained BERT with a new classifier on a task, dense, with AdamW and a linear warm-up and decay;
 * after each epoch the first development set is scored, and the best epoch is kept.
 *
 * @throws CheckpointError for a model that is no BERT.
 * @throws DataError when its loss is not finite.
 * @throws ConfigError for a device that is not there.
 */
export async function fineTune(
  checkpoint: Checkpoint,
  task: Task,
  settings: FineTuneSettings,
  report: FineTuneReporter = {},
): Promise<FineTuned> {
  checkTunable(checkpoint);
  checkDevice(settings.device);
  const { model: pretrained } = checkpoint.config;
  const sizes = { ...pretrained, dropout: settings.dropout, attentionDropout: settings.dropout };
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  const maxLength = Math.min(settings.maxLength, pretrained.maxPositions);
  const encode = async ({ name, examples }: ExampleSet) => ({
    name,
    encoded: await encodeExamples(examples, tokenizer, maxLength),
  });
  const train = await encode(task.train);
  const [devs, tests] = [await Promise.all(task.devs.map(encode)), await Promise.all(task.tests.map(encode))];

  const specs = parameterSpecs(sizes, task.classifier);
  const { weights: masters } = weightsFrom(checkpoint, specs, settings);
  for (const weight of masters.values()) weight.requiresGrad();
  const model = familyOf(sizes).create(sizes, masters, dtypeOf[settings.precision]);
  const state: State = {
    checkpoint,
    task,
    settings,
    specs,
    masters,
    optimizer: initialState(optimizerSettings.optimizer, specs, settings.device),
    model,
  };
  const { padId } = tokenizer;
  const predictAll = (encoded: readonly EncodedExample[]) => predict(state, encoded, padId);

  const steps = settings.epochs * Math.ceil(train.encoded.length / settings.batchSize);
  const rate = learningRate({
    steps,
    peakLearningRate: settings.learningRate,
    warmupRatio: settings.warmupRatio,
    warmupShape: 'linear',
    schedule: 'linear',
    finalLearningRate: 0,
    decayRatio: 0,
    decayShape: 'linear',
  });
  let step = 0;
  let best: Omit<FineTuned, 'history' | 'classifier'> | undefined;
  const history: number[] = [];
  try {
    for (let epoch = 1; epoch <= settings.epochs; epoch++) {
      const { maxPositions } = sizes;
      const options = { size: settings.batchSize, padId, maxPositions, seed: settings.seed, epoch };
      for (const batch of shuffledBatches(train.encoded, options)) {
        const loss = fineTuneStep(state, train.encoded, batch, step, rate(step));
        step += 1;
        report.step?.(step, steps, loss);
        await setImmediate(); // signals and listeners get their turn
      }
      const norm = globalNorm(masters.values());
      if (!Number.isFinite(norm)) throw diverged(task, step);
      const predicted = devs.map(({ name, encoded }) => ({ name, encoded, predictions: predictAll(encoded) }));
      const scored = predicted.map(({ name, encoded, predictions }) => scoresOf(task, name, encoded, predictions));
      report.epoch?.(epoch, scored);
      history.push(scored[0]!.mean);
      if (best && scored[0]!.mean <= best.devs[0]!.mean) continue;
      if (best) free(best.weights);
      const sets = [...predicted, ...tests.map(({ name, encoded }) => ({ name, predictions: predictAll(encoded) }))];
      best = {
        weights: copyOf(masters),
        bestEpoch: epoch,
        devs: scored,
        predictions: Object.fromEntries(sets.map(({ name, predictions }) => [name, predictions])),
      };
    }
  } catch (error) {
    if (best) free(best.weights);
    throw error;
  } finally {
    free(masters);
    for (const tensor of slotTensors(state.optimizer.values())) tensor.free();
  }
  return { ...best!, classifier: task.classifier, history };
}

/**
 * Checks that a model can be fine-tuned.
 *
 * @throws CheckpointError for a model that is no BERT.
 */
export function checkTunable({ path, config }: Checkpoint): void {
  if (familyOf(config.model).hasClassifier) return;
  throw new CheckpointError(
    `${path}: is a ${config.model.kind} model; only encoders (modernbert, bert) are fine-tuned`,
  );
}

function diverged(task: Task, step: number): DataError {
  return new DataError(`${task.name}: the numbers were not finite any more at step ${step}; lower the learning rate`);
}

function copyOf(weights: Weights): Weights {
  return scope(() => new Map(Array.from(weights, ([name, weight]) => [name, weight.detach().clone()])));
}

function free(weights: Weights): void {
  for (const weight of weights.values()) weight.free();
}

/** One optimizer step on a batch: cross-entropy of the labels, or the squared error of a regression. Returns the mean loss. */
function fineTuneStep(
  { checkpoint, task, settings, specs, masters, optimizer, model }: State,
  examples: readonly EncodedExample[],
  batch: ExampleBatch,
  step: number,
  learningRate: number,
): number {
  const { numSequences: N } = batch;
  const { device } = settings;
  const blocks = Array.from({ length: model.config.layers }, () => 1);
  const pass = {
    gates: blocks.map(() => true),
    branchScales: blocks,
    dropoutSeed: dropoutSeeds(settings.seed, step, 0),
  };
  const targets = batch.indices.map((i) => examples[i]!.target!);
  const names = [...masters.keys()];
  const { loss, gradients } = scope(() => {
    const logits = model.classLogits!(model.encode(modelInputs(batch, device), pass), pass).to('float32');
    const mean = task.classifier.isRegression
      ? squaredError(logits.reshape([N]), targets)
      : logits.crossEntropy(Tensor.from(BigInt64Array.from(targets, BigInt), [N], { device }), 'mean');
    const found = mean.grad([...masters.values()]);
    return {
      loss: mean.item(),
      gradients: found.flatMap((gradient, i): [string, Tensor][] => (gradient ? [[names[i]!, gradient]] : [])),
    };
  });
  const optimizing = {
    ...optimizerSettings,
    betas: [...optimizerSettings.betas] as [number, number],
    weightDecay: settings.weightDecay,
    precision: settings.precision,
  };
  const found = new Map(gradients);
  const numbers = { loss, learningRate, gradientNorm: globalNorm(found.values()) };
  if (!updateParameters(optimizing, { specs, masters, optimizer }, found, numbers)) {
    // The first step begins with the weights of the checkpoint: no learning rate is to blame for it.
    throw step === 0 ? predictsNothing(checkpoint) : diverged(task, step + 1);
  }
  return loss;
}

function squaredError(values: Tensor, targets: readonly number[]): Tensor {
  const difference = values.add(
    Tensor.from(Float32Array.from(targets), [targets.length], { device: values.device }),
    -1,
  );
  return difference
    .mul(difference)
    .sum()
    .mul(1 / targets.length);
}

/** The label of the largest logit of each example, or the value. */
function predict({ task, settings, model }: State, examples: readonly EncodedExample[], padId: number): number[] {
  const predictions = new Array<number>(examples.length).fill(0);
  for (const batch of sortedBatches(examples, {
    size: settings.batchSize,
    padId,
    maxPositions: model.config.maxPositions,
  })) {
    scope(() =>
      noGrad(() => {
        const logits = model.classLogits!(model.encode(modelInputs(batch, settings.device))).to('float32');
        const found = (task.classifier.isRegression ? logits.reshape([-1]) : logits.argmax(-1)).toFloats();
        for (const [row, i] of batch.indices.entries()) predictions[i] = found[row]!;
      }),
    );
  }
  return predictions;
}

function scoresOf(task: Task, set: string, encoded: readonly EncodedExample[], predictions: readonly number[]): Scores {
  const right = encoded.map(({ target }) => target!);
  const scores = Object.fromEntries(task.metrics.map((name) => [name, metrics[name](predictions, right)]));
  return { set, scores, mean: mean(Object.values(scores)) };
}
