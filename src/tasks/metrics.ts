import { mean } from '../averages.ts';
import { counted } from '../errors/index.ts';

// The scores of GLUE. Classes are numbers from 0 up; class 1 is the positive one.

/** The names of the scores, as GLUE's table has them. */
export type MetricName = 'accuracy' | 'f1' | 'matthews' | 'pearson' | 'spearman';

/**
 * A score of predictions against the true values.
 *
 * @throws RangeError unless there is one true value for each prediction, and at least one.
 */
export type Metric = (predicted: readonly number[], right: readonly number[]) => number;

/** The scores by their names; each is a function of predictions and true values. */
export const metrics: Record<MetricName, Metric> = { accuracy, f1, matthews, pearson, spearman };

/** Checks that there is a true value for each prediction. */
function checkPairs(predicted: readonly number[], right: readonly number[]): void {
  if (predicted.length > 0 && predicted.length === right.length) return;
  const numbers = `${counted(predicted.length, 'prediction')} and ${counted(right.length, 'true value')}`;
  throw new RangeError(`metrics: ${numbers}; give one true value for each prediction, and at least one`);
}

/** The fraction of correct predictions. */
export function accuracy(predicted: readonly number[], right: readonly number[]): number {
  checkPairs(predicted, right);
  return mean(predicted.map((value, i) => Number(value === right[i])));
}

/** `2·tp / (2·tp + fp + fn)` of class 1; 0 if nothing is positive. */
export function f1(predicted: readonly number[], right: readonly number[]): number {
  const { tp, fp, fn } = outcomes(predicted, right);
  return tp + fp + fn === 0 ? 0 : (2 * tp) / (2 * tp + fp + fn);
}

/**
 * Matthews' correlation of two classes: `(tp·tn − fp·fn) / √((tp+fp)(tp+fn)(tn+fp)(tn+fn))`; 0 if the root is.
 * Source: B. W. Matthews, 1975.
 */
export function matthews(predicted: readonly number[], right: readonly number[]): number {
  const { tp, tn, fp, fn } = outcomes(predicted, right);
  const root = Math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn));
  return root === 0 ? 0 : (tp * tn - fp * fn) / root;
}

/** True and false positives and negatives of class 1. */
function outcomes(predicted: readonly number[], right: readonly number[]) {
  checkPairs(predicted, right);
  const count = (isPredicted: boolean, isRight: boolean) =>
    predicted.filter((value, i) => (value === 1) === isPredicted && (right[i] === 1) === isRight).length;
  return { tp: count(true, true), tn: count(false, false), fp: count(true, false), fn: count(false, true) };
}

/** Pearson's correlation: the covariance over the product of the standard deviations; 0 if one of them is. */
export function pearson(predicted: readonly number[], right: readonly number[]): number {
  checkPairs(predicted, right);
  const [meanX, meanY] = [mean(predicted), mean(right)];
  let [xy, xx, yy] = [0, 0, 0];
  predicted.forEach((x, i) => {
    const [dx, dy] = [x - meanX, right[i]! - meanY];
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  });
  return xx === 0 || yy === 0 ? 0 : xy / Math.sqrt(xx * yy);
}

/** Spearman's correlation: Pearson's of the ranks; equal values share the mean of theirs. */
export function spearman(predicted: readonly number[], right: readonly number[]): number {
  return pearson(ranks(predicted), ranks(right));
}

function ranks(values: readonly number[]): number[] {
  const order = [...values.keys()].sort((a, b) => values[a]! - values[b]!);
  const result = new Array<number>(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) result[order[i]!] = (start + end - 1) / 2;
    start = end;
  }
  return result;
}

/** Counts: how many were found correctly, how many were found, and how many there are. */
export interface Counts {
  hits: number;
  found: number;
  there: number;
}

/** Precision `hits/found`, recall `hits/there`, and F1 `2·hits/(found + there)`; 0 if they are not defined. */
export function scoresOf({ hits, found, there }: Counts): { precision: number; recall: number; f1: number } {
  const ratio = (a: number, b: number) => (b === 0 ? 0 : a / b);
  return { precision: ratio(hits, found), recall: ratio(hits, there), f1: ratio(2 * hits, found + there) };
}

/** The sum of all counts. */
export function totalOf(counts: Iterable<Counts>): Counts {
  const total = { hits: 0, found: 0, there: 0 };
  for (const { hits, found, there } of counts) {
    total.hits += hits;
    total.found += found;
    total.there += there;
  }
  return total;
}
