/** The columns of the evaluations of a run; training loss is the mean since the last evaluation, FLOPs saved cover the steps of this process. */
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

type Cells = Readonly<Record<Exclude<Column, 'flopsSaved'>, string> & { flopsSaved?: string }>;

/**
 * A line of the table of evaluations with as many of its columns as fit into `width` characters; all of them by default. Dense runs
 * save no FLOPs.
 */
export function evaluationLine(cells: Cells, width = Number.POSITIVE_INFINITY): string {
  const given = byImportance.filter((name) => cells[name] !== undefined);
  const fits = (count: number) => {
    const shown = given.slice(0, count);
    return shown.reduce((sum, name) => sum + widthOf(name) + gap.length, -gap.length) <= width;
  };
  const count = [...given.keys()].reverse().find((last) => fits(last + 1)) ?? 0;
  const shown = new Set(given.slice(0, count + 1));
  const cellsShown = names.filter((name) => shown.has(name)).map((name) => cells[name]!.padStart(widthOf(name)));
  return cellsShown.join(gap);
}

/** The head of that table. */
export function evaluationHead(isDense: boolean, width?: number): string {
  const { flopsSaved, ...others } = columns;
  return evaluationLine({ ...others, ...(!isDense && { flopsSaved }) }, width);
}
