import type { Task } from './task.ts';

/**
 * Predictions as GLUE's server takes them: `index` and `prediction`, a label as the task's files have it, or a value with three
 * decimals, of STS-B within its scale of 0 to 5.
 */
export function predictionsTsv(task: Task, predictions: readonly number[]): string {
  const bounded = (value: number) => (task.name === 'stsb' ? Math.min(5, Math.max(0, value)) : value);
  const written = (value: number) => (task.classifier.isRegression ? bounded(value).toFixed(3) : task.written[value]!);
  return ['index\tprediction', ...predictions.map((value, i) => `${i}\t${written(value)}`), ''].join('\n');
}

/** How often each label was taken for each: `table[right][predicted]`. */
export function confusion(numLabels: number, predicted: readonly number[], right: readonly number[]): number[][] {
  const table = Array.from({ length: numLabels }, () => new Array<number>(numLabels).fill(0));
  for (const [i, label] of predicted.entries()) table[right[i]!]![label]! += 1;
  return table;
}
