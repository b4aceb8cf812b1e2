import type { EvalMetrics, Metrics, StepMetrics } from './metrics.ts';

/** Steps at the start that the clock is not read of: memory is laid out and kernels are chosen in them. */
const numUntimedSteps = 3;
/** With fewer timed steps, their noise would say more than their depth. */
const minTimedSteps = 10;

/** What a run reached and what it saved, against the same steps with every block on. */
export interface Summary {
  /** Optimizer steps in the metrics. */
  steps: number;
  /** The first and the last evaluation on held-out text. */
  firstEvaluation: EvalMetrics | undefined;
  lastEvaluation: EvalMetrics | undefined;
  /** Time of all steps together, without evaluations and checkpoints. */
  stepSeconds: number;
  /** FLOPs of all steps, as their gates fell. */
  flops: number;
  /** FLOPs of the same steps with every block on. */
  denseFlops: number;
  /** The fraction of the blocks' FLOPs that was not spent: `1 − mean depth/L`. */
  blockFlopsSaved: number;
  /** The fraction of the steps' FLOPs that was not spent. */
  stepFlopsSaved: number;
  /** The fraction of the steps' time that was not spent; undefined when the depth never changed, or in a short run. */
  timeSaved: number | undefined;
}

/** Sums up the metrics of a run. Without any step the fractions saved are 0. */
export function summarise(metrics: readonly Metrics[]): Summary {
  const evaluations = metrics.filter((line) => line.type === 'eval');
  const steps = metrics.filter((line) => line.type === 'step');
  const flops = sum(steps.map((step) => step.flops));
  const denseFlops = sum(steps.map((step) => step.denseFlops));
  const blocks = sum(steps.map((step) => step.keepRates.length));
  return {
    steps: steps.length,
    firstEvaluation: evaluations[0],
    lastEvaluation: evaluations.at(-1),
    stepSeconds: sum(steps.map((step) => step.stepSeconds)),
    flops,
    denseFlops,
    blockFlopsSaved: blocks > 0 ? 1 - sum(steps.map((step) => step.depth)) / blocks : 0,
    stepFlopsSaved: denseFlops > 0 ? 1 - flops / denseFlops : 0,
    timeSaved: timeSaved(steps.slice(numUntimedSteps)),
  };
}

/**
 * Ordinary least squares of time on depth, `seconds = a + b·depth`, says what the same n steps would have taken with
 * all L blocks: `n·(a + b·L)`. The fraction saved is `1 − Σ seconds / (n·(a + b·L))`.
 */
function timeSaved(steps: readonly StepMetrics[]): number | undefined {
  if (steps.length < minTimedSteps) return undefined;
  const meanDepth = mean(steps.map((step) => step.depth));
  const meanSeconds = mean(steps.map((step) => step.stepSeconds));
  const variance = mean(steps.map((step) => (step.depth - meanDepth) ** 2));
  if (variance === 0) return undefined;
  const covariance = mean(steps.map((step) => (step.depth - meanDepth) * (step.stepSeconds - meanSeconds)));
  const layers = steps[0]!.keepRates.length;
  const denseSeconds = meanSeconds + (covariance / variance) * (layers - meanDepth);
  return 1 - meanSeconds / denseSeconds;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
