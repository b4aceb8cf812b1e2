import { basename } from 'node:path';
import { DataError } from '../../errors/index.ts';
import { cellOf, readOwnTable, readTestSet, shown } from '../cells.ts';
import { holdOut } from '../hold-out.ts';
import type { Row, Table } from '../tables.ts';
import { labelIn } from './class-labels.ts';
import { type MultiLabelExample, type MultiLabelTask, multiLabelKind, type Threshold } from './multi.ts';
import { advice, checkTexts } from './open.ts';

/** The columns of a table of texts with any number of labels. */
export interface MultiLabelColumns {
  texts: readonly string[];
  /** Either one column of label lists, or one column per label that says whether a text has it. */
  labels: readonly string[];
  /** The names of all columns, for a file without a header. */
  all?: readonly string[] | undefined;
}

const yesAndNo = new Map([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
]);

/**
 * Opens a table of texts with any number of labels each; the labels are those of the training set. Without a development set, a
 * tenth of the training set is held out as one.
 *
 * @throws DataError if a file or a column is missing or empty, or a label is not in the training set.
 * @throws ConfigError for more than two text columns, or for windows of two.
 */
export async function openMultiLabelTask(
  files: { train: string; dev?: string | undefined; test?: string | undefined },
  columns: MultiLabelColumns,
  how: { threshold: Threshold; numWindows: number },
  warn: (message: string) => void,
): Promise<MultiLabelTask> {
  checkTexts(columns.texts, how.numWindows);
  const table = (path: string) => readOwnTable(path, columns, warn);
  const train = await table(files.train);
  const named = namesOf(columns);
  const labels =
    columns.labels.length > 1
      ? [...columns.labels]
      : [...new Set(train.rows.flatMap((row, i) => named(row, train.where(i))))].sort();
  if (labels.length === 0)
    throw new DataError(`${files.train}: no row has a label; name the label column with --label`);
  const numberOf = labelIn(labels);
  const examples = ({ rows, where }: Table, isLabelled = true): MultiLabelExample[] =>
    rows.map((row, i) => ({
      texts: columns.texts.map((column) => String(cellOf(row, column, where(i), advice))),
      ...(isLabelled && { targets: named(row, where(i)).map((label) => numberOf(label, where(i))) }),
    }));
  const all = examples(train);
  const given = files.dev === undefined ? undefined : examples(await table(files.dev));
  const parts = given ? { train: all, dev: given } : holdOut(all, files.train, { textsOf: ({ texts }) => texts });
  const testSet = async (path: string) => {
    const test = await table(path);
    const hasLabels = columns.labels.every((column) => Object.hasOwn(test.rows[0]!, column));
    return readTestSet(hasLabels, (isLabelled) => examples(test, isLabelled), warn);
  };
  return {
    name: basename(files.train),
    kind: multiLabelKind({ kind: 'multi-label', labels }, how),
    train: { name: 'train', examples: parts.train },
    devs: [{ name: 'dev', examples: parts.dev }],
    tests: files.test === undefined ? [] : [{ name: 'test', examples: await testSet(files.test) }],
    isHeldOut: given === undefined,
  };
}

/** How the labels of a row are read. */
function namesOf({ labels }: MultiLabelColumns): (row: Row, where: string) => string[] {
  const [column] = labels as [string];
  if (labels.length === 1) return (row, where) => listIn(row, column, where);
  return (row, where) =>
    labels.filter((label) => {
      const cell = cellOf(row, label, where, advice);
      const isOn = yesAndNo.get(String(cell).trim().toLowerCase());
      if (isOn !== undefined) return isOn;
      throw new DataError(
        `${where}: the column "${label}" contains ${shown(cell)}; write 1 if the text has this label, 0 if not`,
      );
    });
}

/** A list of labels, as JSON or separated by commas, semicolons or bars. */
function listIn(row: Row, column: string, where: string): string[] {
  const value = row[column];
  const cell = Array.isArray(value) ? value : String(cellOf(row, column, where, advice)).trim();
  const list: unknown[] = Array.isArray(cell) ? cell : cell.startsWith('[') ? parsed(cell, where) : cell.split(/[,;|]/);
  return [...new Set(list.map((label) => String(label).trim()).filter((label) => label !== ''))];
}

function parsed(text: string, where: string): unknown[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) return list;
  } catch {
    // told below
  }
  throw new DataError(`${where}: ${JSON.stringify(text)} is not a list of labels; write a,b or ["a", "b"]`);
}
