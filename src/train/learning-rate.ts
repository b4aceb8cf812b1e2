import type { Config } from '../config/index.ts';

/** A learning rate for each optimizer step, counted from 0. */
export type LearningRate = (step: number) => number;

/** The paper's exponential schedule: times 0.99 each 1,000 steps. */
const exponentialBase = 0.99;
const exponentialSteps = 1000;

type Settings = Pick<Config['train'], 'steps' | 'peakLearningRate' | 'warmupRatio' | 'warmupShape' | 'schedule'>;

/** How the learning rate rises over W steps of warm-up: at step t < W. */
const warmupShapes: Record<Settings['warmupShape'], (peak: number, step: number, warmup: number) => number> = {
  linear: (peak, step, warmup) => (peak * (step + 1)) / warmup,
  log: (peak, step, warmup) => (peak * Math.log(step + 1)) / Math.log(Math.max(2, warmup)),
};

/**
 * The learning rate over a run of T steps with `W = ⌈warmupRatio·T⌉`: for t < W `peak·(t + 1)/W`, or with `warmupShape: log`
 * `peak·log(t + 1)/log(max(2, W))`, which is 0 at the first step; then, with `u = (t − W)/(T − W)`: linear `peak·(1 − u)`, cosine `peak·(1 + cos πu)/2`, exponential `peak·0.99^((t − W)/1000)`,
 * constant `peak`.
 */
export function learningRate(settings: Settings): LearningRate {
  const { steps, peakLearningRate: peak, warmupRatio, warmupShape, schedule } = settings;
  const warmup = Math.ceil(warmupRatio * steps);
  return (step) => {
    if (step < warmup) return warmupShapes[warmupShape](peak, step, warmup);
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
