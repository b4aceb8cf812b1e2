import type { Config } from '../config/index.ts';
import { depthMethod } from '../depth/index.ts';
import { Bert, parameterSpecs, type Weights } from '../model/index.ts';
import { learningRate } from './learning-rate.ts';
import { initialState, type OptimizerState } from './optimizer.ts';
import { workingWeights } from './precision.ts';
import type { TrainingState } from './step.ts';

/** What optimizer steps with a configuration start from: float32 weights, and fresh moments unless some are given. */
export function trainingState(config: Config, masters: Weights, optimizer?: OptimizerState): TrainingState {
  const { model, train } = config;
  const specs = parameterSpecs(model);
  const working = workingWeights(train.precision, masters, specs);
  return {
    config,
    specs,
    masters,
    working,
    bert: new Bert(model, working.weights),
    optimizer: optimizer ?? initialState(masters),
    depth: depthMethod(config.depth, model.layers, train.steps),
    learningRate: learningRate(train),
  };
}
