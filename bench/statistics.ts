import jstat from 'jstat';

/** A difference of two settings, the mean over pairs with one seed, and its 95 % interval. */
export interface Difference {
  mean: number;
  /** The interval is `mean ± margin`; infinite where nothing is known of the deviation. */
  margin: number;
  pairs: number;
}

export const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The sum of squared deviations from the mean. */
function squaresOf(values: readonly number[]): number {
  const center = mean(values);
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0);
}

/** The standard deviation of single values around the means of their groups, and its degrees of freedom, `Σ(n_g − 1)`. */
export function pooledDeviation(groups: readonly (readonly number[])[]): { deviation: number; freedom: number } {
  const freedom = groups.reduce((sum, { length }) => sum + Math.max(0, length - 1), 0);
  const squares = groups.reduce((sum, group) => sum + squaresOf(group), 0);
  return { deviation: Math.sqrt(squares / freedom), freedom };
}

/**
 * Means of paired differences with their 95 % intervals by Student's t: `d̄ ± t₀.₉₇₅(f)·s/√n`, with the deviation s pooled over all groups
 * and f its degrees of freedom, so that a group of a single pair has an interval as well. Of one group it is the paired t-test.
 */
export function differences(groups: readonly (readonly number[])[]): Difference[] {
  const { deviation, freedom } = pooledDeviation(groups);
  const range = freedom === 0 ? Number.POSITIVE_INFINITY : jstat.studentt.inv(0.975, freedom) * deviation;
  return groups.map((group) => ({
    mean: mean(group),
    margin: range / Math.sqrt(group.length),
    pairs: group.length,
  }));
}

/** What a difference of losses, of which less is better, shows. */
export function verdictOf({ mean, margin }: Difference): string {
  if (Math.abs(mean) <= margin) return 'no difference shown';
  return mean < 0 ? 'better' : 'worse';
}
