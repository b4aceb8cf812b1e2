import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { counted, DataError } from '../errors/index.ts';
import type { Classifier } from '../model/index.ts';
import type { Example } from './example.ts';
import { type GlueName, type GlueTask, glueTasks } from './glue.ts';
import { holdOut } from './hold-out.ts';
import { classLabels } from './labels.ts';
import type { MetricName } from './metrics.ts';
import { type Row, readTable, type Table } from './tables.ts';

/** A set of examples, such as the development set of a task. */
export interface ExampleSet {
  name: string;
  examples: Example[];
}

/** More numbers than this are seldom the names of classes. */
const manyLabels = 20;

/** A task with its examples. */
export interface Task {
  name: string;
  classifier: Classifier;
  metrics: readonly MetricName[];
  train: ExampleSet;
  /** What it is judged by; the first decides. */
  devs: ExampleSet[];
  /** Without targets: to be predicted for GLUE's server. */
  tests: ExampleSet[];
  /** How predictions are written: labels as GLUE's files have them. */
  written: readonly string[];
  /** Whether the development set is a part of the training set, which had none beside it. */
  isHeldOut?: boolean;
}

/** The columns of an own data set. */
export interface OwnColumns {
  texts: readonly string[];
  label: string;
  isRegression: boolean;
}

/**
 * Opens a task of GLUE in a folder: GLUE's own TSV files, or Hugging Face's Parquet files, in the folder of the task or in the
 * one above.
 *
 * @throws DataError where a file or a column is missing or empty, or a label is none of the task's.
 */
export async function openGlueTask(name: GlueName, folder: string, warn: (message: string) => void): Promise<Task> {
  const task: GlueTask = glueTasks[name];
  const place = [join(folder, task.folder), join(folder, name), folder].find((path) => holdsTask(path));
  if (place === undefined) {
    throw new DataError(
      `${folder}: has no ${task.folder} with train.tsv or train*.parquet; give the folder of GLUE, or of the task`,
    );
  }
  const isTsv = existsSync(join(place, 'train.tsv'));
  const read = async (file: string, isTest = false): Promise<Example[]> => {
    const path = isTsv ? join(place, `${file}.tsv`) : parquetOf(place, file);
    const { rows, malformed, where } = await readTable(path, isTest ? undefined : task.columns);
    // Predictions are numbered by line: none may be missing.
    if (malformed.length > 0 && isTest)
      throw new DataError(`${path}, line ${malformed[0]}: has another number of columns than the header; fix the line`);
    warnOfMalformed(path, malformed, warn);
    const advice = "give GLUE's own files, or Hugging Face's";
    const columns = isTsv
      ? { texts: task.texts, label: task.label, advice }
      : { texts: task.parquetTexts, label: 'label', advice };
    return rows.map((row, i) => exampleOf(row, where(i), columns, isTest ? undefined : targetOf(task, isTsv)));
  };
  const has = (file: string) => (isTsv ? existsSync(join(place, `${file}.tsv`)) : partsOf(place, file).length > 0);
  const devs: ExampleSet[] = [];
  for (const { name: tsvName, parquetName } of task.devs) {
    devs.push({ name: tsvName, examples: await read(isTsv ? tsvName : parquetName) });
  }
  const tests: ExampleSet[] = [];
  for (const [i, submission] of task.submissions.entries()) {
    const { name: tsvName, parquetName } = task.devs[i]!;
    const file = isTsv ? tsvName.replace('dev', 'test') : parquetName.replace('validation', 'test');
    if (has(file)) tests.push({ name: submission, examples: await read(file, true) });
  }
  const isRegression = task.labels.length === 0;
  return {
    name,
    classifier: { labels: isRegression ? ['score'] : (task.names ?? task.labels), isRegression },
    metrics: task.metrics,
    train: { name: 'train', examples: await read('train') },
    devs,
    tests,
    written: task.labels,
  };
}

function warnOfMalformed(path: string, lines: readonly number[], warn: (message: string) => void): void {
  const [first] = lines;
  if (first === undefined) return;
  const which =
    lines.length === 1 ? `line ${first}, which has` : `${counted(lines.length, 'line')}, from line ${first} on, with`;
  warn(`${path}: left out ${which} another number of columns than the header`);
}

const holdsTask = (place: string) =>
  existsSync(place) &&
  statSync(place).isDirectory() &&
  readdirSync(place).some((name) => name === 'train.tsv' || /^train.*\.parquet$/.test(name));

/** The files `part.parquet` or `part-….parquet` of a folder. */
function partsOf(place: string, part: string): string[] {
  const found = readdirSync(place).filter((name) => name.startsWith(part) && name.endsWith('.parquet'));
  return found.filter((name) => /^[-.]/.test(name.slice(part.length)));
}

function parquetOf(place: string, part: string): string {
  const exact = partsOf(place, part);
  if (exact.length !== 1) {
    throw new DataError(`${place}: has ${exact.length} files ${part}*.parquet, not one; give each part as one file`);
  }
  return join(place, exact[0]!);
}

/**
 * How a label's cell is read.
 *
 * @throws DataError for one that is none.
 */
type TargetOf = (cell: unknown, where: string) => number;

function targetOf({ labels }: GlueTask, isTsv: boolean): TargetOf {
  if (labels.length === 0) return numberOf;
  return labelOf(isTsv ? labels : labels.map((_, id) => String(id)));
}

