import type { Config } from '../config/index.ts';
import { type DepthMethod, depthMethod } from '../depth/index.ts';
import { alone, type ProcessGroup } from '../distributed/index.ts';
import {
  familyOf,
  type ParameterSpec,
  type Parts,
  parameterSpecs,
  partsOf,
  type Transformer,
  type Weights,
} from '../model/index.ts';
import { initialState, type LearningRate, learningRate, type OptimizerState } from '../optimizers/index.ts';
import { dtypeOf } from '../tensor/index.ts';
import { type Owners, ownersOf } from './owners.ts';

/** Everything that an optimizer step reads and changes. */
export interface TrainingState {
  readonly config: Config;
  readonly specs: readonly ParameterSpec[];
  /** The same, grouped by their place in the model. */
  readonly parts: Parts;
  /** float32 */
  readonly masters: Weights;
  /** The model that uses them. */
  readonly model: Transformer;
  readonly optimizer: OptimizerState;
  readonly depth: DepthMethod;
  readonly learningRate: LearningRate;
  /** The ranks that train it together. */
  readonly group: ProcessGroup;
  /** The rank that has each parameter's optimizer state; undefined if every rank has all of it. */
  readonly owners: Owners | undefined;
}

/** The part of the model that each parameter belongs to, and the rank that has its optimizer state. */
export type Layout = Pick<TrainingState, 'specs' | 'parts' | 'owners'>;

export function layoutOf({ model, train }: Config, group: ProcessGroup = alone): Layout {
  const specs = parameterSpecs(model);
  const parts = partsOf(model, specs);
  return { specs, parts, owners: train.shardOptimizer ? ownersOf(parts, group) : undefined };
}

/**
 * The state that optimizer steps with a configuration start from: float32 weights, and fresh moments unless some are given. All
 * ranks of a group have the same weights.
 */
export function trainingState(
  config: Config,
  masters: Weights,
  {
    optimizer,
    depth = depthMethod(config.depth, config.model.layers, config.train.steps),
    group = alone,
    layout = layoutOf(config, group),
  }: {
    optimizer?: OptimizerState | undefined;
    depth?: DepthMethod | undefined;
    group?: ProcessGroup;
    layout?: Layout;
  } = {},
): TrainingState {
  const { model, train } = config;
  const { owners } = layout;
  const own = layout.specs.filter(({ name }) => (owners?.get(name) ?? group.rank) === group.rank);
  for (const weight of masters.values()) weight.requiresGrad();
  return {
    ...layout,
    config,
    masters,
    model: familyOf(model).create(model, masters, dtypeOf[train.precision]),
    optimizer: optimizer ?? initialState(train.optimizer, own, train.device),
    depth,
    learningRate: learningRate(train),
    group,
  };
}
