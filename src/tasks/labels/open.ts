import { basename } from 'node:path';
import { ConfigError, DataError } from '../../errors/index.ts';
import { cellOf, checkTextColumns, numberIn, type Reading, readOwnTable, readTestSet } from '../cells.ts';
import { balancedWeights, type LabelOptions } from '../cross-entropy.ts';
import { holdOut } from '../hold-out.ts';
import type { MetricName } from '../metrics.ts';
import type { Row, Table } from '../tables.ts';
import { classLabels, labelIn, manyLabels } from './class-labels.ts';
import type { TextExample } from './example.ts';
import { type TextTask, textKind } from './kind.ts';

/** The columns of a user's data set. */
export interface OwnColumns {
  texts: readonly string[];
  label: string;
  isRegression: boolean;
  /** The names of all of its columns, for a file without a header. */
  all?: readonly string[] | undefined;
}

/** The example in a row; without a target if there is no `target` to read it. */
export function exampleOf(
  row: Row,
  where: string,
  columns: { texts: readonly string[]; label: string; advice: string },
  target: Reading<number> | undefined,
): TextExample {
  const cell = (column: string) => cellOf(row, column, where, columns.advice);
  return {
    texts: columns.texts.map((column) => String(cell(column))),
    target: target?.(cell(columns.label), where),
  };
}

/** The advice for a missing column. */
export const advice =
  'name the right one with --text or --label, or all columns with --columns if the file has no header';

/**
 * Checks the text columns, and in how many windows a text is read.
 *
 * @throws ConfigError for more than two columns, or for windows of two.
 */
export function checkTexts(texts: readonly string[], numWindows: number): void {
  checkTextColumns(texts, 2);
  if (texts.length === 1 || numWindows === 1) return;
  throw new ConfigError(
    `--windows ${numWindows}: windows work with one text column only; leave it out, or merge the columns of the file first`,
  );
}

/**
 * Opens a user's data set for classification or regression from TSV, CSV, JSON lines or Parquet. Its labels are those of the
 * training set, as `classLabels` orders them. Without a development set, a tenth of the training set is held out as one.
 *
 * @throws DataError if a file or a column is missing or empty, or a label is not in the training set.
 * @throws ConfigError for more than two text columns, windows of two, and label smoothing or balancing of values.
 */
export async function openOwnTask(
  files: { train: string; dev?: string | undefined; test?: string | undefined },
  columns: OwnColumns,
  warn: (message: string) => void,
  { isBalanced = false, smoothing = 0, numWindows = 1 }: LabelOptions & { numWindows?: number } = {},
): Promise<TextTask> {
  const { isRegression } = columns;
  checkTexts(columns.texts, numWindows);
  if (isRegression && (isBalanced || smoothing !== 0)) {
    throw new ConfigError(
      `${isBalanced ? '--balanced' : '--label-smoothing'}: works only with labels, not with --regression; leave out one of them`,
    );
  }
  const table = (path: string) => readOwnTable(path, columns, warn);
  const train = await table(files.train);
  const dev = files.dev === undefined ? undefined : await table(files.dev);
  const test = files.test === undefined ? undefined : await table(files.test);
  const examples = ({ rows, where }: Table, target?: Reading<number>) =>
    rows.map((row, i) => exampleOf(row, where(i), { ...columns, advice }, target));

  const { labels, target } = isRegression
    ? { labels: [columns.label], target: numberIn('label') }
    : labelsOf(files.train, train, columns, warn);
  const all = examples(train, target);
  const parts = dev
    ? { train: all, dev: examples(dev, target) }
    : holdOut(all, files.train, {
        textsOf: ({ texts }) => texts,
        ...(!isRegression && { classOf: ({ target }) => target }),
      });
  const weights = isBalanced
    ? balancedWeights(
        labels.length,
        all.map((example) => example.target!),
      )
    : undefined;
  return {
    name: basename(files.train),
    kind: isRegression
      ? textKind(
          { kind: 'regression', labels },
          {
            metrics: ['pearson', 'spearman'],
            written: (x) => String(Number(x.toPrecision(6))),
            smoothing: 0,
            numWindows,
          },
        )
      : {
          ...textKind(
            { kind: 'single-label', labels },
            { metrics: classMetrics(labels), written: (id) => labels[id]!, smoothing, numWindows, weights },
          ),
          judgedBy: ['accuracy'],
        },
    train: { name: 'train', examples: parts.train },
    devs: [{ name: 'dev', examples: parts.dev }],
    tests: test
      ? [
          {
            name: 'test',
            examples: await readTestSet(
              Object.hasOwn(test.rows[0]!, columns.label),
              (isLabelled) => examples(test, isLabelled ? target : undefined),
              warn,
            ),
          },
        ]
      : [],
    isHeldOut: dev === undefined,
  };
}

/** In a table of this many rows or more, half of them have no label of their own. */
const someRows = 10;
/** The most rare labels that a warning names. */
const mostNamed = 3;

const classMetrics = ({ length }: readonly string[]): MetricName[] =>
  length === 2 ? ['accuracy', 'f1', 'matthews'] : ['accuracy'];

/** The labels of a training set, and how they are read in each set. */
function labelsOf(
  path: string,
  { rows, where }: Table,
  columns: OwnColumns,
  warn: (message: string) => void,
): { labels: string[]; target: Reading<number> } {
  const cells: string[] = [];
  const collect: Reading<number> = (cell, place) => {
    const label = String(cell).trim();
    if (label === '') throw new DataError(`${place}: has no label; label it, or remove it`);
    return cells.push(label);
  };
  for (const [i, row] of rows.entries()) exampleOf(row, where(i), { ...columns, advice }, collect);
  const { labels, identity, isNumeric, same } = classLabels(cells);
  if (rows.length >= someRows && labels.length > rows.length / 2 && !(isNumeric && labels.length <= manyLabels)) {
    const numbers = isNumeric ? ', or add --regression to predict numbers' : '';
    throw new DataError(
      `${path}: has ${labels.length} different labels in ${rows.length} rows, too many to learn; is --label the right column? If not, name it${numbers}`,
    );
  }
  if (same)
    warn(`${columns.label}: ${same.map((label) => `"${label}"`).join(' and ')} are the same number, so one class`);
  if (isNumeric && labels.length > manyLabels) {
    warn(
      `${columns.label}: has ${labels.length} different numbers as labels, each a class of its own; add --regression to predict numbers`,
    );
  }
  if (labels.length < 2) {
    throw new DataError(
      `${path}: every row has the label ${JSON.stringify(labels[0])}; give rows with at least two different labels`,
    );
  }
  warnOfRare(cells.map(identity), where, warn);
  return { labels, target: labelIn(labels, identity) };
}

/** Warns of labels with a single example, unless all are: such a label may be misspelt. */
function warnOfRare(cells: readonly string[], where: (row: number) => string, warn: (message: string) => void): void {
  const counts = new Map<string, number>();
  for (const label of cells) counts.set(label, (counts.get(label) ?? 0) + 1);
  const rare = cells.flatMap((label, i) => (counts.get(label) === 1 ? [`"${label}" (${where(i)})`] : []));
  if (rare.length === 0 || rare.length === counts.size) return;
  const named = rare.slice(0, mostNamed).join(', ');
  const others = rare.length > mostNamed ? ` and ${rare.length - mostNamed} more` : '';
  warn(`labels with a single example: ${named}${others}; if one is misspelt, stop with CTRL-C and correct it`);
}
