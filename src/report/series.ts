import type { StepMetrics } from '../train/metrics.ts';

/** A series keeps at least so many points, once there are as many steps, and fewer than twice as many. */
const fewestPoints = 400;

/** One or more steps in a row. What is summed is summed from the first step of the run on. */
interface Point {
  steps: number;
  step: number;
  samples: number;
  tokens: number;
  flops: number;
  denseFlops: number;
  seconds: number;
  dataSeconds: number;
  waitSeconds: number;
  /** Over the steps whose loss is a number. */
  finite: number;
  lossSum: number;
  lossLeast: number;
  lossMost: number;
  gradientNormSum: number;
  depthSum: number;
  expectedDepthSum: number;
  learningRate: number;
  theta: number;
  keepRates: readonly number[];
  peakMemoryBytes: number;
}

/** The columns of a series, a row a point; null is what is not a number. */
export interface Columns {
  /** The last step of each point: what is summed is summed up to it, and θ, learning rate and keep rates are its own. */
  step: number[];
  samples: number[];
  tokens: number[];
  flops: number[];
  denseFlops: number[];
  /** Time of the steps, without evaluations and checkpoints. */
  seconds: number[];
  /** Means over the steps of each point, and the least and the most of them. */
  loss: (number | null)[];
  lossLeast: (number | null)[];
  lossMost: (number | null)[];
  gradientNorm: (number | null)[];
  depth: number[];
  expectedDepth: number[];
  learningRate: number[];
  theta: number[];
  /** [points][L] */
  keepRates: (readonly number[])[];
  peakMemoryBytes: number[];
  tokensPerSecond: number[];
  flopsPerSecond: number[];
  /** Parts of the steps' time: waiting for the batch, and for other ranks. */
  dataShare: number[];
  waitShare: number[];
}

/**
 * The steps of a run as a few hundred points, however many they are: when there are too many points, each becomes one with its
 * neighbour. Steps are added as they come, and each is looked at once.
 */
export class StepSeries {
  readonly #points: Point[] = [];
  #stepsPerPoint = 1;
  readonly #total = { flops: 0, denseFlops: 0, seconds: 0, dataSeconds: 0, waitSeconds: 0 };

  add(line: StepMetrics): void {
    const points = this.#points;
    let point = points.at(-1);
    if (!point || point.steps === this.#stepsPerPoint) {
      if (points.length === 2 * fewestPoints) this.#halve();
      point = newPoint();
      points.push(point);
    }
    const total = this.#total;
    total.flops += line.flops;
    total.denseFlops += line.denseFlops;
    total.seconds += line.stepSeconds;
    total.dataSeconds += line.dataSeconds;
    total.waitSeconds += line.waitSeconds ?? 0;
    Object.assign(point, total);
    point.steps += 1;
    point.step = line.step;
    point.samples = line.samples;
    point.tokens = line.tokens;
    if (Number.isFinite(line.loss) && Number.isFinite(line.gradientNorm)) {
      point.finite += 1;
      point.lossSum += line.loss;
      point.lossLeast = Math.min(point.lossLeast, line.loss);
      point.lossMost = Math.max(point.lossMost, line.loss);
      point.gradientNormSum += line.gradientNorm;
    }
    point.depthSum += line.depth;
    point.expectedDepthSum += line.expectedDepth;
    point.learningRate = line.learningRate;
    point.theta = line.theta;
    point.keepRates = line.keepRates;
    point.peakMemoryBytes = line.peakMemoryBytes;
  }

  #halve(): void {
    const pairs = this.#points.splice(0);
    for (let i = 0; i < pairs.length; i += 2) this.#points.push(joined(pairs[i]!, pairs[i + 1]!));
    this.#stepsPerPoint *= 2;
  }

  /** Up to the last step. */
  spent(): { samples: number; tokens: number; flops: number; seconds: number } {
    const { samples, tokens, flops, seconds } = this.#points.at(-1) ?? newPoint();
    return { samples, tokens, flops, seconds };
  }

  columns(): Columns {
    const points = this.#points;
    const each = <T>(of: (point: Point) => T) => points.map(of);
    const mean = (sum: number, { finite }: Point) => (finite > 0 ? sum / finite : null);
    const rate = (amount: 'tokens' | 'flops' | 'dataSeconds' | 'waitSeconds') =>
      points.map((point, i) => {
        const before = points[i - 1] ?? { tokens: 0, flops: 0, dataSeconds: 0, waitSeconds: 0, seconds: 0 };
        return (point[amount] - before[amount]) / (point.seconds - before.seconds);
      });
    return {
      step: each(({ step }) => step),
      samples: each(({ samples }) => samples),
      tokens: each(({ tokens }) => tokens),
      flops: each(({ flops }) => flops),
      denseFlops: each(({ denseFlops }) => denseFlops),
      seconds: each(({ seconds }) => seconds),
      loss: each((point) => mean(point.lossSum, point)),
      lossLeast: each((point) => (point.finite > 0 ? point.lossLeast : null)),
      lossMost: each((point) => (point.finite > 0 ? point.lossMost : null)),
      gradientNorm: each((point) => mean(point.gradientNormSum, point)),
      depth: each(({ depthSum, steps }) => depthSum / steps),
      expectedDepth: each(({ expectedDepthSum, steps }) => expectedDepthSum / steps),
      learningRate: each(({ learningRate }) => learningRate),
      theta: each(({ theta }) => theta),
      keepRates: each(({ keepRates }) => keepRates),
      peakMemoryBytes: each(({ peakMemoryBytes }) => peakMemoryBytes),
      tokensPerSecond: rate('tokens'),
      flopsPerSecond: rate('flops'),
      dataShare: rate('dataSeconds'),
      waitShare: rate('waitSeconds'),
    };
  }
}

function newPoint(): Point {
  const none = {
    finite: 0,
    lossSum: 0,
    gradientNormSum: 0,
    depthSum: 0,
    expectedDepthSum: 0,
    learningRate: 0,
    theta: 0,
  };
  const spent = { step: 0, samples: 0, tokens: 0, flops: 0, denseFlops: 0, seconds: 0, dataSeconds: 0, waitSeconds: 0 };
  const bounds = { lossLeast: Number.POSITIVE_INFINITY, lossMost: Number.NEGATIVE_INFINITY };
  return { steps: 0, ...spent, ...none, ...bounds, keepRates: [], peakMemoryBytes: 0 };
}

/** Two points as one: what is summed up to a point, and what is its last step's, is the second one's. */
function joined(a: Point, b: Point): Point {
  return {
    ...b,
    steps: a.steps + b.steps,
    finite: a.finite + b.finite,
    lossSum: a.lossSum + b.lossSum,
    lossLeast: Math.min(a.lossLeast, b.lossLeast),
    lossMost: Math.max(a.lossMost, b.lossMost),
    gradientNormSum: a.gradientNormSum + b.gradientNormSum,
    depthSum: a.depthSum + b.depthSum,
    expectedDepthSum: a.expectedDepthSum + b.expectedDepthSum,
  };
}

/** An exponential mean: each value weighs 1 − `weight`, what came before `weight`. */
export function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  let sum = 0;
  let total = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}
