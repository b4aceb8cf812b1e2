import type { Config } from '../config/index.ts';
import { depthMethod } from '../depth/index.ts';
import { alone, type ProcessGroup } from '../distributed/index.ts';
import { familyOf, parameterSpecs, partsOf, type Weights } from '../model/index.ts';
import { initialState, learningRate, type OptimizerState } from '../optimizers/index.ts';
import { dtypeOf } from './precision.ts';
import { ownersOf } from './shards.ts';
import type { TrainingState } from './step.ts';

/**
 * What optimizer steps with a configuration start from: float32 weights, and fresh moments unless some are given; with the other
 * ranks of a group, all of which have the same weights.
 */
export function trainingState(
  config: Config,
  masters: Weights,
  { optimizer, group = alone }: { optimizer?: OptimizerState | undefined; group?: ProcessGroup } = {},
): TrainingState {
  const { model, train } = config;
  const specs = parameterSpecs(model);
  const parts = partsOf(model, specs);
  const owners = train.shardOptimizer ? ownersOf(parts, group) : undefined;
  const own = new Map([...masters].filter(([name]) => (owners?.get(name) ?? group.rank) === group.rank));
  for (const weight of masters.values()) weight.requiresGrad();
  return {
    config,
    specs,
    parts,
    masters,
    model: familyOf(model).create(model, masters, dtypeOf[train.precision]),
    optimizer: optimizer ?? initialState(train.optimizer, own),
    depth: depthMethod(config.depth, model.layers, train.steps),
    learningRate: learningRate(train),
    group,
    owners,
  };
}
