/** The learning rate at each optimizer step, counted from 0. */
export type LearningRate = (step: number) => number;

/** The paper's exponential schedule: a factor of 0.99 every 1,000 steps. */
const exponentialBase = 0.99;
const exponentialSteps = 1000;

/** The learning rate at step t < W of a warm-up over W steps. */
export const warmupShapes = {
  linear: (peak: number, step: number, warmup: number) => (peak * (step + 1)) / warmup,
  log: (peak: number, step: number, warmup: number) => (peak * Math.log(step + 1)) / Math.log(Math.max(2, warmup)),
};

/** How `wsd` decays: from 1 to 0 as u, the completed fraction of the decay, goes from 0 to 1. */
export const decayShapes = {
  linear: (u: number) => 1 - u,
  '1-sqrt': (u: number) => 1 - Math.sqrt(u),
};

/** The position of a step after the warm-up. */
export interface SchedulePlace {
  /** Steps since the end of the warm-up. */
  steps: number;
  /** The completed fraction of the steps after the warm-up. */
  u: number;
  /** 1 until `wsd` starts to decay, then falling to 0. */
  decay: number;
}

/** The height of the learning rate after the warm-up: 1 is the peak, 0 the final learning rate. */
export const schedules = {
  linear: ({ u }: SchedulePlace) => 1 - u,
  exponential: ({ steps }: SchedulePlace) => exponentialBase ** (steps / exponentialSteps),
  cosine: ({ u }: SchedulePlace) => (1 + Math.cos(Math.PI * u)) / 2,
  wsd: ({ decay }: SchedulePlace) => decay,
  constant: () => 1,
};

/** The keys of the `train` section that the learning rate depends on. */
export interface LearningRateSettings {
  steps: number;
  peakLearningRate: number;
  finalLearningRate: number;
  warmupRatio: number;
  warmupShape: keyof typeof warmupShapes;
  schedule: keyof typeof schedules;
  decayRatio: number;
  decayShape: keyof typeof decayShapes;
}

/** The ratio for which ⌈ratio·steps⌉ equals `count`, even if the quotient was rounded up. */
export function ratioOf(count: number, steps: number): number {
  const ratio = count / steps;
  return Math.ceil(ratio * steps) === Math.ceil(count) ? ratio : (count - 0.5) / steps;
}

/** The first step in which `wsd` decays. */
export function decayStart({ steps, decayRatio }: Pick<LearningRateSettings, 'steps' | 'decayRatio'>): number {
  return steps - Math.ceil(decayRatio * steps);
}

/**
 * The learning rate over a run of T steps with `W = ⌈warmupRatio·T⌉`: for t < W `peak·(t + 1)/W`, or with `warmupShape: log`
 * `peak·log(t + 1)/log(max(2, W))`, which is 0 at the first step; then `final + (peak − final)·h`, with `u = (t − W)/(T − W)`: linear
 * `h = 1 − u`, cosine `(1 + cos πu)/2`, exponential `0.99^((t − W)/1000)`, constant 1, and wsd (warm-up, stable, decay) 1 until `⌈decayRatio·T⌉` steps are left,
 * then `1 − u` or `1 − √u`, with u the completed fraction of these.
 *
 * Source of wsd: Hägele et al. 2024 (arXiv 2405.18392).
 */
export function learningRate(settings: LearningRateSettings): LearningRate {
  const { steps, peakLearningRate: peak, finalLearningRate: final, warmupRatio, warmupShape, schedule } = settings;
  const warmup = Math.ceil(warmupRatio * steps);
  const decayShape = decayShapes[settings.decayShape];
  const stable = decayStart(settings);
  return (step) => {
    if (step < warmup) return warmupShapes[warmupShape](peak, step, warmup);
    const after = step - warmup;
    const height = schedules[schedule]({
      steps: after,
      u: Math.min(1, after / (steps - warmup)),
      decay: step < stable || stable === steps ? 1 : decayShape(Math.min(1, (step - stable) / (steps - stable))),
    });
    return height === 1 ? peak : final + (peak - final) * height; // 4.8e-5 + (4e-4 − 4.8e-5) is not 4e-4
  };
}
