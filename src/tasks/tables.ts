import { statSync } from 'node:fs';
import { pipeline } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { readCharacters } from '../data/encoding.ts';
import { counted, DataError } from '../errors/index.ts';

/** A row of a table: texts or numbers by column. */
export type Row = Record<string, unknown>;

/** A row, or undefined for a line of a TSV with the wrong number of columns; with its line in a text file, or its number in Parquet. */
interface NumberedRow {
  row: Row | undefined;
  number: number;
}

/** A table: its rows, and where they came from. */
export interface Table {
  rows: Row[];
  /** The line that each row begins at; its number in a Parquet file. */
  numbers: number[];
  /** The lines of a TSV that are skipped because they have the wrong number of columns. */
  malformed: number[];
  /** A row's place in its file, for messages: `mails.csv, line 7`. */
  where(row: number): string;
}

/** How files with an ending are read as tables. */
interface TableFormat {
  read(path: string, columns?: readonly string[]): AsyncGenerator<NumberedRow>;
  /** Whether each line is a text where texts are read. */
  isLines: boolean;
  /** Whether the columns have names in every file. */
  namesColumns: boolean;
  /** What the number of a row counts. */
  unit: 'line' | 'row';
}

const plain = { isLines: false, namesColumns: false, unit: 'line' } as const;

const formats: Readonly<Record<string, TableFormat>> = {
  '.tsv': { ...plain, read: readTsv },
  '.txt': { ...plain, read: readTsv, isLines: true },
  '.csv': { ...plain, read: readCsv },
  '.jsonl': { ...plain, read: readJsonLines, namesColumns: true },
  '.parquet': { ...plain, read: readParquet, namesColumns: true, unit: 'row' },
};

/** How a file is read as a table; undefined if its ending is not that of one. */
export const formatOf = (path: string): TableFormat | undefined =>
  Object.entries(formats).find(([ending]) => path.toLowerCase().endsWith(ending))?.[1];

/** A row's place in its file, for messages. */
export const placeOf = (path: string, number: number): string => `${path}, ${formatOf(path)?.unit ?? 'line'} ${number}`;

/**
 * Reads a whole table, as `readRows` does.
 *
 * @throws DataError for a file that is missing, empty, broken or of another type; names the line.
 */
export async function readTable(path: string, columns?: readonly string[]): Promise<Table> {
  const [rows, numbers, malformed]: [Row[], number[], number[]] = [[], [], []];
  for await (const { row, number } of readRows(path, columns)) {
    if (row) rows.push(row);
    (row ? numbers : malformed).push(number);
  }
  if (rows.length === 0) throw noRows(path);
  return { rows, numbers, malformed, where: (row) => placeOf(path, numbers[row]!) };
}

/** The error for a table without rows. */
export const noRows = (path: string): DataError =>
  new DataError(`${path}: has no rows; give a table with a header and rows below it`);

/**
 * Reads the rows of a table one after the other, in bounded memory: of Parquet, one row group at a time. In a TSV, quotes are ordinary characters, as in GLUE's files.
 * In a CSV they quote, and commas separate columns, or semicolons or tabs, whichever the first two lines agree on. A .txt is a TSV. Line endings
 * may be mixed. `columns` names the columns of a file without a header.
 *
 * @throws DataError for a file that is missing, broken or of another type; names the line.
 */
export async function* readRows(path: string, columns?: readonly string[]): AsyncGenerator<NumberedRow> {
  const format = formatOf(path);
  if (!format) throw new DataError(`${path}: not a table that taper reads (${Object.keys(formats).join(' ')})`);
  if (columns && format.namesColumns) throw new DataError(`${path}: already names its columns; leave out --columns`);
  yield* naming(path, format.read(path, columns));
}

