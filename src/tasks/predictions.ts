import type { Task } from './task.ts';

/**
 * Predictions as GLUE's server takes them: `index` and `prediction`, a label as the task's files have it, or a value, of STS-B
 * within its scale of 0 to 5.
 */
export function predictionsTsv(task: Task, predictions: readonly number[]): string {
  const value = (x: number) => (task.name === 'stsb' ? Math.min(5, Math.max(0, x)).toFixed(3) : x.toPrecision(6));
  const written = (x: number) => (task.classifier.isRegression ? value(x) : task.written[x]!);
  return ['index\tprediction', ...predictions.map((x, i) => `${i}\t${written(x)}`), ''].join('\n');
}

/** How often each label was taken for each: `table[right][predicted]`. */
export function confusion(numLabels: number, predicted: readonly number[], right: readonly number[]): number[][] {
  const table = Array.from({ length: numLabels }, () => new Array<number>(numLabels).fill(0));
  for (const [i, label] of predicted.entries()) table[right[i]!]![label]! += 1;
  return table;
}
