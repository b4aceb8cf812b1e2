import { readFileSync } from 'node:fs';
import { CsvError, parse } from 'csv-parse/sync';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { charactersOf } from '../data/index.ts';
import { counted, DataError } from '../errors/index.ts';

/** A row of a table: texts or numbers by column. */
export type Row = Record<string, unknown>;

/** What is in a table's file. */
interface Content {
  rows: Row[];
  /** The line that each row begins at; undefined for a Parquet file. */
  lines?: number[];
  /** The lines of a TSV that are skipped because they have the wrong number of columns. */
  malformed?: number[];
}

/** A table: its rows, and where they came from. */
export interface Table extends Content {
  malformed: number[];
  /** A row's place in its file, for messages: `mails.csv, line 7`. */
  where(row: number): string;
}

export const endings = ['.tsv', '.txt', '.csv', '.jsonl', '.parquet'] as const;

/**
 * Reads a table. In a TSV, quotes are ordinary characters, as in GLUE's files. In a CSV they quote, and commas separate columns,
 * or semicolons or tabs if the header has no comma. A .txt is a TSV. Line endings may be mixed. `columns` names the columns of a
 * file without a header.
 *
 * @throws DataError for a file that is missing, empty, broken or of another type; names the line.
 */
export async function readTable(path: string, columns?: readonly string[]): Promise<Table> {
  const ending = endings.find((known) => path.toLowerCase().endsWith(known));
  if (ending === undefined) throw new DataError(`${path}: not a table that taper reads (${endings.join(' ')})`);
  if (columns && (ending === '.jsonl' || ending === '.parquet')) {
    throw new DataError(`${path}: already names its columns; leave out --columns`);
  }
  let content: Content;
  try {
    content = ending === '.parquet' ? await readParquet(path) : readText(path, ending, columns);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    if (cause instanceof LineError) throw new DataError(`${path}, line ${cause.line}: ${cause.message}`, { cause });
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new DataError(`${path}: no such file; give the path of a table`, { cause });
    throw new DataError(`${path}: ${message.replaceAll('\n', ' ')}; give a complete table`, { cause });
  }
  const { rows, lines, malformed = [] } = content;
  if (rows.length === 0) throw new DataError(`${path}: has no rows; give a table with a header and rows below it`);
  const where = (row: number) => (lines ? `${path}, line ${lines[row]}` : `${path}, row ${row + 1}`);
  return { ...content, malformed, where };
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

/** The lines that are not empty, each with its number in the file. A carriage return without a line feed ends a line if the file has no line feeds. */
function numberedLines(text: string): { line: number; text: string }[] {
  const all = text.split(text.includes('\n') ? '\n' : '\r');
  return all.map((text, i) => ({ line: i + 1, text: text.replace(/\r+$/, '') })).filter(({ text }) => text !== '');
}

/** A text file: its bytes, and the same as characters. */
interface TextFile {
  bytes: Buffer;
  text: string;
}

function readText(path: string, ending: keyof typeof readers, columns?: readonly string[]): Content {
  const bytes = readFileSync(path);
  return readers[ending]({ bytes, text: charactersOf(path, bytes, 'give another table') }, columns);
}

type Reader = (file: TextFile, given?: readonly string[]) => Content;

const readTsv: Reader = ({ text }, given) => {
  const [head, ...others] = numberedLines(text).map(({ line, text }) => ({ line, cells: text.split('\t') }));
  if (head === undefined) return { rows: [] };
  const columns = given ?? checkedHeader(head.cells, head.line);
  const all = given ? [head, ...others] : others;
  const isWhole = ({ cells }: typeof head) => cells.length === columns.length;
  const whole = all.filter(isWhole);
  return {
    rows: whole.map(({ cells }) => rowOf(columns, cells)),
    lines: whole.map(({ line }) => line),
    malformed: all.filter((one) => !isWhole(one)).map(({ line }) => line),
  };
};

const readers: Record<Exclude<(typeof endings)[number], '.parquet'>, Reader> = {
  '.tsv': readTsv,
  '.txt': readTsv,
  '.csv': (file, given) => {
    const records = csvRecords(file);
    const [head] = records;
    if (head === undefined) return { rows: [] };
    const columns = given ?? checkedHeader(head.cells, head.line);
    const others = given ? records : records.slice(1);
    for (const { line, cells } of others) {
      if (cells.length === columns.length) continue;
      throw new LineError(
        line,
        `has ${counted(cells.length, 'column')}, but the ${given ? 'list of --columns' : 'header'} has ${columns.length}; quote texts that contain a separator`,
      );
    }
    return { rows: others.map(({ cells }) => rowOf(columns, cells)), lines: others.map(({ line }) => line) };
  },
  '.jsonl': ({ text }) => {
    const lines = numberedLines(text).filter(({ text }) => text.trim() !== '');
    return { rows: lines.map(({ line, text }) => jsonRow(line, text)), lines: lines.map(({ line }) => line) };
  },
};

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
function csvRecords({ bytes, text }: TextFile): { line: number; cells: string[] }[] {
  const delimiter = delimiterOf(text);
  const lineAfter = lineCounter(bytes);
  try {
    const records = parse(bytes, {
      bom: true,
      delimiter,
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      skip_empty_lines: true,
      info: true,
    }) as unknown as { record: string[]; info: { bytes: number } }[];
    let end = 0;
    const found = records.map(({ record, info }) => {
      const line = lineAfter(end);
      end = info.bytes;
      return { line, cells: record };
    });
    return found.filter(({ cells }) => cells.length > 1 || cells[0]!.trim() !== '');
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    const { bytes: end, message } = cause as CsvError & { bytes: number };
    throw new LineError(lineAfter(end), message.replace(/ at line \d+/, ''), { cause });
  }
}

/** A comma, or the separator of a header without commas. */
function delimiterOf(text: string): string {
  const [header = ''] = text.trimStart().split(/[\r\n]/, 1);
  const unquoted = header.replaceAll(/"[^"]*"/g, '');
  return [',', ';', '\t'].find((delimiter) => unquoted.includes(delimiter)) ?? ',';
}

/** The number of the first non-empty line at or after an offset; offsets must be asked for in ascending order. */
function lineCounter(bytes: Buffer): (offset: number) => number {
  let [at, line] = [0, 1];
  const isEnd = (byte: number | undefined) => byte === lineFeed || byte === carriageReturn;
  return (offset) => {
    for (; at < bytes.length && (at < offset || isEnd(bytes[at])); at++) {
      if (bytes[at] === lineFeed || (bytes[at] === carriageReturn && bytes[at + 1] !== lineFeed)) line += 1;
    }
    return line;
  };
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

async function readParquet(path: string): Promise<Content> {
  return { rows: await parquetReadObjects({ file: await asyncBufferFromFile(path), compressors, parsers }) };
}
