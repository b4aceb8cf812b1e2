import { type Field, type StepMetrics, stepFields } from '../runs/fields.ts';

/** A series keeps at least so many points, once there are as many steps, and fewer than twice as many. */
const fewestPoints = 400;

/** The fields of a step that are shown over the steps of a run: all that say how several steps are shown as one. */
const shown = Object.entries(stepFields as Record<string, Field>).flatMap(([name, { over }]) =>
  over ? [{ name: name as ShownField, over }] : [],
);
type ShownField = Exclude<keyof typeof stepFields, 'keepRates' | 'applied'>;

/** One or more steps in a row. */
interface Point {
  steps: number;
  /** Of each field what its `over` asks for; of a mean the sum over those steps that have a number there. */
  values: Record<ShownField, number>;
  /** Of a mean, how many these are. */
  counts: Record<ShownField, number>;
  keepRates: readonly number[];
}

/** The columns of a series, a row a point: each field that has an `over`, and what follows from them. Null is what is not a number. */
export interface Columns extends Record<ShownField, (number | null)[]> {
  step: number[];
  samples: number[];
  tokens: number[];
  flops: number[];
  denseFlops: number[];
  /** Time of the steps so far, without evaluations and checkpoints. */
  seconds: number[];
  /** [points][L], of the last step of each point. */
  keepRates: (readonly number[])[];
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

/** Two points as one: what is a last or a sum is the second one's. */
function joined(a: Point, b: Point): Point {
  const { values, counts } = b;
  for (const { name, over } of shown) {
    if (over !== 'mean') continue;
    values[name] += a.values[name];
    counts[name] += a.counts[name];
  }
  return { ...b, steps: a.steps + b.steps };
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
