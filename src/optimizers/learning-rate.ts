/** A learning rate for each optimizer step, counted from 0. */
export type LearningRate = (step: number) => number;

/** The paper's exponential schedule: times 0.99 each 1,000 steps. */
const exponentialBase = 0.99;
const exponentialSteps = 1000;

/** How the learning rate rises over W steps of warm-up: at step t < W. */
export const warmupShapes = {
  linear: (peak: number, step: number, warmup: number) => (peak * (step + 1)) / warmup,
  log: (peak: number, step: number, warmup: number) => (peak * Math.log(step + 1)) / Math.log(Math.max(2, warmup)),
};

/** What the peak is multiplied by after the warm-up: `u` is the share of what follows it that is done, `steps` its steps. */
export const schedules = {
  linear: (u: number) => 1 - u,
  exponential: (_: number, steps: number) => exponentialBase ** (steps / exponentialSteps),
  cosine: (u: number) => (1 + Math.cos(Math.PI * u)) / 2,
  constant: () => 1,
};

/** What the learning rate reads of the `train` section. */
export interface LearningRateSettings {
  steps: number;
  peakLearningRate: number;
  warmupRatio: number;
  warmupShape: keyof typeof warmupShapes;
  schedule: keyof typeof schedules;
}

/**
 * The learning rate over a run of T steps with `W = ⌈warmupRatio·T⌉`: for t < W `peak·(t + 1)/W`, or with `warmupShape: log`
 * `peak·log(t + 1)/log(max(2, W))`, which is 0 at the first step; then, with `u = (t − W)/(T − W)`: linear `peak·(1 − u)`, cosine `peak·(1 + cos πu)/2`, exponential `peak·0.99^((t − W)/1000)`,
 * constant `peak`.
 */
export function learningRate(settings: LearningRateSettings): LearningRate {
  const { steps, peakLearningRate: peak, warmupRatio, warmupShape, schedule } = settings;
  const warmup = Math.ceil(warmupRatio * steps);
  return (step) => {
    if (step < warmup) return warmupShapes[warmupShape](peak, step, warmup);
    const after = step - warmup;
    return peak * schedules[schedule](Math.min(1, after / (steps - warmup)), after);
  };
}
