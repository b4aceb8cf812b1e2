import type { Config } from '../config/index.ts';
import { depthMethod } from '../depth/index.ts';
import { modelOf, parameterSpecs, type Weights } from '../model/index.ts';
import { learningRate } from './learning-rate.ts';
import { initialState, type OptimizerState } from './optimizer.ts';
import { dtypeOf } from './precision.ts';
import type { TrainingState } from './step.ts';

/** What optimizer steps with a configuration start from: float32 weights, and fresh moments unless some are given. */
export function trainingState(config: Config, masters: Weights, optimizer?: OptimizerState): TrainingState {
  const { model, train } = config;
  const specs = parameterSpecs(model);
  for (const weight of masters.values()) weight.requiresGrad();
  return {
    config,
    specs,
    masters,
    model: modelOf(model, masters, dtypeOf[train.precision]),
    optimizer: optimizer ?? initialState(masters),
    depth: depthMethod(config.depth, model.layers, train.steps),
    learningRate: learningRate(train),
  };
}
