/** How a model is fine-tuned. */
export interface FineTuneSettings {
  learningRate: number;
  epochs: number;
  batchSize: number;
  /** Tokens of an example at most. */
  maxLength: number;
  /** Of hidden states and of attention weights. */
  dropout: number;
  warmupRatio: number;
  weightDecay: number;
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
  maxLength: 128,
  dropout: 0.1,
  warmupRatio: 0.1,
  weightDecay: 0.01,
} as const;
