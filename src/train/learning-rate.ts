import type { Config } from '../config/index.ts';

/** A learning rate for each optimizer step, counted from 0. */
export type LearningRate = (step: number) => number;

/** The paper's exponential schedule: times 0.99 each 1,000 steps. */
const exponentialBase = 0.99;
const exponentialSteps = 1000;

type Settings = Pick<Config['train'], 'steps' | 'peakLearningRate' | 'warmupRatio' | 'schedule'>;

/**
 * The learning rate over a run of T steps with `W = ⌈warmupRatio·T⌉`: `peak·(t + 1)/W` for t < W; then, with
 * `u = (t − W)/(T − W)`: linear `peak·(1 − u)`, cosine `peak·(1 + cos πu)/2`, exponential `peak·0.99^((t − W)/1000)`,
 * constant `peak`.
 */
export function learningRate({ steps, peakLearningRate: peak, warmupRatio, schedule }: Settings): LearningRate {
  const warmup = Math.ceil(warmupRatio * steps);
  return (step) => {
    if (step < warmup) return (peak * (step + 1)) / warmup;
    const after = step - warmup;
    const progress = Math.min(1, after / (steps - warmup));
    switch (schedule) {
      case 'linear':
        return peak * (1 - progress);
      case 'cosine':
        return (peak * (1 + Math.cos(Math.PI * progress))) / 2;
      case 'exponential':
        return peak * exponentialBase ** (after / exponentialSteps);
      case 'constant':
        return peak;
    }
  };
}
