import { adamw } from './adamw.ts';
import { lamb } from './lamb.ts';
import { muon } from './muon.ts';
import type { NamedOptimizer } from './optimizer.ts';
import { sgd } from './sgd.ts';

/** The optimizers that a configuration can name. */
export const optimizers = { adamw, muon, lamb, sgd } satisfies Record<string, NamedOptimizer>;

/** A name that `train.optimizer` takes. */
export type OptimizerName = keyof typeof optimizers;
