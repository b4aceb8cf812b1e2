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
  /** SimCSE's. */
  temperature: 0.05,
} as const;
