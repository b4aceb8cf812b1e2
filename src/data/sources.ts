import { constants, createReadStream, statSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { escapePath, glob, isDynamicPattern } from 'tinyglobby';
import { DataError } from '../config/errors.ts';
import { stripMarkdown } from './markdown.ts';

const chunkBytes = 1 << 20;
const partCharacters = 1 << 20;

/** A file of texts. */
export interface SourceFile {
  /** Absolute. */
  path: string;
  bytes: number;
  modifiedMs: number;
}

/** A document, or a part of a long one: parts follow one another and are cut at white space. */
export interface DocumentPart {
  text: string;
  endsDocument: boolean;
}

/** How source files are read. */
export interface ReadOptions {
  /** The field of a JSON line, or the Parquet column, that holds the text. */
  textField: string;
  /** Called with the number of bytes of the file that were read since the last call. */
  onRead?: (bytes: number) => void;
}

type Reader = (file: SourceFile, options: ReadOptions) => AsyncGenerator<DocumentPart>;

const readers: Record<string, Reader> = {
  '.txt': readText,
  '.txt.gz': readText,
  '.md': readMarkdown,
  '.jsonl': readJsonLines,
  '.jsonl.gz': readJsonLines,
  '.parquet': readParquet,
};
const endings = Object.keys(readers);

function readerOf(path: string): Reader | undefined {
  const ending = endings.find((candidate) => path.toLowerCase().endsWith(candidate));
  return ending === undefined ? undefined : readers[ending];
}

/**
 * The text files that `paths` name, each once, in the order of `paths` and by name within one of them (so that the
 * order does not depend on where they lie): files, folders with all below them, and globs.
 * In folders and globs other endings and empty files are passed over. `exclude` are globs: without a slash of file names, with
 * one of paths below the folder that is searched.
 * Throws a DataError where a path is missing, unreadable or of another ending, or where nothing is found.
 */
export async function listSources(paths: readonly string[], exclude: readonly string[] = []): Promise<SourceFile[]> {
  const ignore = exclude.map((pattern) => (pattern.includes('/') ? pattern : `**/${pattern}`));
  const found = new Set<string>();
  for (const path of paths) for (const file of await expand(path, ignore)) found.add(file);
  if (found.size === 0) {
    throw new DataError(`${paths.join(', ') || 'data'}: no text files left; name some, or exclude fewer`);
  }
  return Promise.all(
    Array.from(found, async (path) => {
      const { size, mtimeMs } = await stat(path);
      return { path, bytes: size, modifiedMs: mtimeMs };
    }),
  );
}

async function expand(path: string, ignore: string[]): Promise<string[]> {
  const kind = await kindOf(path);
  if (kind === 'missing' && !isDynamicPattern(path)) {
    throw new DataError(`${path}: no such file or folder; paths are relative to ${process.cwd()}`);
  }
  if (kind === 'file') {
    if (!readerOf(path)) throw new DataError(`${path}: not a kind of text file that is known: ${endings.join(' ')}`);
    const found = await glob(escapePath(basename(path)), { cwd: dirname(resolve(path)), ignore, dot: true });
    return found.length > 0 ? [resolve(path)] : [];
  }
  const found =
    kind === 'folder'
      ? await glob('**/*', { cwd: resolve(path), absolute: true, ignore })
      : await glob(path, { absolute: true, ignore });
  const known = found.filter(readerOf);
  const texts = known.filter((file) => statSync(file).size > 0); // nothing is lost with an empty one
  if (texts.length === 0) {
    throw new DataError(`${path}: matches ${found.length} files, none of them ending in ${endings.join(' ')}`);
  }
  return texts.map((file) => resolve(file)).sort();
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'missing'> {
  try {
    const stats = await stat(path);
    await access(path, constants.R_OK);
    return stats.isDirectory() ? 'folder' : 'file';
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
    throw new DataError(`${path}: cannot be read (${code}); check its permissions`, { cause });
  }
}

/**
 * The documents of a file in parts, in bounded memory: a text or Markdown file is one document, a JSON line or
 * Parquet row is one each; documents of white space alone are left out of the latter.
 * Throws a DataError, naming the line or row, where the file is unreadable, empty, broken or not text.
 */
export async function* readParts(file: SourceFile, options: ReadOptions): AsyncGenerator<DocumentPart> {
  let empty = true;
  try {
    for await (const part of readerOf(file.path)!(file, options)) {
      empty &&= isBlank(part.text);
      yield part;
    }
  } catch (cause) {
    throw cause instanceof DataError ? cause : new DataError(`${file.path}: ${reasonOf(cause)}`, { cause });
  }
  if (empty) throw new DataError(`${file.path}: holds no text; fill it, or exclude it`);
}

/** The texts of files one after another, of each at most `maxBytesPerFile` (and a part) of UTF-8 text. */
export async function* readTexts(
  files: readonly SourceFile[],
  { textField, maxBytesPerFile = Number.POSITIVE_INFINITY }: { textField: string; maxBytesPerFile?: number },
): AsyncGenerator<string> {
  for (const file of files) {
    let bytes = 0;
    for await (const { text } of readParts(file, { textField })) {
      yield text;
      bytes += Buffer.byteLength(text);
      if (bytes >= maxBytesPerFile) break;
    }
  }
}

async function* readText(file: SourceFile, options: ReadOptions): AsyncGenerator<DocumentPart> {
  let rest = '';
  for await (const text of readCharacters(file, options)) {
    rest += text;
    if (rest.length < partCharacters) continue;
    const space = Math.max(rest.lastIndexOf('\n'), rest.lastIndexOf(' '));
    const cut = space > 0 ? space : rest.length;
    yield { text: rest.slice(0, cut), endsDocument: false };
    rest = rest.slice(cut);
  }
  yield { text: rest, endsDocument: true };
}

async function* readMarkdown(file: SourceFile, options: ReadOptions): AsyncGenerator<DocumentPart> {
  let source = '';
  for await (const text of readCharacters(file, options)) source += text;
  yield { text: stripMarkdown(source), endsDocument: true };
}

async function* readJsonLines(file: SourceFile, options: ReadOptions): AsyncGenerator<DocumentPart> {
  const { textField } = options;
  let lineNumber = 0;
  for await (const line of readLines(file, options)) {
    lineNumber++;
    if (isBlank(line)) continue;
    const where = `${file.path}, line ${lineNumber}`;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch (cause) {
      throw new DataError(`${where}: not JSON: ${reasonOf(cause)}; expected one object a line`, { cause });
    }
    if (typeof row !== 'object' || row === null || Array.isArray(row)) {
      throw new DataError(`${where}: not a JSON object; expected {"${textField}": "…"}`);
    }
    const text = textOf(row as Record<string, unknown>, textField, where);
    if (!isBlank(text)) yield { text, endsDocument: true };
  }
}

async function* readParquet(file: SourceFile, { textField, onRead }: ReadOptions): AsyncGenerator<DocumentPart> {
  const buffer = await asyncBufferFromFile(file.path);
  const metadata = await parquetMetadataAsync(buffer);
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  if (!columns.includes(textField)) throw missingField(file.path, textField, columns);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await parquetReadObjects({
      file: buffer,
      metadata,
      columns: [textField],
      rowStart,
      rowEnd,
      compressors,
    });
    for (const [i, row] of rows.entries()) {
      const text = textOf(row, textField, `${file.path}, row ${rowStart + i + 1}`);
      if (!isBlank(text)) yield { text, endsDocument: true };
    }
    rowStart = rowEnd;
    onRead?.(file.bytes / metadata.row_groups.length);
  }
}

function textOf(row: Record<string, unknown>, textField: string, where: string): string {
  const text = row[textField];
  if (text === undefined) throw missingField(where, textField, Object.keys(row));
  if (typeof text !== 'string') {
    throw new DataError(`${where}: the field "${textField}" is ${JSON.stringify(text)?.slice(0, 40)}, not a string`);
  }
  return text;
}

function missingField(where: string, textField: string, fields: readonly string[]): DataError {
  const there = fields.length > 0 ? fields.map((field) => `"${field}"`).join(', ') : 'no field';
  return new DataError(
    `${where}: no field "${textField}", but ${there}; name the one that holds the text as textField`,
  );
}

async function* readLines(file: SourceFile, options: ReadOptions): AsyncGenerator<string> {
  let rest = '';
  for await (const text of readCharacters(file, options)) {
    rest += text;
    if (!text.includes('\n')) continue;
    const lines = rest.split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

async function* readCharacters(file: SourceFile, { onRead }: ReadOptions): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const bytes of readBytes(file.path, onRead)) {
    if (bytes.includes(0)) throw new DataError(`${file.path}: holds a zero byte, so it is not text; exclude it`);
    yield decoder.decode(bytes, { stream: true });
  }
  yield decoder.decode();
}

function readBytes(path: string, onRead?: (bytes: number) => void): AsyncIterable<Buffer> {
  const file = createReadStream(path, { highWaterMark: chunkBytes });
  async function* counted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      onRead?.(chunk.length);
      yield chunk;
    }
  }
  if (!path.toLowerCase().endsWith('.gz')) return counted(file);
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  // The reader of `gunzip` gets every error of the pipeline, so that its own callback has nothing to do.
  return pipeline(file, counted, gunzip, () => {});
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
  if (code === 'ENOENT') return 'is gone; it was there when the files were listed';
  if (code === 'EACCES' || code === 'EPERM') return `cannot be read (${code}); check its permissions`;
  if (code === 'Z_BUF_ERROR') return 'ends in the middle of its gzip data; it was cut short, copy it again';
  if (code.startsWith('Z_')) return 'is not whole gzip data; copy it again';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text; convert or exclude it';
  return (cause instanceof Error ? cause.message : String(cause)).replaceAll('\n', ' ');
}
