import type { Config } from '../config/index.ts';
import type { StepShape } from '../depth/index.ts';
import { optimizers } from '../optimizers/index.ts';

/** The shape of one optimizer step of a configuration; without `predictedTokens`, with their mean. */
export function shapeOf({ model, data, train }: Config, predictedTokens?: number): StepShape {
  const { objective, sequenceLength } = data;
  const wordTokens = sequenceLength - (objective === 'mlm+nsp' ? 3 : 2); // without [CLS] and each [SEP]
  const mean = objective === 'clm' ? sequenceLength - 1 : Math.max(1, Math.round(data.maskRate * wordTokens));
  const sequences = train.batchSize;
  const optimizerOperations = optimizers[train.optimizer].operations;
  return {
    ...model,
    sequenceLength,
    sequences,
    predictedTokens: predictedTokens ?? sequences * mean,
    objective,
    optimizerOperations,
  };
}
