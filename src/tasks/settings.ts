/** How a model is fine-tuned. */
export interface FineTuneSettings {
  learningRate: number;
  epochs: number;
  batchSize: number;
  /** Sequences per forward pass; a larger batch is run in parts, so that it takes no more memory. */
  microBatchSize: number;
  /** The maximum number of tokens per example. */
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

/** BERT's recipe (Devlin et al. 2019, appendix A.3), with the batch and the epochs of the PLD paper. */
export const fineTuneDefaults = {
  learningRate: 5e-5,
  epochs: 5,
  batchSize: 32,
  microBatchSize: 256,
  maxLength: 128,
  dropout: 0.1,
  warmupRatio: 0.1,
  weightDecay: 0.01,
  layerDecay: 1,
  frozenBlocks: 0,
} as const;

/** The default temperature of cosines, as in SimCSE. */
export const defaultTemperature = 0.05;
