import { constants } from 'node:buffer';
import { DataError } from '../errors/index.ts';
import { readCharacters } from './encoding.ts';
import { markdownParts } from './markdown.ts';
import { openParquetColumn } from './parquet.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });
const partCharacters = 1 << 20;
/** A line of JSON is read at once. Its text takes up to four times as many bytes, several times over. */
const maxLineCharacters = 1 << 27;

/** A file of texts. */
export interface SourceFile {
  /** Absolute. */
  path: string;
  /** Its name in messages: its path, or where it was downloaded from. */
  name: string;
  bytes: number;
  modifiedMs: number;
}

/** A document, or a part of a long one: parts follow one another and are split at white space. */
export interface DocumentPart {
  text: string;
  endsDocument: boolean;
}

/** How source files are read. */
export interface ReadOptions {
  /** The field of a JSON line, or the Parquet column, that contains the text. */
  textField: string;
  /** Called with the number of bytes of the file that were read since the last call. */
  onRead?: (bytes: number) => void;
  /** Called with the place of each document without a text: a row in which it is null or blank, or a blank file. */
  onBlank?: (where: string) => void;
}

type Reader = (file: SourceFile, options: ReadOptions) => AsyncGenerator<DocumentPart>;

const readers: Record<string, Reader> = {
  '.txt': readText,
  '.txt.gz': readText,
  '.md': readMarkdown,
  '.md.gz': readMarkdown,
  '.jsonl': readJsonLines,
  '.jsonl.gz': readJsonLines,
  '.parquet': readParquet,
};

/** The endings of text files. */
export const textEndings = Object.keys(readers);

/** Whether a file's name has one of `textEndings`. */
export function isTextFile(path: string): boolean {
  return readerOf(path) !== undefined;
}

function readerOf(path: string): Reader | undefined {
  const ending = textEndings.find((candidate) => path.toLowerCase().endsWith(candidate));
  return ending === undefined ? undefined : readers[ending];
}

/** A file without any text. */
class NoTextError extends DataError {}

/**
 * The documents of a file in parts, in bounded memory: a text or Markdown file is one document, and so is each JSON line or
 * Parquet row; rows without a text (null or white space) are skipped.
 *
 * @throws DataError if the file is unreadable, empty, broken or not text; names the line or row.
 */
export async function* readParts(file: SourceFile, options: ReadOptions): AsyncGenerator<DocumentPart> {
  let empty = true;
  let blanks = 0;
  const onBlank = (where: string): void => {
    blanks += 1;
    options.onBlank?.(where);
  };
  try {
    for await (const part of readerOf(file.path)!(file, { ...options, onBlank })) {
      empty &&= isBlank(part.text);
      if (!empty) yield part;
    }
  } catch (cause) {
    throw cause instanceof DataError ? cause : new DataError(`${file.name}: ${reasonOf(cause)}`, { cause });
  }
  if (!empty) return;
  if (blanks > 0) {
    const rows = blanks === 1 ? 'its one row has' : `its ${blanks.toLocaleString('en')} rows have`;
    throw new NoTextError(
      `${file.name}: contains no text: ${rows} none in "${options.textField}"; set data.textField to the field that has it, or exclude the file`,
    );
  }
  options.onBlank?.(file.name);
  throw new NoTextError(`${file.name}: contains no text; fill it, or exclude it`);
}

/**
 * The documents of files one after another, in parts, with at most `maxBytesPerFile` (and a part) of UTF-8 text per file. A file
 * without any text is skipped, like a row without text.
 *
 * @throws DataError as `readParts`, and if no file contains text.
 */
export async function* readAllParts(
  files: readonly SourceFile[],
  { maxBytesPerFile = Number.POSITIVE_INFINITY, ...options }: ReadOptions & { maxBytesPerFile?: number },
): AsyncGenerator<DocumentPart> {
  let hasText = false;
  let fault: NoTextError | undefined;
  for (const file of files) {
    let bytes = 0;
    try {
      for await (const part of readParts(file, options)) {
        yield part;
        hasText = true;
        bytes += Buffer.byteLength(part.text);
        if (bytes >= maxBytesPerFile) break;
      }
    } catch (error) {
      if (!(error instanceof NoTextError)) throw error;
      fault ??= error;
    }
  }
  if (!hasText && fault) throw fault;
}

/** The texts of `readAllParts`. */
export async function* readTexts(
  files: readonly SourceFile[],
  options: { textField: string; maxBytesPerFile?: number },
): AsyncGenerator<string> {
  for await (const { text } of readAllParts(files, options)) yield text;
}

function readText(file: SourceFile, { onRead }: ReadOptions): AsyncGenerator<DocumentPart> {
  return inParts(readCharacters(file, onRead));
}

function readMarkdown(file: SourceFile, { onRead }: ReadOptions): AsyncGenerator<DocumentPart> {
  return inParts(markdownParts(readCharacters(file, onRead)));
}

/** The parts of a document whose text comes in chunks of any length. */
async function* inParts(pieces: AsyncIterable<string>): AsyncGenerator<DocumentPart> {
  let rest = '';
  for await (const piece of pieces) {
    rest += piece;
    if (rest.length < partCharacters) continue;
    const texts = cut(rest);
    rest = texts.pop()!;
    for (const text of texts) yield { text, endsDocument: false };
  }
  yield { text: rest, endsDocument: true };
}

/** Splits a text at white space, if there is any, into pieces of less than two parts' length; the last is shorter than a part. */
function cut(text: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (text.length - start >= partCharacters) {
    const piece = text.slice(start, start + 2 * partCharacters);
    const space = Math.max(piece.lastIndexOf('\n'), piece.lastIndexOf(' '));
    const endsInPair = /[\ud800-\udbff]$/.test(piece.slice(-1));
    const length = space > 0 ? space : piece.length - Number(endsInPair);
    pieces.push(piece.slice(0, length));
    start += length;
  }
  pieces.push(text.slice(start));
  return pieces;
}

