import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { DataError } from '../config/index.ts';

/** A row of a table: texts or numbers by column. */
export type Row = Record<string, unknown>;

/** A table, and how many of its lines were left out because they have another number of columns. */
export interface Table {
  rows: Row[];
  malformed: number;
}

export const endings = ['.tsv', '.csv', '.jsonl', '.parquet'] as const;

/**
 * Reads a table. In a TSV quotes are characters like any other, as in GLUE's files; in a CSV they quote. `columns` names those
 * of a TSV without a header.
 *
 * @throws DataError for a file that is missing, empty, broken or of another ending.
 */
export async function readTable(path: string, columns?: readonly string[]): Promise<Table> {
  const ending = endings.find((known) => path.toLowerCase().endsWith(known));
  if (ending === undefined) throw new DataError(`${path}: not a table that is known: ${endings.join(' ')}`);
  try {
    const table = ending === '.parquet' ? await readParquet(path) : readers[ending](readText(path), columns);
    if (table.rows.length === 0) throw new DataError(`${path}: holds no row; fill it`);
    return table;
  } catch (cause) {
    if (cause instanceof DataError && cause.message.startsWith(path)) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file' : message.replaceAll('\n', ' ');
    throw new DataError(`${path}: ${reason}; give a whole table`, { cause });
  }
}

const readText = (path: string) => new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));

const readers = {
  '.tsv': (text: string, given?: readonly string[]): Table => {
    const lines = text.split(/\r?\n/).filter((line) => line !== '');
    const cells = lines.map((line) => line.split('\t'));
    const columns = given ?? cells.shift() ?? [];
    const whole = cells.filter(({ length }) => length === columns.length);
    const rows = whole.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
    return { rows, malformed: cells.length - whole.length };
  },
  '.csv': (text: string): Table => {
    return { rows: parse(text, { columns: true, bom: true, skip_empty_lines: true }) as Row[], malformed: 0 };
  },
  '.jsonl': (text: string): Table => {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    const rows = lines.map((line) => JSON.parse(line) as unknown);
    const other = rows.findIndex((row) => typeof row !== 'object' || row === null || Array.isArray(row));
    if (other >= 0) throw new DataError(`line ${other + 1} is no JSON object`);
    return { rows: rows as Row[], malformed: 0 };
  },
};

/** Strings of bytes that are not UTF-8 are an error: hyparquet would replace them. */
const parsers = {
  stringFromBytes: (bytes: Uint8Array) => bytes && new TextDecoder('utf-8', { fatal: true }).decode(bytes),
};

async function readParquet(path: string): Promise<Table> {
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path), compressors, parsers });
  return { rows, malformed: 0 };
}
