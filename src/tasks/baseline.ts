/** Predicts without a model; its scores show what a model adds. */
export interface Baseline<E = unknown, P = unknown> {
  /** As in `always "ham"`. */
  name: string;
  /** The prediction for an example, in the form of its kind's. */
  predict(example: E): P;
}

/** The most frequent of some indices; of those that are equally frequent, the lowest. */
export function mostFrequent(indices: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const index of indices) counts.set(index, (counts.get(index) ?? 0) + 1);
  return [...counts].reduce((best, one) =>
    one[1] > best[1] || (one[1] === best[1] && one[0] < best[0]) ? one : best,
  )[0];
}