async function* readJsonLines(
  file: SourceFile,
  { textField, onRead, onBlank }: ReadOptions,
): AsyncGenerator<DocumentPart> {
  let lineNumber = 0;
  for await (const line of readLines(file, onRead)) {
    lineNumber++;
    if (isBlank(line)) continue;
    const where = `${file.name}, line ${lineNumber}`;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch (cause) {
      throw new DataError(`${where}: not JSON: ${reasonOf(cause)}; expected one object per line`, { cause });
    }
    if (typeof row !== 'object' || row === null || Array.isArray(row)) {
      throw new DataError(`${where}: not a JSON object; expected {"${textField}": "…"}`);
    }
    if (!Object.hasOwn(row, textField)) throw missingField(where, textField, Object.keys(row));
    const text = textOf((row as Record<string, unknown>)[textField], textField, where);
    if (text === undefined) onBlank?.(where);
    else yield* wholeDocument(text);
  }
}

async function* readParquet(
  file: SourceFile,
  { textField, onRead, onBlank }: ReadOptions,
): AsyncGenerator<DocumentPart> {
  const { names, isFlat, pages } = await openParquetColumn(file.path, textField).catch((cause: unknown) => {
    if (codeOf(cause) !== '') throw cause; // of the file system, not of what the file contains
    throw new DataError(`${file.name}: is not a complete Parquet file: ${reasonOf(cause)}; copy or write it again`, {
      cause,
    });
  });
  if (isFlat === undefined) throw missingField(file.name, textField, names);
  if (names.indexOf(textField) < names.lastIndexOf(textField)) {
    throw new DataError(
      `${file.name}: has several columns named "${textField}"; rename those that do not contain the text`,
    );
  }
  if (!isFlat) {
    throw new DataError(
      `${file.name}: the column "${textField}" contains lists or several fields in each row, not a string; set data.textField to another column`,
    );
  }
  let rowNumber = 0;
  let unreported = file.bytes;
  const report = (fraction: number): void => {
    const bytes = Math.min(unreported, fraction * file.bytes);
    unreported -= bytes;
    onRead?.(bytes);
  };
  for await (const page of pages(report)) {
    for (const value of page) {
      rowNumber++;
      const where = `${file.name}, row ${rowNumber}`;
      const text = textOf(value instanceof Uint8Array ? stringOf(value, textField, where) : value, textField, where);
      if (text === undefined) onBlank?.(where);
      else yield* wholeDocument(text);
    }
  }
  onRead?.(unreported);
}

function stringOf(bytes: Uint8Array, textField: string, where: string): string {
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw new DataError(
      `${where}: the text has ${Math.round(bytes.length / 1e6)} MB; the most is ${Math.round(constants.MAX_STRING_LENGTH / 1e6)}; write it to a .txt file of its own, which may have any length`,
    );
  }
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new DataError(
      `${where}: the column "${textField}" contains bytes that are not UTF-8 text; write it as a column of strings, or exclude the file`,
      { cause },
    );
  }
}

/** The text in a row without a byte order mark; undefined if it is null or blank. */
function textOf(value: unknown, textField: string, where: string): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'string') {
    const shown = typeof value === 'bigint' ? String(value) : JSON.stringify(value).slice(0, 40);
    throw new DataError(`${where}: the field "${textField}" is ${shown}, not a string`);
  }
  const text = value.startsWith('\uFEFF') ? value.slice(1) : value;
  return isBlank(text) ? undefined : text;
}

function wholeDocument(text: string): DocumentPart[] {
  const pieces = text.length < 2 * partCharacters ? [text] : cut(text);
  return pieces.map((piece, i) => ({ text: piece, endsDocument: i === pieces.length - 1 }));
}

function missingField(where: string, textField: string, fields: readonly string[]): DataError {
  const likely = fields.find((field) => /text|content|body/i.test(field)) ?? fields[0] ?? 'NAME';
  const there = fields.length > 0 ? fields.map((field) => `"${field}"`).join(', ') : 'none';
  return new DataError(
    `${where}: no field "${textField}"; found ${there}; name the one that contains the text: --set data.textField=${likely}`,
  );
}

async function* readLines(file: SourceFile, onRead: ((bytes: number) => void) | undefined): AsyncGenerator<string> {
  let rest = '';
  let lineNumber = 1;
  for await (const text of readCharacters(file, onRead)) {
    rest += text;
    if (text.includes('\n')) {
      const lines = rest.split('\n');
      rest = lines.pop()!;
      lineNumber += lines.length;
      yield* lines;
    }
    if (rest.length > maxLineCharacters) {
      throw new DataError(
        `${file.name}, line ${lineNumber}: is longer than ${maxLineCharacters.toLocaleString('en')} characters; write its text to a .txt file of its own, which may have any length`,
      );
    }
  }
  yield rest;
}

function isBlank(text: string): boolean {
  return !/\S/.test(text);
}

function codeOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : '';
}

function reasonOf(cause: unknown): string {
  const code = codeOf(cause);
  if (code === 'ENOENT') return 'no longer exists, but did when the files were listed; restore it, or start again';
  if (code === 'EACCES' || code === 'EPERM') return `cannot be read (${code}); check its permissions`;
  if (code === 'Z_BUF_ERROR') return 'is truncated gzip data; copy the file again';
  if (code.startsWith('Z_')) return 'is not valid gzip data; copy the file again';
  return (cause instanceof Error ? cause.message : String(cause)).replaceAll('\n', ' ');
}