/** Passes on what is read from a file; errors become a `DataError` that names the file, and the line. */
export async function* naming<T>(path: string, items: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* items;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    if (cause instanceof LineError) throw new DataError(`${path}, line ${cause.line}: ${cause.message}`, { cause });
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new DataError(`${path}: no such file; give the path of a table`, { cause });
    throw new DataError(`${path}: ${message.replaceAll('\n', ' ')}; give a complete table`, { cause });
  }
}

/** An error in a line of a file. */
class LineError extends Error {
  readonly line: number;
  constructor(line: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.line = line;
  }
}

const [lineFeed, carriageReturn] = [0x0a, 0x0d];

/** The characters of a text file. */
export async function* charactersIn(path: string): AsyncGenerator<string> {
  yield* readCharacters({ path, name: path, bytes: statSync(path).size, otherwise: 'give another table' });
}

/** A line without its ending, and its number in the file, from 1. */
interface Line {
  line: number;
  text: string;
}

/** The lines of a text that are not empty. Carriage returns end lines if its first characters have no line feed. */
export async function* numberedLines(characters: AsyncIterable<string>): AsyncGenerator<Line> {
  let [rest, line] = ['', 0];
  let end: string | undefined;
  for await (const some of characters) {
    rest += some;
    // A carriage return at the end may belong to a line feed.
    const unread = end === undefined ? rest : some;
    end ??= rest.includes('\n') ? '\n' : /\r[\s\S]/.test(rest) ? '\r' : undefined;
    if (end === undefined || !unread.includes(end)) continue;
    const lines = rest.split(end);
    rest = lines.pop()!;
    for (const own of lines) {
      line += 1;
      const text = own.replace(/\r+$/, '');
      if (text !== '') yield { line, text };
    }
  }
  const text = rest.replace(/\r+$/, '');
  if (text !== '') yield { line: line + 1, text };
}

async function* readTsv(path: string, given?: readonly string[]): AsyncGenerator<NumberedRow> {
  let columns = given;
  for await (const { line, text } of numberedLines(charactersIn(path))) {
    const cells = text.split('\t');
    if (columns) yield { row: cells.length === columns.length ? rowOf(columns, cells) : undefined, number: line };
    else columns = checkedHeader(cells, line);
  }
}

async function* readCsv(path: string, given?: readonly string[]): AsyncGenerator<NumberedRow> {
  let columns = given;
  for await (const { line, cells } of csvRecords(path)) {
    if (!columns) columns = checkedHeader(cells, line);
    else if (cells.length === columns.length) yield { row: rowOf(columns, cells), number: line };
    else {
      throw new LineError(
        line,
        `has ${counted(cells.length, 'column')}, but the ${given ? 'list of --columns' : 'header'} has ${columns.length}; quote texts that contain a separator`,
      );
    }
  }
}

async function* readJsonLines(path: string): AsyncGenerator<NumberedRow> {
  for await (const { line, text } of numberedLines(charactersIn(path))) {
    if (text.trim() !== '') yield { row: jsonRow(line, text), number: line };
  }
}

const rowOf = (columns: readonly string[], cells: readonly string[]): Row =>
  Object.fromEntries(columns.map((name, i) => [name, cells[i]]));

/** The names of the columns. Names must be unique; several columns may have no name, because they cannot be asked for. */
function checkedHeader(cells: readonly string[], line: number): string[] {
  const names = cells.map((name) => name.trim());
  const twice = names.find((name, i) => name !== '' && names.indexOf(name) < i);
  if (twice === undefined) return names;
  throw new LineError(line, `the header has the column "${twice}" more than once; rename one of them`);
}

