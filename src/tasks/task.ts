import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError } from '../config/index.ts';
import type { Classifier } from '../model/index.ts';
import { type GlueName, type GlueTask, glueTasks } from './glue.ts';
import type { MetricName } from './metrics.ts';
import { type Row, readTable } from './tables.ts';

/** One or two texts, and what is to be found: the number of a label, or a value. Without one it is to be predicted only. */
export interface Example {
  texts: readonly string[];
  target: number | undefined;
}

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
    const { rows, malformed } = await readTable(path, isTest ? undefined : task.columns);
    // Predictions are numbered by line: none may be missing.
    if (malformed > 0 && isTest)
      throw new DataError(`${path}: ${malformed} lines have another number of columns; mend them`);
    if (malformed > 0) warn(`${path}: left out ${malformed} lines with another number of columns`);
    const columns = isTsv ? { texts: task.texts, label: task.label } : { texts: task.parquetTexts, label: 'label' };
    return rows.map((row, i) =>
      exampleOf(row, `${path}, row ${i + 1}`, columns, isTest ? undefined : targetOf(task, isTsv)),
    );
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

/** How a label's cell is read. Throws a DataError for one that is none. */
type TargetOf = (cell: unknown, where: string) => number;

function targetOf({ labels }: GlueTask, isTsv: boolean): TargetOf {
  if (labels.length === 0) return numberOf;
  return labelOf(isTsv ? labels : labels.map((_, id) => String(id)));
}

/** Parquet's whole numbers are BigInts, which JSON does not know. */
const shown = (cell: unknown) => (typeof cell === 'string' ? `"${cell}"` : String(cell));

const numberOf: TargetOf = (cell, where) => {
  const value = typeof cell === 'string' && cell.trim() === '' ? Number.NaN : Number(cell);
  if (Number.isFinite(value)) return value;
  throw new DataError(`${where}: the label ${shown(cell)} is not a number`);
};

function labelOf(labels: readonly string[]): TargetOf {
  const ids = new Map(labels.map((label, id) => [label, id]));
  return (cell, where) => {
    const id = ids.get(String(cell));
    if (id !== undefined) return id;
    throw new DataError(`${where}: the label ${shown(cell)} is not one of ${labels.join(', ')}`);
  };
}

function exampleOf(
  row: Row,
  where: string,
  columns: { texts: readonly string[]; label: string },
  target: TargetOf | undefined,
): Example {
  const cell = (column: string) => {
    const value = row[column];
    if (['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return value;
    if (column in row) throw new DataError(`${where}: the column "${column}" holds ${JSON.stringify(value)}, no text`);
    const there = Object.keys(row).map((name) => `"${name}"`);
    throw new DataError(`${where}: no column "${column}", but ${there.join(', ') || 'none'}; name the right one`);
  };
  return {
    texts: columns.texts.map((column) => String(cell(column))),
    target: target?.(cell(columns.label), where),
  };
}

/**
 * Opens an own data set for classification or regression from TSV, CSV, JSON lines or Parquet. Its labels are those of the
 * training set, in order.
 *
 * @throws DataError where a file or a column is missing or empty, or a label is not in the training set.
 */
export async function openOwnTask(
  files: { train: string; dev: string; test?: string | undefined },
  columns: OwnColumns,
  warn: (message: string) => void,
): Promise<Task> {
  const table = async (path: string): Promise<{ path: string; rows: Row[] }> => {
    const { rows, malformed } = await readTable(path);
    if (malformed > 0) warn(`${path}: left out ${malformed} lines with another number of columns`);
    return { path, rows };
  };
  const [train, dev] = [await table(files.train), await table(files.dev)];
  const test = files.test === undefined ? undefined : await table(files.test);
  const examples = ({ path, rows }: typeof train, target: TargetOf | undefined) =>
    rows.map((row, i) => exampleOf(row, `${path}, row ${i + 1}`, columns, target));
  if (columns.isRegression) {
    return {
      name: basename(files.train),
      classifier: { labels: [columns.label], isRegression: true },
      metrics: ['pearson', 'spearman'],
      train: { name: 'train', examples: examples(train, numberOf) },
      devs: [{ name: 'dev', examples: examples(dev, numberOf) }],
      tests: test ? [{ name: 'test', examples: examples(test, undefined) }] : [],
      written: [],
    };
  }
  // A first pass says in the usual words where the column is missing.
  const anyLabel: TargetOf = () => 0;
  examples(train, anyLabel);
  const labels = [...new Set(train.rows.map((row) => String(row[columns.label])))].sort();
  if (labels.includes(''))
    throw new DataError(`${files.train}: has rows without a label; label them or leave them out`);
  if (labels.length > manyLabels && labels.every((label) => Number.isFinite(Number(label)))) {
    warn(`${files.train}: has ${labels.length} different numbers as labels; --regression finds numbers`);
  }
  if (labels.length < 2) {
    throw new DataError(
      `${files.train}: has one label only, ${JSON.stringify(labels[0])}; there is nothing to tell apart`,
    );
  }
  return {
    name: basename(files.train),
    classifier: { labels, isRegression: false },
    metrics: labels.length === 2 ? ['accuracy', 'f1', 'matthews'] : ['accuracy'],
    train: { name: 'train', examples: examples(train, labelOf(labels)) },
    devs: [{ name: 'dev', examples: examples(dev, labelOf(labels)) }],
    tests: test ? [{ name: 'test', examples: examples(test, undefined) }] : [],
    written: labels,
  };
}
