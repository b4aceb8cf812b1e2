import { ConfigError } from '../errors/index.ts';

/** How a model is fine-tuned. */
export interface FineTuneSettings {
  /** The peak. Default: `defaultLearningRate` of the model. */
  learningRate?: number;
  epochs: number;
  batchSize: number;
  /** Sequences per forward pass; a larger batch is run in parts, so that it takes no more memory. */
  microBatchSize: number;
  /** The maximum number of tokens per example; at most the model's. */
  maxLength: number;
  /** Dropout of hidden states and of attention weights. */
  dropout: number;
  warmupRatio: number;
  weightDecay: number;
  /** The ratio of each block's learning rate to that of the block above it; 1 for a single rate. */
  layerDecay: number;
  /** How many blocks are frozen, from the lowest up; the embeddings are frozen with them. */
  frozenBlocks: number;
  /** Training stops after this many epochs in a row without a better score. Default: after all epochs. */
  patience?: number;
  /** The score that decides which epoch is kept. Default: that of its kind of task. */
  metric?: string;
  seed: number;
  precision: 'fp32' | 'bf16';
  /** The device of the tensors. */
  device: string;
}

/** BERT's recipe (Devlin et al. 2019, appendix A.3), with the batch and the epochs of the PLD paper, and examples as long as BERT reads. */
export const fineTuneDefaults = {
  epochs: 5,
  batchSize: 32,
  microBatchSize: 256,
  maxLength: 512,
  dropout: 0.1,
  warmupRatio: 0.1,
  weightDecay: 0.01,
  layerDecay: 1,
  frozenBlocks: 0,
} as const;

/** The least `maxLength`: [CLS], one token of a text and [SEP]. */
const leastLength = 3;

/**
 * Checks the maximum number of tokens per text.
 *
 * @throws ConfigError if it leaves no room for a text.
 */
export function checkMaxLength(maxLength: number): void {
  if (Number.isInteger(maxLength) && maxLength >= leastLength) return;
  throw new ConfigError(
    `maxLength: ${maxLength} is not an integer ≥ ${leastLength}: two special tokens and one of the text`,
  );
}

/**
 * Checks the counts and the rates.
 *
 * @throws ConfigError for one that is out of range.
 */
export function checkSettings(settings: FineTuneSettings): void {
  const { epochs, batchSize, microBatchSize, patience = 1, frozenBlocks, dropout, warmupRatio } = settings;
  checkMaxLength(settings.maxLength);
  for (const [name, value] of Object.entries({ epochs, batchSize, microBatchSize, patience, frozenBlocks })) {
    const least = name === 'frozenBlocks' ? 0 : 1;
    if (!(Number.isInteger(value) && value >= least))
      throw new ConfigError(`${name}: ${value} is not an integer ≥ ${least}`);
  }
  for (const [name, value] of Object.entries({ dropout, warmupRatio })) {
    if (!(value >= 0 && value < 1)) throw new ConfigError(`${name}: ${value} is not a number ≥ 0 and < 1`);
  }
}

/** The default temperature of cosines, as in SimCSE. */
export const defaultTemperature = 0.05;

/**
 * The default peak learning rate of fine-tuning for hidden size d: `min(1e-3, 5e-5 · (768 / d)^1.5)`, with two digits. It is BERT-base's
 * 5e-5 at 768 (Devlin et al. 2019) and 7.3e-4 at 128, where 1e-3 was better than 3e-4 and 3e-3 in our runs.
 */
export function defaultLearningRate(hiddenSize: number): number {
  const { hiddenSize: width, learningRate } = bertBase;
  return Number(Math.min(1e-3, learningRate * (width / hiddenSize) ** 1.5).toPrecision(2));
}

const bertBase = { hiddenSize: 768, learningRate: 5e-5 };
