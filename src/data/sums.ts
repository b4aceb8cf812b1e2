/** [n + 1] The sum of all values before each, and of all. */
export function runningSum<T>(items: readonly T[], value: (item: T, index: number) => number): Float64Array {
  const sums = new Float64Array(items.length + 1);
  items.forEach((item, i) => {
    sums[i + 1] = sums[i]! + value(item, i);
  });
  return sums;
}

/** The last index whose value is at most `limit`; `values` ascend, and the first is at most `limit`. */
export function lastAtMost(values: Float64Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= limit) low = middle;
    else high = middle;
  }
  return low;
}
