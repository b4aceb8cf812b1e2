/** How a model is fine-tuned. */
export interface FineTuneSettings {
  learningRate: number;
  epochs: number;
  batchSize: number;
  /** Sequences that the model reads at once; a larger batch is run in parts, so that it takes no more memory. */
  microBatchSize: number;
  /** Tokens of an example at most. */
  maxLength: number;
  /** Of hidden states and of attention weights. */
  dropout: number;
  warmupRatio: number;
  weightDecay: number;
  /** What each block's learning rate is of that of the block above it; 1 for one rate. */
  layerDecay: number;
  /** How many blocks keep their weights, from the lowest on, and the embeddings with them. */
  frozenBlocks: number;
  /** After how many epochs in a row without a better score it ends; after all of them without it. */
  patience?: number;
  /** The score that decides which epoch is kept; what its kind of task is judged by without it. */
  metric?: string;
  seed: number;
  precision: 'fp32' | 'bf16';
  /** Where the tensors live. */
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

/** What the cosines of pairs are divided by where nothing else is said: SimCSE's. */
export const defaultTemperature = 0.05;
