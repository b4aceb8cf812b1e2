import type { EvalMetrics, Metrics } from './fields.ts';
import { addStep, flopsSaved, nothingSpent, type Spent } from './spent.ts';

/** Steps at the start that the clock is not read of: memory is laid out and kernels are chosen in them. */
const numUntimedSteps = 3;
/** With fewer timed steps, their noise would say more than their depth. */
const minTimedSteps = 10;

/** What a run reached and what it saved, against the same steps of a dense run. */
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
  /** FLOPs of the same steps, had every block run. */
  denseFlops: number;
  /** The fraction of the blocks' FLOPs that was not spent: `1 − mean depth/L`. */
  blockFlopsSaved: number;
  /** The fraction of the steps' FLOPs that was not spent. */
  stepFlopsSaved: number;
  /** The fraction of the steps' time that was not spent; undefined when the depth never changed, or in a short run. */
  timeSaved: number | undefined;
}

/** Sums up the metrics of a run. Without any step the fractions saved are 0. */
export function summarise(metrics: Iterable<Metrics>): Summary {
  const sums = new RunSums();
  for (const line of metrics) sums.add(line);
  return sums.summary();
}

/** What a run's summary is made of, while its metrics come line by line. */
export class RunSums {
  #first: EvalMetrics | undefined;
  #last: EvalMetrics | undefined;
  readonly #spent = nothingSpent();
  #layers = 0;
  // Of the timed steps: means, and sums of products of what differs from them (Welford 1962), which stay exact where nothing does.
  #timed = 0;
  #depth = 0;
  #seconds = 0;
  #depthSquares = 0;
  #depthBySeconds = 0;

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
    if (this.#spent.steps <= numUntimedSteps) return;
    this.#timed += 1;
    const offDepth = depth - this.#depth;
    this.#depth += offDepth / this.#timed;
    const seconds = stepSeconds / denseFlops;
    this.#seconds += (seconds - this.#seconds) / this.#timed;
    this.#depthSquares += offDepth * (depth - this.#depth);
    this.#depthBySeconds += offDepth * (seconds - this.#seconds);
  }

  /** What the steps so far have spent. */
  get spent(): Readonly<Spent> {
    return this.#spent;
  }

  /** The summary of the lines so far; without any step the fractions saved are 0. */
  summary(): Summary {
    const { steps, depthSum, seconds, flops, denseFlops } = this.#spent;
    return {
      steps,
      firstEvaluation: this.#first,
      lastEvaluation: this.#last,
      stepSeconds: seconds,
      flops,
      denseFlops,
      blockFlopsSaved: steps > 0 ? 1 - depthSum / (steps * this.#layers) : 0,
      stepFlopsSaved: flopsSaved(this.#spent),
      timeSaved: this.timeSavedAt(this.#depth),
    };
  }

  /**
   * Ordinary least squares on depth of the time for each FLOP of a dense step, `a + b·depth`, says what the same steps would have taken with
   * all L blocks, also where some are larger than others. Steps that run `depth` blocks in the mean save `1 − (a + b·depth) / (a + b·L)` of
   * that; undefined when the depth never changed, or in a short run.
   */
  timeSavedAt(depth: number): number | undefined {
    if (this.#timed < minTimedSteps || this.#depthSquares === 0) return undefined;
    const slope = this.#depthBySeconds / this.#depthSquares;
    const secondsAt = (blocks: number) => this.#seconds + slope * (blocks - this.#depth);
    return 1 - secondsAt(depth) / secondsAt(this.#layers);
  }
}