/** The non-empty records of a CSV, each with the line that it begins at. */
async function* csvRecords(path: string): AsyncGenerator<{ line: number; cells: string[] }> {
  const lines = new LineCounter();
  const characters = charactersIn(path);
  const { value: first = '' } = await characters.next();
  async function* bytes(): AsyncGenerator<Buffer> {
    yield lines.add(first);
    for await (const some of characters) yield lines.add(some);
  }
  const parser = parse({
    delimiter: delimiterOf(first),
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    skip_empty_lines: true,
    info: true,
  });
  let end = 0;
  try {
    // Its reader gets every error of the pipeline.
    for await (const { record, info } of pipeline(bytes, parser, () => {}) as AsyncIterable<CsvRecord>) {
      const line = lines.after(end);
      end = info.bytes;
      if (record.length > 1 || record[0]!.trim() !== '') yield { line, cells: record };
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    // Records before it may not have been given out yet.
    const { bytes: start, code, message } = cause as CsvError & { bytes: number };
    const fault = quotingFaults[code];
    throw new LineError(lines.after(start), fault ? `${fault}; ${quoting}` : message, { cause });
  } finally {
    await characters.return(undefined);
  }
}

const quoting = 'write such a text as "…", and each quotation mark in it as ""';
/** What is wrong with the quotation marks of a record, by the codes of `csv-parse`. */
const quotingFaults: Partial<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quotation mark opens here and is never closed',
  INVALID_OPENING_QUOTE: 'has a quotation mark in a text without quotation marks around it',
  CSV_INVALID_CLOSING_QUOTE: 'has more after the quotation mark that closes a text',
};

/** A record as `csv-parse` gives it; `bytes` is where it ends. */
interface CsvRecord {
  record: string[];
  info: { bytes: number };
}

/** What separates the columns: of comma, semicolon and tab the one that is in the header, and as often in the line below it. */
function delimiterOf(text: string): string {
  const [header = '', next = ''] = text
    .trimStart()
    .replaceAll(/"[^"]*"/g, '')
    .split(/[\r\n]+/, 2);
  const found = [',', ';', '\t'].filter((delimiter) => header.includes(delimiter));
  const isRegular = (delimiter: string) => header.split(delimiter).length === next.split(delimiter).length;
  return found.find(isRegular) ?? found[0] ?? ',';
}

/** Counts the lines of a file that is read in parts, and keeps only the bytes that are not counted yet. */
class LineCounter {
  private bytes: Buffer = Buffer.alloc(0);
  /** The offset of the first byte that is kept, and its line. */
  private start = 0;
  private line = 1;

  /** The bytes of the next part. */
  add(text: string): Buffer {
    const part = Buffer.from(text);
    this.bytes = Buffer.concat([this.bytes, part]);
    return part;
  }

  /** The number of the first non-empty line at or after an offset; offsets must be asked for in ascending order. */
  after(offset: number): number {
    const { bytes, start } = this;
    const isEnd = (byte: number | undefined) => byte === lineFeed || byte === carriageReturn;
    let at = 0;
    for (; at < bytes.length && (start + at < offset || isEnd(bytes[at])); at++) {
      if (bytes[at] === lineFeed || (bytes[at] === carriageReturn && bytes[at + 1] !== lineFeed)) this.line += 1;
    }
    this.bytes = bytes.subarray(at);
    this.start += at;
    return this.line;
  }
}

function jsonRow(line: number, text: string): Row {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (cause) {
    const { message } = cause as Error;
    throw new LineError(line, `is not JSON: ${message.replaceAll('\n', ' ')}; write one object per line`, { cause });
  }
  if (typeof row === 'object' && row !== null && !Array.isArray(row)) return row as Row;
  throw new LineError(line, 'is not a JSON object, as in {"text": "…", "label": "…"}');
}

/** Strings that are not valid UTF-8 are an error: hyparquet would replace them. */
const parsers = {
  stringFromBytes: (bytes: Uint8Array) => bytes && new TextDecoder('utf-8', { fatal: true }).decode(bytes),
};

async function* readParquet(path: string): AsyncGenerator<NumberedRow> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  let start = 0;
  // A part of a row group would take as long as all of it.
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = start + Number(num_rows);
    const rows = await parquetReadObjects({ file, metadata, compressors, parsers, rowStart: start, rowEnd });
    for (const [i, row] of rows.entries()) yield { row, number: start + i + 1 };
    start = rowEnd;
  }
}
