import type { Config } from '../config/index.ts';
import { objectives } from '../data/index.ts';
import type { StepShape } from '../depth/index.ts';
import { optimizers } from '../optimizers/index.ts';

/** The shape of one optimizer step of a configuration; without `predictedTokens`, with their mean. */
export function shapeOf({ model, data, train }: Config, predictedTokens?: number): StepShape {
  const { objective, sequenceLength } = data;
  const mean = objectives[objective].predicted(sequenceLength, data.maskRate);
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
