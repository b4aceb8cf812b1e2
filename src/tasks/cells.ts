import { ConfigError, counted, DataError } from '../errors/index.ts';
import { formatOf, noRows, placeOf, type Row, readRows, readTable, type Table } from './tables.ts';

/** Reads a cell; `where` is its place, for messages. */
export type Reading<T> = (cell: unknown, where: string) => T;

/** A cell as messages show it. Parquet's integers are BigInts, which JSON does not support. */
export function shown(cell: unknown): string {
  if (cell === undefined) return 'nothing';
  if (Array.isArray(cell)) return 'a list';
  if (typeof cell === 'object' && cell !== null) return cell instanceof Uint8Array ? 'bytes' : 'an object';
  return typeof cell === 'string' ? JSON.stringify(cell) : String(cell);
}

/** Reads a finite number; messages call it `name`. */
export function numberIn(name: string): Reading<number> {
  return (cell, where) => {
    const value = typeof cell === 'string' && cell.trim() === '' ? Number.NaN : Number(cell);
    if (Number.isFinite(value)) return value;
    throw new DataError(`${where}: the ${name} ${shown(cell)} is not a number; write a number`);
  };
}

const isCell = (value: unknown) => ['string', 'number', 'bigint', 'boolean'].includes(typeof value);

/**
 * The cell of a column.
 *
 * @throws DataError if the column is missing or contains no text; names the columns that exist.
 */
export function cellOf(row: Row, column: string, where: string, advice: string): unknown {
  const value = Object.hasOwn(row, column) ? row[column] : undefined;
  if (isCell(value)) return value;
  if (Object.hasOwn(row, column))
    throw new DataError(`${where}: the column "${column}" contains ${shown(value)}, not text; ${advice}`);
  throw new DataError(`${where}: no column "${column}"; found ${columnNames(row)}; ${advice}`);
}

/** The columns of a row as messages show them: `"text", "label"`. */
function columnNames(row: Row): string {
  const names = Object.keys(row).filter((name) => name !== '');
  return names.map((name) => `"${name}"`).join(', ') || 'none';
}

/**
 * Checks the number of text columns.
 *
 * @throws ConfigError for more than `most`.
 */
export function checkTextColumns(texts: readonly string[], most: number): void {
  if (texts.length <= most) return;
  throw new ConfigError(`--text ${texts.join(' ')}: takes ${most} columns at most; merge columns of the file first`);
}

/**
 * The columns of a table, in the same way.
 *
 * @throws DataError if it is missing or empty, or broken before its first row.
 */
export async function columnsOf(path: string): Promise<string> {
  for await (const { row } of readRows(path)) if (row) return columnNames(row);
  throw noRows(path);
}

/**
 * All texts in a column of a table; in a .txt, each line is one.
 *
 * @throws DataError if the file or the column is missing or empty, or a line cannot be read.
 */
export async function textsIn(path: string, column: string): Promise<string[]> {
  const isLines = formatOf(path)?.isLines;
  const { rows, malformed, numbers, where } = await readTable(path, isLines ? [column] : undefined);
  // Rows are identified by their numbers: an empty line would shift them.
  const gap = isLines ? numbers.findIndex((line, i) => line !== i + 1) : -1;
  if (gap >= 0) throw new DataError(`${path}, line ${gap + 1}: is empty; delete it, or write a text`);
  if (malformed.length > 0)
    throw new DataError(`${path}, line ${malformed[0]}: has the wrong number of columns; fix the line`);
  return rows.map((row, i) => textOf(row, column, where(i), 'name the right one with --text'));
}

/**
 * The text in a column, which must contain more than spaces.
 *
 * @throws DataError if it does not.
 */
export function textOf(row: Row, column: string, where: string, advice: string): string {
  const text = String(cellOf(row, column, where, advice));
  if (text.trim() !== '') return text;
  throw new DataError(`${where}: the column "${column}" is empty; fill it in, or remove the line`);
}

/**
 * A set to predict. If all of its targets can be read, it is scored as well; `warn` is called if it has targets that cannot be
 * read.
 */
export async function readTestSet<T>(
  hasTargets: boolean,
  read: (withTargets: boolean) => T | Promise<T>,
  warn: (message: string) => void,
): Promise<T> {
  if (!hasTargets) return read(false);
  try {
    return await read(true);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    warn(`${error.message}; this set is predicted but not scored`);
    return read(false);
  }
}

/** Reads a table, and warns about lines that were skipped, and rows without a text in any of `texts`. */
export async function readOwnTable(
  path: string,
  { texts, all }: { texts: readonly string[]; all?: readonly string[] | undefined },
  warn: (message: string) => void,
): Promise<Table> {
  const table = await readTable(path, all);
  const { rows, numbers, malformed } = table;
  warnOfMalformed(path, malformed, warn);
  const isBlank = (row: Row) => areBlank(texts.map((column) => row[column]));
  warnOfBlank(
    path,
    numbers.filter((_, i) => isBlank(rows[i]!)),
    warn,
  );
  return table;
}

/** Warns of rows without a text, by their numbers. */
export function warnOfBlank(path: string, numbers: readonly number[], warn: (message: string) => void): void {
  const [first, ...others] = numbers;
  if (first === undefined) return;
  const like = others.length > 0 ? `, like ${counted(others.length, 'other row')}` : '';
  warn(`${placeOf(path, first)}: has no text${like}; the model can only guess there`);
}

/** Whether texts have nothing to read. */
export const areBlank = (texts: readonly unknown[]): boolean =>
  texts.every((text) => typeof text === 'string' && text.trim() === '');

export function warnOfMalformed(path: string, lines: readonly number[], warn: (message: string) => void): void {
  const [first] = lines;
  if (first === undefined) return;
  const which =
    lines.length === 1
      ? `line ${first}, which has`
      : `${counted(lines.length, 'line')}, the first at line ${first}, with`;
  warn(`${path}: skipped ${which} a different number of columns than the header`);
}
