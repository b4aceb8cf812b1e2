import jstat from 'jstat';
import { mean } from '../src/averages.ts';

/** Values of a setting, by seed. */
export type BySeed = ReadonlyMap<number, number>;

/** A difference of two settings, the mean over the seeds that both have, and its 95 % interval. */
export interface Difference {
  mean: number;
  /** The interval is `mean ± margin`; infinite if nothing is known of the deviation. */
  margin: number;
  /** The number of seeds that both have. */
  pairs: number;
}

/** The standard deviation around the means of some groups, with its degrees of freedom, `Σ(n_g − 1)`. */
export function pooledDeviation(groups: readonly (readonly number[])[]): { deviation: number; freedom: number } {
  const freedom = groups.reduce((sum, { length }) => sum + Math.max(0, length - 1), 0);
  const squares = groups.reduce((sum, group) => sum + group.reduce((s, value) => s + (value - mean(group)) ** 2, 0), 0);
  return { deviation: Math.sqrt(squares / freedom), freedom };
}

/**
 * The differences of settings to a base, paired by seed, with 95 % intervals by Student's t: `d̄ ± t₀.₉₇₅(f)·s·√(2/n)`. The deviation s
 * of single values is that around the means of settings and of seeds, over all settings that have every seed of the base, the base
 * included: `s² = Σ(y_gs − ȳ_g − ȳ_s + ȳ)²/f` with `f = (G − 1)(S − 1)` for G settings and S seeds. So a setting with a single seed has an
 * interval as well, and with one setting beside the base this is the paired t-test.
 */
export function differences(base: BySeed, others: readonly BySeed[]): Difference[] {
  const seeds = [...base.keys()];
  const whole = [base, ...others]
    .filter((setting) => seeds.every((seed) => setting.has(seed)))
    .map((setting) => seeds.map((seed) => setting.get(seed)!));
  const all = mean(whole.flat());
  const bySeed = seeds.map((_, i) => mean(whole.map((values) => values[i]!)));
  const squares = whole.flatMap((values) => values.map((value, i) => (value - mean(values) - bySeed[i]! + all) ** 2));
  const freedom = (whole.length - 1) * (seeds.length - 1);
  const deviation = Math.sqrt((mean(squares) * squares.length) / freedom);
  const range = freedom === 0 ? Number.POSITIVE_INFINITY : jstat.studentt.inv(0.975, freedom) * deviation;
  return others.map((setting) => {
    const paired = seeds.flatMap((seed) => (setting.has(seed) ? [setting.get(seed)! - base.get(seed)!] : []));
    return { mean: mean(paired), margin: range * Math.sqrt(2 / paired.length), pairs: paired.length };
  });
}

/** What a difference of losses shows (lower is better); nothing without an interval. */
export function verdictOf({ mean, margin }: Difference): string {
  if (!Number.isFinite(margin)) return '';
  if (Math.abs(mean) <= margin) return 'no difference shown';
  return mean < 0 ? 'better' : 'worse';
}

/**
 * Whether a model uses its depth, by the difference of a shallower one in loss: `much` if it is more than four times the deviation between
 * seeds, `little` if it is at least outside its interval.
 */
export function depthUse(
  difference: Difference | undefined,
  deviation: number,
): 'much' | 'little' | 'none' | 'unknown' {
  if (!difference || difference.pairs < 2 || !Number.isFinite(difference.margin)) return 'unknown';
  if (difference.mean > 4 * deviation) return 'much';
  return difference.mean > difference.margin ? 'little' : 'none';
}
