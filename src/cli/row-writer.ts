import { closeSync, existsSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import { ConfigError, DataError, OutputError } from '../errors/index.ts';
import { writing } from '../files/index.ts';
import type { TextPrediction } from '../tasks/index.ts';

/** A row, and the prediction for its text. */
interface PredictedRow {
  row: Readonly<Record<string, unknown>>;
  prediction: TextPrediction;
}

/** Writes predicted rows; disposing it removes what is unfinished. */
export interface RowWriter extends Disposable {
  /** Returns whether anybody still reads them. */
  write(rows: readonly PredictedRow[]): Promise<boolean>;
  /** Makes the file appear under its name. */
  finish(): void;
}

/** Makes text of rows; the first may begin with a header. */
type Format = () => (row: PredictedRow) => string;

const formats: Readonly<Record<string, Format>> = {
  '.jsonl': () => (row) => `${json(merged(row, row.prediction))}\n`,
  '.csv': () => {
    let columns: string[] | undefined;
    const line = (cells: readonly unknown[]) => `${cells.map(csvCell).join(',')}\n`;
    return ({ row, prediction }) => {
      const { probabilities: _, ...rest } = { probabilities: {}, ...prediction };
      const cells = merged({ row, prediction }, rest);
      const header = columns ? '' : line(Object.keys(cells));
      columns ??= Object.keys(cells);
      const other = Object.keys(cells).find((name) => !columns!.includes(name));
      if (other !== undefined)
        throw new DataError(
          `the column "${other}" is missing in the first row, so it cannot be written as CSV; use --out FILE.jsonl`,
        );
      return header + line(columns.map((name) => cells[name]));
    };
  },
};

/** A row with the fields of its prediction; a field that the row has already is called `predicted_…`. */
function merged({ row }: PredictedRow, prediction: object): Record<string, unknown> {
  const { text: _, ...fields } = { text: '', ...prediction }; // entities repeat their text
  const named = Object.entries(fields).map(([name, value]) => [
    Object.hasOwn(row, name) ? `predicted_${name}` : name,
    value,
  ]);
  return { ...row, ...Object.fromEntries(named) };
}

/** JSON; Parquet's integers, which it does not support, as numbers. */
const json = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner));

/** A cell of a CSV; lists and objects are JSON. */
function csvCell(value: unknown): string {
  const text = typeof value === 'object' && value !== null ? json(value) : String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Writes to a new file, in the format of its ending, or prints JSON lines.
 *
 * @throws ConfigError for another ending.
 * @throws OutputError if the file exists or cannot be written.
 */
export function openRows(out: string | undefined): RowWriter {
  if (out === undefined) return printed(formats['.jsonl']!());
  const format = formats[extname(out).toLowerCase()]?.();
  if (!format) throw new ConfigError(`--out ${out}: its ending is none of ${Object.keys(formats).join(', ')}`);
  if (existsSync(out)) throw new OutputError(`--out ${out}: already exists; give a new file`);
  const partial = `${out}.partial`;
  const file = writing(out, () => openSync(partial, 'w'));
  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(file);
    isOpen = false;
  };
  return {
    async write(rows) {
      writing(out, () => writeFileSync(file, rows.map(format).join('')));
      return true;
    },
    finish() {
      close();
      writing(out, () => renameSync(partial, out));
    },
    [Symbol.dispose]() {
      close();
      rmSync(partial, { force: true });
    },
  };
}

function printed(format: ReturnType<Format>): RowWriter {
  return {
    write: (rows) =>
      new Promise((resolve) => {
        process.stdout.write(rows.map(format).join(''), (error) => resolve(!error)); // `head` may have closed the pipe
      }),
    finish() {},
    [Symbol.dispose]() {},
  };
}
