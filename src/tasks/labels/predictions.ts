/** The texts of an example, and its label as it is written; undefined if it is not known. */
interface Known {
  texts: readonly string[];
  label: string | undefined;
}

/**
 * Predictions as GLUE's server takes them, `index` and `prediction`; of a set whose labels are known followed by `label` and the texts,
 * in which tabs and line ends become spaces.
 */
export function predictionsTsv(predictions: readonly string[], examples: readonly Known[]): string {
  const areKnown = examples.every(({ label }) => label !== undefined);
  const more = areKnown
    ? ['label', ...(examples[0]?.texts.map((_, i) => (i === 0 ? 'text' : `text ${i + 1}`)) ?? [])]
    : [];
  const rows = predictions.map((prediction, i) => {
    const { label, texts } = examples[i]!;
    return [String(i), prediction, ...(areKnown ? [label!, ...texts] : [])];
  });
  return [['index', 'prediction', ...more], ...rows]
    .map((cells) => `${cells.map((cell) => cell.replaceAll(/\s+/g, ' ')).join('\t')}\n`)
    .join('');
}

/** The confusion matrix: `table[right][predicted]` is a count. */
export function confusion(numLabels: number, predicted: readonly number[], right: readonly number[]): number[][] {
  const table = Array.from({ length: numLabels }, () => new Array<number>(numLabels).fill(0));
  for (const [i, label] of predicted.entries()) table[right[i]!]![label]! += 1;
  return table;
}
