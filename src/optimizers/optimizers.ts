import { adamw } from './adamw.ts';
import { lamb } from './lamb.ts';
import { muon } from './muon.ts';
import type { NamedOptimizer } from './optimizer.ts';
import { sgd } from './sgd.ts';

/** The optimizers, by their names in `train.optimizer`. */
export const optimizers = { adamw, muon, lamb, sgd } satisfies Record<string, NamedOptimizer>;

/** A value of `train.optimizer`. */
export type OptimizerName = keyof typeof optimizers;
