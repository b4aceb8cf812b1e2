import { constants, readdir, statSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { escapePath, type GlobOptions, glob, isDynamicPattern } from 'tinyglobby';
import { commandText, counted, DataError } from '../errors/index.ts';
import type { DownloadProgress } from '../hub/index.ts';
import { defaultCache } from './cache.ts';
import { foreignKind } from './encoding.ts';
import { fetchTexts, isRemote, type RemoteOptions } from './remote.ts';
import { isTextFile, type SourceFile, textEndings } from './sources.ts';

const maxNamed = 3;

/** How text files are found, and remote ones downloaded. */
export interface ListOptions {
  /** Globs of files to leave out. */
  exclude?: readonly string[];
  /** Where downloads are kept. Default: `.taper/data`. */
  cacheDir?: string;
  /** The column that is needed of remote Parquet files. Default: `text`. */
  textField?: string;
  onWarning?: (message: string) => void;
  onDownload?: (progress: DownloadProgress) => void;
}

/**
 * The text files that `paths` name, each once however many links lead to it, in the order of `paths` and by name within each (so
 * that the order does not depend on their location): files, folders with everything below them, and globs; and data sets on the
 * Hugging Face Hub (`hf:datasets/ORG/NAME:train`) and addresses on the web, which are downloaded into the cache first. In folders
 * and globs, other file types, empty files, broken links and names that are not UTF-8 are skipped, the last two with a warning.
 * `exclude` are globs: without a slash they match file names, with one they match paths below the searched folder.
 *
 * @throws DataError if a path is missing, unreadable or of another file type, or if nothing is found.
 */
export async function listSources(paths: readonly string[], options: ListOptions = {}): Promise<SourceFile[]> {
  const { exclude = [], onWarning = () => {} } = options;
  const remote = { cacheDir: defaultCache, textField: 'text', ...options, exclude, onWarning };
  const ignore = exclude.map((pattern) => (pattern.includes('/') ? pattern : `**/${pattern}`));
  const found = new Map<string, SourceFile>();
  for (const path of paths) {
    const files = isRemote(path) ? await downloaded(path, remote) : await expand(path, ignore, onWarning);
    for (const { file, identity } of files) {
      if (!found.has(identity)) found.set(identity, file);
    }
  }
  const files = [...found.values()];
  if (files.length === 0) {
    throw new DataError(`${paths.join(', ') || 'data'}: no text files left; give some, or exclude fewer`);
  }
  if (files.every(({ bytes }) => bytes === 0)) {
    throw new DataError(`${files[0]!.name}: contains no text: it is empty (0 bytes); fill it, or give another file`);
  }
  return files;
}

/** The files in both `a` and `b`, possibly under two names. */
export async function sharedSources(a: readonly SourceFile[], b: readonly SourceFile[]): Promise<string[]> {
  const identities = new Set(await Promise.all(a.map(async ({ path }) => (await found(path)).identity)));
  const shared = await Promise.all(b.map(({ path, name }) => found(path, name)));
  return shared.filter(({ identity }) => identities.has(identity)).map(({ file }) => file.name);
}

/** A file, and its identity, which is the same for all links to it. */
interface Found {
  file: SourceFile;
  identity: string;
}

async function found(path: string, name = path): Promise<Found> {
  try {
    const { size, mtimeMs } = await stat(path);
    const { dev, ino } = await stat(path, { bigint: true });
    return { file: { path, name, bytes: size, modifiedMs: mtimeMs }, identity: `${dev} ${ino}` };
  } catch (cause) {
    throw cannotRead(path, cause);
  }
}

async function downloaded(name: string, options: RemoteOptions): Promise<Found[]> {
  const texts = await fetchTexts(name, options);
  return Promise.all(texts.map(({ path, source }) => found(resolve(path), source)));
}

async function expand(path: string, ignore: string[], onWarning: (message: string) => void): Promise<Found[]> {
  const kind = await kindOf(path);
  if (kind === 'missing' && !isDynamicPattern(path)) {
    throw new DataError(`${path}: no such file or folder; paths are relative to ${process.cwd()}`);
  }
  if (kind === 'file') {
    if (!isTextFile(path)) {
      throw new DataError(`${path}: not a text file that taper reads (${textEndings.join(' ')})${conversion(path)}`);
    }
    const kept = await glob(escapePath(basename(path)), { cwd: dirname(resolve(path)), ignore, dot: true });
    return kept.length > 0 ? [await found(resolve(path))] : [];
  }
  const files = await search(path, kind === 'folder', ignore, onWarning);
  const texts = await Promise.all(files.filter(isTextFile).map((file) => found(resolve(file))));
  const others = files.filter((file) => !isTextFile(file));
  if (kind === 'folder' && texts.length > 0 && others.length > 0) {
    const names = others.slice(0, maxNamed).map((file) => basename(file));
    const more = others.length > maxNamed ? ' …' : '';
    onWarning(`${path}: left out ${counted(others.length, 'file')} of other types: ${names.join(', ')}${more}`);
  }
  const filled = texts.filter(({ file }) => file.bytes > 0); // nothing is lost by skipping an empty one
  if (filled.length === 0) throw nothingIn(path, files.length, texts.length);
  return onePathEach(filled);
}

/** By its path, so that the command works in any folder. */
const csvParser = createRequire(import.meta.url).resolve('csv-parse/sync');

/** How a table becomes JSON lines, whose text `data.textField` names. */
function conversion(path: string): string {
  const [ending] = /\.[ct]sv$/i.exec(path) ?? [];
  if (ending === undefined) return '';
  const other = foreignKind(path);
  if (other !== undefined) return `; it is ${other}`;
  const options = /t/i.test(ending) ? 'delimiter: "\\t", quote: null, ' : '';
  const script = `for (const row of require(${JSON.stringify(csvParser)}).parse(fs.readFileSync(${JSON.stringify(path)}), { ${options}columns: true, bom: true })) console.log(JSON.stringify(row))`;
  const lines = `${path.slice(0, -ending.length)}.jsonl`;
  const use = `give ${commandText([lines])} with --set data.textField=COLUMN`;
  return `; convert the table, then ${use}: ${commandText(['node', '-e', script])} > ${commandText([lines])}`;
}

/** The files of a folder, or those that a pattern names. */
async function search(
  path: string,
  isFolder: boolean,
  ignore: string[],
  onWarning: (message: string) => void,
): Promise<string[]> {
  const passedOver = new Set<string>();
  let unreadable: DataError | undefined;
  // tinyglobby silently skips what it cannot read, and does not support names that are not UTF-8.
  const list = (folder: string, _: unknown, done: (error: Error | null, entries: unknown[]) => void) => {
    readdir(folder, { withFileTypes: true, encoding: 'buffer' }, (error, entries = []) => {
      if (error && !/^(?:ENOENT|ENOTDIR)$/.test(codeOf(error))) unreadable ??= cannotRead(folder, error);
      const known = entries.filter((entry) => {
        const name = nameOf(entry.name as unknown as Buffer);
        const wanted = entry.isDirectory() || isTextFile(name.text);
        const isThere = !entry.isSymbolicLink() || leadsSomewhere(join(folder, name.text));
        if (wanted && !name.isUtf8) passedOver.add(`${join(folder, name.text)} has a name that is not UTF-8`);
        else if (wanted && !isThere) passedOver.add(`${join(folder, name.text)} is a broken link`);
        return name.isUtf8 && isThere;
      });
      const named = known.map((entry) => Object.assign(entry, { name: String(entry.name) }));
      done(error, named);
    });
  };
  const fs = { readdir: list as unknown as NonNullable<NonNullable<GlobOptions['fs']>['readdir']> };
  const files = isFolder
    ? await glob('**/*', { cwd: resolve(path), absolute: true, ignore, fs })
    : await glob(path, { absolute: true, ignore, fs });
  if (unreadable) throw unreadable;
  if (passedOver.size > 0) {
    const named = [...passedOver].slice(0, maxNamed).join('; ');
    const others = passedOver.size > maxNamed ? `; and ${passedOver.size - maxNamed} more` : '';
    onWarning(`${path}: ${counted(passedOver.size, 'entry', 'entries')} left out: ${named}${others}`);
  }
  return files;
}

function leadsSomewhere(link: string): boolean {
  try {
    return statSync(link, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    return codeOf(cause) !== 'ELOOP';
  }
}

/** Found files by name; of several paths to one file, the one through the fewest folders. */
function onePathEach(files: readonly Found[]): Found[] {
  const depth = ({ file }: Found) => file.path.split('/').length;
  const byName = (a: Found, b: Found) => (a.file.path < b.file.path ? -1 : 1);
  const nearest = [...files].sort((a, b) => depth(a) - depth(b) || byName(a, b));
  const first = new Map<string, Found>();
  for (const file of nearest) if (!first.has(file.identity)) first.set(file.identity, file);
  return [...first.values()].sort(byName);
}

function nothingIn(path: string, numFiles: number, numEmpty: number): DataError {
  const endings = textEndings.join(' ');
  if (numEmpty > 0) {
    const those = numEmpty === 1 ? 'which is empty' : 'all empty';
    return new DataError(
      `${path}: contains ${counted(numEmpty, 'text file')}, ${those} (0 bytes); add text, or give another path`,
    );
  }
  if (numFiles === 0) return new DataError(`${path}: matches 0 files; expected files that end in ${endings}`);
  const none = numFiles === 1 ? 'which does not end' : 'none of which end';
  return new DataError(
    `${path}: matches ${counted(numFiles, 'file')}, ${none} in ${endings}; save documents as plain text (.txt)`,
  );
}

/** A file name, its bytes that are not UTF-8 escaped. */
function nameOf(bytes: Buffer): { text: string; isUtf8: boolean } {
  const text = bytes.toString();
  if (Buffer.from(text).equals(bytes)) return { text, isUtf8: true };
  const escaped = bytes
    .toString('latin1')
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return { text: escaped, isUtf8: false };
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'missing'> {
  try {
    const stats = await stat(path);
    await access(path, constants.R_OK);
    if (stats.isDirectory()) return 'folder';
    if (stats.isFile()) return 'file';
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
    throw cannotRead(path, cause);
  }
  throw new DataError(`${path}: is neither a file nor a folder; write its text to a file and give that`);
}

function cannotRead(path: string, cause: unknown): DataError {
  return new DataError(`${path}: cannot be read (${codeOf(cause)}); check its permissions`, { cause });
}

function codeOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : '';
}
