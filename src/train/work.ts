import type { Config, StepConfig } from '../config/index.ts';
import { byPhase } from '../config/phases.ts';
import { objectives } from '../data/index.ts';
import type { StepWork } from '../depth/index.ts';
import { familyOf, type ParameterSpec, parameterSpecs, partsOf } from '../model/index.ts';
import { updateFlops } from '../optimizers/index.ts';

/**
 * The work of one optimizer step of a configuration; `predictedTokens` defaults to those of full sequences. Sequences count as
 * full and as one document each, because only the text shows where documents end: with `packing: documents`, attention does less
 * work than this, and with clm one token of each document except the first in a sequence is not predicted.
 */
export function workOf({ model, data, train }: StepConfig, predictedTokens?: number): StepWork {
  const { sequenceLength, maskRate } = data;
  const { predicted, hasPairs } = objectives[data.objective];
  const specs = parameterSpecs(model).filter(({ forPairs }) => hasPairs || !forPairs);
  const { blocks, outer } = partsOf(model, specs);
  const updates = (parts: readonly ParameterSpec[]) =>
    parts.reduce((sum, spec) => sum + updateFlops(train.optimizer, spec), 0);
  const forward = familyOf(model).forwardFlops(model, sequenceLength);
  return {
    layers: model.layers,
    sequences: train.batchSize,
    predictedTokens: predictedTokens ?? train.batchSize * predicted(sequenceLength, maskRate),
    forwardFlops: hasPairs ? forward : { ...forward, pair: 0 },
    updateFlops: { block: updates(blocks[0]!), outer: updates(outer) },
  };
}

/** The work of each step of a run, counted from 0. */
export function worksOf(config: Config): (step: number) => StepWork {
  return byPhase(config, (own) => workOf(own));
}