/** A cell as it stands in a message. Parquet's whole numbers are BigInts, which JSON does not know. */
function shown(cell: unknown): string {
  if (cell === undefined) return 'nothing';
  if (Array.isArray(cell)) return 'a list';
  if (typeof cell === 'object' && cell !== null) return cell instanceof Uint8Array ? 'bytes' : 'an object';
  return typeof cell === 'string' ? JSON.stringify(cell) : String(cell);
}

const numberOf: TargetOf = (cell, where) => {
  const value = typeof cell === 'string' && cell.trim() === '' ? Number.NaN : Number(cell);
  if (Number.isFinite(value)) return value;
  throw new DataError(`${where}: the label ${shown(cell)} is not a number`);
};

function labelOf(labels: readonly string[], identity = (label: string) => label): TargetOf {
  const ids = new Map(labels.map((label, id) => [identity(label), id]));
  return (cell, where) => {
    const id = ids.get(identity(String(cell)));
    if (id !== undefined) return id;
    const known = labels.length > manyLabels ? [...labels.slice(0, manyLabels), '…'] : labels;
    throw new DataError(`${where}: the label ${shown(cell)} is not one of ${known.join(', ')}`);
  };
}

const isCell = (value: unknown) => ['string', 'number', 'bigint', 'boolean'].includes(typeof value);

function exampleOf(
  row: Row,
  where: string,
  columns: { texts: readonly string[]; label: string; advice: string },
  target: TargetOf | undefined,
): Example {
  const cell = (column: string) => {
    const value = Object.hasOwn(row, column) ? row[column] : undefined;
    if (isCell(value)) return value;
    if (Object.hasOwn(row, column))
      throw new DataError(`${where}: the column "${column}" holds ${shown(value)}, no text`);
    throw new DataError(`${where}: no column "${column}", but ${columnNames(row)}; ${columns.advice}`);
  };
  return {
    texts: columns.texts.map((column) => String(cell(column))),
    target: target?.(cell(columns.label), where),
  };
}

function columnNames(row: Row): string {
  const names = Object.keys(row).filter((name) => name !== '');
  return names.map((name) => `"${name}"`).join(', ') || 'none';
}

const advice = 'name the right one with --text or --label';

/** The columns of a table as they stand in a message: `"text", "label"`. */
export async function columnsOf(path: string): Promise<string> {
  const { rows } = await readTable(path);
  return columnNames(rows[0]!);
}

/**
 * Opens an own data set for classification or regression from TSV, CSV, JSON lines or Parquet. Its labels are those of the training set:
 * numbers in their order, texts in theirs. Without a development set a tenth of the training set is held out to be one.
 *
 * @throws DataError where a file or a column is missing or empty, or a label is not in the training set.
 */
export async function openOwnTask(
  files: { train: string; dev?: string | undefined; test?: string | undefined },
  columns: OwnColumns,
  warn: (message: string) => void,
): Promise<Task> {
  const table = async (path: string): Promise<Table> => {
    const read = await readTable(path);
    warnOfMalformed(path, read.malformed, warn);
    return read;
  };
  const train = await table(files.train);
  const dev = files.dev === undefined ? undefined : await table(files.dev);
  const test = files.test === undefined ? undefined : await table(files.test);
  const examples = ({ rows, where }: Table, target?: TargetOf) =>
    rows.map((row, i) => exampleOf(row, where(i), { ...columns, advice }, target));

  const { isRegression } = columns;
  const { labels, target } = isRegression
    ? { labels: [columns.label], target: numberOf }
    : labelsOf(files.train, train, columns, warn);
  const all = examples(train, target);
  const parts = dev ? { train: all, dev: examples(dev, target) } : holdOut(all, !isRegression);
  if (parts.dev.length === 0) {
    throw new DataError(`${files.train}: has too few examples to hold some out; give a set to judge by with --dev`);
  }
  return {
    name: basename(files.train),
    classifier: { labels, isRegression },
    metrics: isRegression
      ? ['pearson', 'spearman']
      : labels.length === 2
        ? ['accuracy', 'f1', 'matthews']
        : ['accuracy'],
    train: { name: 'train', examples: parts.train },
    devs: [{ name: 'dev', examples: parts.dev }],
    tests: test ? [{ name: 'test', examples: examples(test) }] : [],
    written: isRegression ? [] : labels,
    isHeldOut: dev === undefined,
  };
}

/** The labels of a training set, and how they are read in each set. */
function labelsOf(
  path: string,
  { rows, where }: Table,
  columns: OwnColumns,
  warn: (message: string) => void,
): { labels: string[]; target: TargetOf } {
  const cells: string[] = [];
  const collect: TargetOf = (cell, place) => {
    const label = String(cell).trim();
    if (label === '') throw new DataError(`${place}: has no label; label it or leave it out`);
    return cells.push(label);
  };
  for (const [i, row] of rows.entries()) exampleOf(row, where(i), { ...columns, advice }, collect);
  const { labels, identity, isNumeric, same } = classLabels(cells);
  if (same) warn(`${columns.label}: ${same.map((label) => `"${label}"`).join(' and ')} are one number, so one class`);
  if (isNumeric && labels.length > manyLabels) {
    warn(
      `${columns.label}: has ${labels.length} different numbers as labels, each a class; --regression predicts numbers`,
    );
  }
  if (labels.length < 2) {
    throw new DataError(
      `${path}: every row has the label ${JSON.stringify(labels[0])}; give rows of at least two labels to tell apart`,
    );
  }
  return { labels, target: labelOf(labels, identity) };
}
