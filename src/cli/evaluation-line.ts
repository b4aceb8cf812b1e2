/** The columns of the evaluations of a run; training loss is the mean since the last evaluation, FLOPs saved cover all steps so far. */
const columns = {
  step: 'step',
  loss: 'held-out loss',
  perplexity: 'perplexity',
  accuracy: 'accuracy',
  trainingLoss: 'training loss',
  flopsSaved: 'FLOPs saved',
};

type Column = keyof typeof columns;
const names = Object.keys(columns) as Column[];

/** A narrow terminal leaves out the last of these first. */
const byImportance: readonly Column[] = ['step', 'loss', 'accuracy', 'trainingLoss', 'perplexity', 'flopsSaved'];
const gap = '  ';
const widthOf = (name: Column) => Math.max(8, columns[name].length);

/** A line of the table of evaluations with as many columns as fit into `width` characters; all of them by default. */
export function evaluationLine(cells: Readonly<Record<Column, string>>, width = Number.POSITIVE_INFINITY): string {
  const fits = (count: number) => {
    const shown = byImportance.slice(0, count);
    return shown.reduce((sum, name) => sum + widthOf(name) + gap.length, -gap.length) <= width;
  };
  const count = [...names.keys()].reverse().find((last) => fits(last + 1)) ?? 0;
  const shown = new Set(byImportance.slice(0, count + 1));
  const cellsShown = names.filter((name) => shown.has(name)).map((name) => cells[name].padStart(widthOf(name)));
  return cellsShown.join(gap);
}

/** The head of that table. */
export const evaluationHead = (width?: number) => evaluationLine(columns, width);
