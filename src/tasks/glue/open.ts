import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../../errors/index.ts';
import { numberIn, type Reading, warnOfMalformed } from '../cells.ts';
import { labelIn } from '../labels/class-labels.ts';
import type { TextExample } from '../labels/example.ts';
import { plainSettings, type TextTask, textKind } from '../labels/kind.ts';
import { exampleOf } from '../labels/open.ts';
import { readTable } from '../tables.ts';
import type { ExampleSet } from '../task.ts';
import { type GlueName, type GlueTask, glueTasks } from './tasks.ts';

/**
 * Opens a task of GLUE in a folder: GLUE's own TSV files, or Hugging Face's Parquet files, in the folder of the task or in the
 * one above.
 *
 * @throws DataError if a file or a column is missing or empty, or a label is not one of the task's.
 */
export async function openGlueTask(name: GlueName, folder: string, warn: (message: string) => void): Promise<TextTask> {
  const task: GlueTask = glueTasks[name];
  const place = [join(folder, task.folder), join(folder, name), folder].find((path) => holdsTask(path));
  if (place === undefined) {
    throw new DataError(
      `${folder}: has no ${task.folder} with train.tsv or train*.parquet; give the folder of GLUE, or of the task`,
    );
  }
  const isTsv = existsSync(join(place, 'train.tsv'));
  const read = async (file: string, isTest = false): Promise<TextExample[]> => {
    const path = isTsv ? join(place, `${file}.tsv`) : parquetOf(place, file);
    const { rows, malformed, where } = await readTable(path, isTsv && !isTest ? task.columns : undefined);
    // Predictions are numbered by line: none may be missing.
    if (malformed.length > 0 && isTest)
      throw new DataError(
        `${path}, line ${malformed[0]}: has a different number of columns than the header; fix the line`,
      );
    warnOfMalformed(path, malformed, warn);
    const advice = "give GLUE's own files, or Hugging Face's";
    const columns = isTsv
      ? { texts: task.texts, label: task.label, advice }
      : { texts: task.parquetTexts, label: 'label', advice };
    return rows.map((row, i) => exampleOf(row, where(i), columns, isTest ? undefined : targetOf(task, isTsv)));
  };
  const has = (file: string) => (isTsv ? existsSync(join(place, `${file}.tsv`)) : partsOf(place, file).length > 0);
  const devs: ExampleSet<TextExample>[] = [];
  for (const { name: tsvName, parquetName } of task.devs) {
    devs.push({ name: tsvName, examples: await read(isTsv ? tsvName : parquetName) });
  }
  const tests: ExampleSet<TextExample>[] = [];
  for (const [i, submission] of task.submissions.entries()) {
    const { name: tsvName, parquetName } = task.devs[i]!;
    const file = isTsv ? tsvName.replace('dev', 'test') : parquetName.replace('validation', 'test');
    if (has(file)) tests.push({ name: submission, examples: await read(file, true) });
  }
  const isRegression = task.labels.length === 0;
  const labels = isRegression ? ['score'] : (task.names ?? task.labels);
  const head = { kind: isRegression ? 'regression' : 'single-label', labels } as const;
  return {
    name,
    kind: textKind(head, { metrics: task.metrics, written: writtenAs(name, task), ...plainSettings }),
    train: { name: 'train', examples: await read('train') },
    devs,
    tests,
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
    throw new DataError(
      `${place}: has ${exact.length} files ${part}*.parquet, expected one; give each part as one file`,
    );
  }
  return join(place, exact[0]!);
}

function targetOf({ labels }: GlueTask, isTsv: boolean): Reading<number> {
  if (labels.length === 0) return numberIn('label');
  return labelIn(isTsv ? labels : labels.map((_, id) => String(id)));
}

/** The format of predictions for GLUE's server: labels as in the task's files, values of STS-B clamped to its scale of 0 to 5. */
function writtenAs(name: GlueName, { labels }: GlueTask): (prediction: number) => string {
  if (labels.length > 0) return (id) => labels[id]!;
  return name === 'stsb' ? (x) => Math.min(5, Math.max(0, x)).toFixed(3) : (x) => x.toPrecision(6);
}
