import type { EvalMetrics, Metrics } from './fields.ts';
import { addStep, flopsSaved, nothingSpent, type Spent } from './spent.ts';

/** Steps at the start that are not timed: they allocate memory and choose kernels. */
const numUntimedSteps = 3;
/** With fewer timed steps, noise would outweigh the effect of depth. */
const minTimedSteps = 10;
/** Dense steps whose FLOPs differ by less belong to one phase. */
const samePhase = 0.05;

/** What a run reached and what it saved, against the same steps of a dense run. */
export interface Summary {
  /** Optimizer steps in the metrics. */
  steps: number;
  /** The first and the last evaluation on held-out text. */
  firstEvaluation: EvalMetrics | undefined;
  lastEvaluation: EvalMetrics | undefined;
  /** Total time of all steps, without evaluations and checkpoints. */
  stepSeconds: number;
  /** FLOPs of all steps, counting only the blocks that ran. */
  flops: number;
  /** FLOPs of the same steps if they were dense. */
  denseFlops: number;
  /** The fraction of the blocks' FLOPs that was saved: `1 − mean depth/L`, where larger steps count more. */
  blockFlopsSaved: number;
  /** The fraction of the steps' FLOPs that was saved. */
  stepFlopsSaved: number;
  /** The fraction of the steps' time that was saved; undefined when the depth never changed, or in a short run. */
  timeSaved: number | undefined;
}

/** Sums up the metrics of a run. Without any step the fractions saved are 0. */
export function summarise(metrics: Iterable<Metrics>): Summary {
  const sums = new RunSums();
  for (const line of metrics) sums.add(line);
  return sums.summary();
}

/** The sums behind a run's summary, while its metrics arrive line by line. */
export class RunSums {
  #first: EvalMetrics | undefined;
  #last: EvalMetrics | undefined;
  readonly #spent = nothingSpent();
  #layers = 0;
  /** Σ depth·denseFlops of all steps. */
  #depthFlops = 0;
  // Sums over the timed steps, and over their phases.
  #timed = { steps: 0, seconds: 0, denseFlops: 0, depthFlops: 0, depthSquares: 0, depthBySeconds: 0 };
  #phase = { denseFlops: Number.NaN, steps: 0, depth: 0, seconds: 0 };

  /** Adds a line, in the order of the file. */
  add(line: Metrics): void {
    if (line.type === 'eval') {
      this.#first ??= line;
      this.#last = line;
      return;
    }
    const { depth, stepSeconds, denseFlops, keepRates } = line;
    addStep(this.#spent, line);
    this.#layers = keepRates.length;
    this.#depthFlops += depth * denseFlops;
    if (this.#spent.steps <= numUntimedSteps) return;
    const timed = this.#timed;
    timed.steps += 1;
    timed.seconds += stepSeconds;
    timed.denseFlops += denseFlops;
    timed.depthFlops += depth * denseFlops;
    // Means of a phase, and products of deviations from them (Welford 1962), which stay exact if nothing deviates.
    if (!(Math.abs(denseFlops / this.#phase.denseFlops - 1) < samePhase))
      this.#phase = { denseFlops, steps: 0, depth: 0, seconds: 0 };
    const phase = this.#phase;
    phase.steps += 1;
    const offDepth = depth - phase.depth;
    phase.depth += offDepth / phase.steps;
    const seconds = stepSeconds / denseFlops;
    phase.seconds += (seconds - phase.seconds) / phase.steps;
    timed.depthSquares += offDepth * (depth - phase.depth);
    timed.depthBySeconds += offDepth * (seconds - phase.seconds);
  }

  /** What the steps so far have spent. */
  get spent(): Readonly<Spent> {
    return this.#spent;
  }

  /** The summary of the lines so far; without any step the fractions saved are 0. */
  summary(): Summary {
    const { steps, seconds, flops, denseFlops } = this.#spent;
    return {
      steps,
      firstEvaluation: this.#first,
      lastEvaluation: this.#last,
      stepSeconds: seconds,
      flops,
      denseFlops,
      blockFlopsSaved: steps > 0 ? 1 - this.#depthFlops / (denseFlops * this.#layers) : 0,
      stepFlopsSaved: flopsSaved(this.#spent),
      timeSaved: this.timeSavedAt(this.#timed.depthFlops / this.#timed.denseFlops),
    };
  }

  /**
   * The fraction of the time of dense steps that is saved if `depth` blocks run on average: `1 − s(depth)/s(L)`, with `s` the
   * seconds per FLOP of a dense step. `s` is a line through the mean of all steps; its slope is the least-squares slope of
   * seconds on depth within the phases of the run, because steps of a different size take a different time at any depth. Undefined when
   * the depth never changed, or in a short run.
   */
  timeSavedAt(depth: number): number | undefined {
    const { steps, seconds, denseFlops, depthFlops, depthSquares, depthBySeconds } = this.#timed;
    if (steps < minTimedSteps || depthSquares === 0) return undefined;
    const slope = depthBySeconds / depthSquares;
    const secondsAt = (blocks: number) => seconds / denseFlops + slope * (blocks - depthFlops / denseFlops);
    return 1 - secondsAt(depth) / secondsAt(this.#layers);
  }
}
