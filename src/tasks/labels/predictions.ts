/** Predictions as GLUE's server takes them: `index` and `prediction`. */
export function predictionsTsv(predictions: readonly string[]): string {
  return ['index\tprediction', ...predictions.map((prediction, i) => `${i}\t${prediction}`), ''].join('\n');
}

/** The confusion matrix: `table[right][predicted]` is a count. */
export function confusion(numLabels: number, predicted: readonly number[], right: readonly number[]): number[][] {
  const table = Array.from({ length: numLabels }, () => new Array<number>(numLabels).fill(0));
  for (const [i, label] of predicted.entries()) table[right[i]!]![label]! += 1;
  return table;
}
