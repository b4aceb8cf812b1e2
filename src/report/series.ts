import { type Field, type StepMetrics, stepFields } from '../runs/fields.ts';

/** A series of at least this many steps has at least this many points, and at most twice as many. */
const fewestPoints = 400;

/** The fields that are plotted over the steps of a run: all that have an `over`. */
const shown = Object.entries(stepFields as Record<string, Field>).flatMap(([name, { over }]) =>
  over ? [{ name: name as ShownField, over }] : [],
);
type ShownField = Exclude<keyof typeof stepFields, 'keepRates' | 'applied'>;

/** One or more consecutive steps. */
interface Point {
  steps: number;
  /** Each field, aggregated as its `over` says; for a mean, the sum over the steps that have a finite number. */
  values: Record<ShownField, number>;
  /** For a mean: the number of those steps. */
  counts: Record<ShownField, number>;
  keepRates: readonly number[];
}

/** A series as columns with one row per point: each field that has an `over`, and values derived from them. Null marks a value that is not a number. */
export interface Columns extends Record<ShownField, (number | null)[]> {
  step: number[];
  samples: number[];
  tokens: number[];
  flops: number[];
  denseFlops: number[];
  /** Step time so far, without evaluations and checkpoints. */
  seconds: number[];
  /** [points][L], at the last step of each point. */
  keepRates: (readonly number[])[];
  tokensPerSecond: number[];
  flopsPerSecond: number[];
  /** Fractions of the step time: loading data, and waiting for other ranks. */
  dataShare: number[];
  waitShare: number[];
}

/**
 * The steps of a run, however long, as a few hundred points: when there are too many points, neighbours are merged in pairs.
 * Steps are added one by one, and each is read once.
 */
export class StepSeries {
  readonly #points: Point[] = [];
  #stepsPerPoint = 1;
  readonly #sums = noNumbers();

  add(line: StepMetrics): void {
    const points = this.#points;
    let point = points.at(-1);
    if (!point || point.steps === this.#stepsPerPoint) {
      if (points.length === 2 * fewestPoints) this.#halve();
      point = { steps: 0, values: noNumbers(), counts: noNumbers(), keepRates: [] };
      points.push(point);
    }
    point.steps += 1;
    point.keepRates = line.keepRates;
    const { values, counts } = point;
    for (const { name, over } of shown) {
      const value = line[name] ?? (over === 'sum' ? 0 : Number.NaN);
      if (over === 'last') values[name] = value;
      else if (over === 'sum') values[name] = this.#sums[name] += value;
      else if (Number.isFinite(value)) {
        values[name] += value;
        counts[name] += 1;
      }
    }
  }

  #halve(): void {
    const pairs = this.#points.splice(0);
    for (let i = 0; i < pairs.length; i += 2) this.#points.push(joined(pairs[i]!, pairs[i + 1]!));
    this.#stepsPerPoint *= 2;
  }

  columns(): Columns {
    const points = this.#points;
    const columns = Object.fromEntries(
      shown.map(({ name, over }) => [
        name,
        points.map(({ values, counts }) => {
          if (over !== 'mean') return values[name];
          return counts[name] > 0 ? values[name] / counts[name] : null;
        }),
      ]),
    ) as unknown as Columns;
    const seconds = columns.stepSeconds as number[];
    const perSecond = (name: ShownField) => {
      const amounts = columns[name] as number[];
      return amounts.map((amount, i) => (amount - (amounts[i - 1] ?? 0)) / (seconds[i]! - (seconds[i - 1] ?? 0)));
    };
    return {
      ...columns,
      seconds,
      keepRates: points.map(({ keepRates }) => keepRates),
      tokensPerSecond: perSecond('tokens'),
      flopsPerSecond: perSecond('flops'),
      dataShare: perSecond('dataSeconds'),
      waitShare: perSecond('waitSeconds'),
    };
  }
}

const noNumbers = () => Object.fromEntries(shown.map(({ name }) => [name, 0])) as Record<ShownField, number>;

/** Merges two points; last values and sums are those of the second. */
function joined(a: Point, b: Point): Point {
  const { values, counts } = b;
  for (const { name, over } of shown) {
    if (over !== 'mean') continue;
    values[name] += a.values[name];
    counts[name] += a.counts[name];
  }
  return { ...b, steps: a.steps + b.steps };
}

/** An exponential moving average, bias-corrected: each new value weighs 1 − `weight`, the average before it `weight`. */
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
