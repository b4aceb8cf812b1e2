import type { Difference } from '../statistics.ts';

/** Whether a statement of the paper holds here; undefined if that is unknown. */
export type Verdict = boolean | undefined;

/** How far the time saved may be from the paper's 24 %. */
const timeTolerance = 0.03;
/** A difference in GLUE below this, in points, is none. */
const gluePoints = 1;

/** "24 % less time per sample." */
export const savesTime = (saved: number): Verdict => Math.abs(saved - 0.24) <= timeTolerance;

/** "As good after the same samples", by the difference of its GLUE score to the other's: at most a point worse. */
export function asGood({ mean, margin }: Difference): Verdict {
  if (mean - margin > -gluePoints) return true;
  return mean + margin < -gluePoints ? false : undefined;
}

/** "2.5 times sooner": how much sooner the first checkpoint was there that reaches the baseline; undefined if scores are missing. */
export const isSooner = (timesSooner: number | undefined): Verdict =>
  timesSooner === undefined ? undefined : timesSooner >= 2.5;

/** A value as more or less than 0, beyond the noise. */
function signOf(value: number, noise: number): -1 | 0 | 1 {
  return value > noise ? 1 : value < -noise ? -1 : 0;
}

/** "A higher learning rate helps PreLN and harms PostLN", by how much each loss falls. The gain of a model that diverges is −∞. */
export function bearsHighRate(preGain: number, postGain: number, noise: number): Verdict {
  const [pre, post] = [signOf(preGain, noise), signOf(postGain, noise)];
  if (pre > 0 && post < 0) return true;
  return pre < 0 || post > 0 ? false : undefined;
}

/** "Random dropping harms PostLN far more", at least twice as much as PreLN, by how much each loss rises. */
export function harmsMore(postHarm: number, preHarm: number, noise: number): Verdict {
  if (Number.isNaN(postHarm - preHarm)) return undefined; // without dropping it diverged already
  const sign = signOf(postHarm - preHarm, noise);
  if (sign === 0) return undefined;
  return sign > 0 && postHarm > 2 * preHarm;
}

/** "Less sensitive to the learning rate of fine-tuning", by the ranges of the scores in points. */
export function lessSensitive(range: number, ofBaseline: number): Verdict {
  const sign = signOf(ofBaseline - range, gluePoints);
  return sign === 0 ? undefined : sign > 0;
}
