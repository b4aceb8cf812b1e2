import { median } from '../../src/averages.ts';
import { medianText, percent } from '../report.ts';
import { type Rung, rungs } from './rungs.ts';

/** What is known of a rung. */
export interface Climbed {
  rung: Rung;
  /** For each seed the steps to the target, or undefined where it was missed. */
  steps: readonly (number | undefined)[];
  /** Of the longest training. */
  longest: number;
  /** The accuracy of the longest training with each seed. */
  reached: readonly number[];
  /** Of a step, in each round. */
  seconds: readonly number[];
}

/** Minutes to the target; more than that where it was missed with some seed. */
interface Minutes {
  value: number;
  isMissed: boolean;
}

function minutesOf({ steps, longest, seconds }: Pick<Climbed, 'steps' | 'longest' | 'seconds'>): Minutes {
  const counts = steps.map((count) => count ?? longest);
  return { value: (median(counts) * median(seconds)) / 60, isMissed: steps.includes(undefined) };
}

/** The ladder as a table; the first row is its head. */
export function ladder(climbed: readonly Climbed[]): string[][] {
  const slowest = minutesOf(climbed[0]!);
  const rows = climbed.map((one, i) => {
    const { rung, steps, longest, reached, seconds } = one;
    const own = minutesOf(one);
    const below = climbed.find((other) => other.rung.name === (rung.comparedWith ?? rung.on));
    return [
      rung.label,
      own.isMissed ? `> ${longest}: ${reached.map(percent).join(' and ')}` : medianText(steps as number[], 0),
      medianText(
        seconds.map((each) => 1000 * each),
        0,
      ),
      `${own.isMissed ? '> ' : ''}${own.value.toFixed(1)}`,
      below ? speedup(minutesOf(below), own) : '',
      i === 0 ? '' : speedup(slowest, own),
    ];
  });
  const head = ['rung', 'steps', 'ms per step', 'minutes', 'speed-up by this rung', `over ${rungs[0]!.name}`];
  return [head, ...rows];
}

/** `2.10`; `> 2.10` where the slower one missed the target, `< 2.10` where the faster one did, and nothing where both did. */
function speedup(before: Minutes, after: Minutes): string {
  if (before.isMissed && after.isMissed) return '';
  const sign = before.isMissed ? '> ' : after.isMissed ? '< ' : '';
  return `${sign}${(before.value / after.value).toFixed(2)}`;
}
