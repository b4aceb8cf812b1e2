import type { StepMetrics } from './fields.ts';

/** What the steps of a run have spent so far, from its first step on. */
export interface Spent {
  steps: number;
  samples: number;
  tokens: number;
  /** FLOPs of the steps, counting only the blocks that ran. */
  flops: number;
  /** FLOPs of the same steps if they were dense. */
  denseFlops: number;
  /** Time of the steps, without evaluations and checkpoints. */
  seconds: number;
  /** Parts of that time: making batches, and waiting for other ranks. */
  dataSeconds: number;
  waitSeconds: number;
  /** The blocks that ran in a step, summed over the steps. */
  depthSum: number;
}

/** What is spent before the first step: nothing. */
export const nothingSpent = (): Spent => ({
  ...{ steps: 0, samples: 0, tokens: 0, flops: 0, denseFlops: 0 },
  ...{ seconds: 0, dataSeconds: 0, waitSeconds: 0, depthSum: 0 },
});

/** Adds a step to what was spent before it, in place. */
export function addStep(spent: Spent, line: StepMetrics): void {
  spent.steps += 1;
  spent.samples = line.samples;
  spent.tokens = line.tokens;
  spent.flops += line.flops;
  spent.denseFlops += line.denseFlops;
  spent.seconds += line.stepSeconds;
  spent.dataSeconds += line.dataSeconds;
  spent.waitSeconds += line.waitSeconds ?? 0;
  spent.depthSum += line.depth;
}

/** The fraction of a dense run's FLOPs that was saved: `1 − Σ flops / Σ denseFlops`; 0 before a step. */
export function flopsSaved({ flops, denseFlops }: Pick<Spent, 'flops' | 'denseFlops'>): number {
  return denseFlops > 0 ? 1 - flops / denseFlops : 0;
}
