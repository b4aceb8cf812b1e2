import { adamw } from './adamw.ts';
import { lamb } from './lamb.ts';
import type { NamedOptimizer } from './optimizer.ts';

/** The optimizers that a configuration can name. */
export const optimizers = { adamw, lamb } satisfies Record<string, NamedOptimizer>;

/** A name that `train.optimizer` takes. */
export type OptimizerName = keyof typeof optimizers;
