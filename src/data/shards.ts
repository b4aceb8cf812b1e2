import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, OutputError } from '../errors/index.ts';
import { makeFolder } from '../files/index.ts';
import type { DownloadProgress } from '../hub/index.ts';
import { type Corpus, type CorpusIndex, corpusFormat, openCorpus } from './corpus.ts';
import { listSources } from './listing.ts';
import { LengthsWriter, ShardWriter, sha256, writeWhole } from './shard-writer.ts';
import { type DocumentPart, readAllParts, type SourceFile } from './sources.ts';
import type { TextTokenizer } from './tokenizer.ts';
import { DamagedError } from './verified-file.ts';
import { countCharacters } from './words.ts';

const batchCharacters = 1 << 20;
const dayMs = 24 * 60 * 60 * 1000;

/** The progress of tokenising a corpus. */
export interface PrepareProgress {
  /** Bytes of the source files on disk. */
  sourceBytes: number;
  sourceBytesDone: number;
  /** Bytes of text, documents and tokens so far. */
  textBytes: number;
  documents: number;
  tokens: number;
}

/** The tokenizer, and where the result is kept. */
export interface TokeniseOptions {
  tokenizer: TextTokenizer;
  /** Corpora are kept below it, a folder for each tokenizer and set of source files. */
  cacheDir: string;
  tokensPerShard?: number;
  /** Bytes verified at once. Default: 1 MiB. */
  chunkBytes?: number;
  onProgress?: (progress: PrepareProgress) => void;
  onWarning?: (message: string) => void;
}

/** What is tokenised. */
export interface PrepareOptions extends TokeniseOptions {
  /** Files, folders and globs, data sets on the Hugging Face Hub, and addresses. */
  paths: readonly string[];
  /** Globs of files to leave out. */
  exclude?: readonly string[];
  /** The text field or column of structured files. Default: `text`. */
  textField?: string;
  /** Called with the progress of downloads. */
  onDownload?: (progress: DownloadProgress) => void;
}

/** A document: its text, or its tokens. */
export type Document = string | readonly number[] | Int32Array;

/** A program's documents, always in the same order; they are read again each time a run starts or resumes. */
export type Documents = (Iterable<Document> | AsyncIterable<Document>) & {
  /** Their name in messages; a resumed run compares it. */
  name: string;
};

/**
 * Tokenises text files into a corpus on disk and opens it; if that was done before and no source changed, only opens it. A
 * damaged corpus is prepared again, with a warning. It is built in a temporary folder and renamed, so that a crash leaves nothing
 * incomplete.
 *
 * @throws DataError for bad sources.
 * @throws OutputError if the cache folder cannot be written.
 */
export async function prepareCorpus(options: PrepareOptions): Promise<Corpus> {
  return prepareFiles(await listSources(options.paths, options), options);
}

/**
 * `prepareCorpus` with files that are listed already.
 *
 * @throws DataError for bad sources.
 * @throws OutputError if the cache folder cannot be written.
 */
export async function prepareFiles(
  files: readonly SourceFile[],
  options: TokeniseOptions & Pick<PrepareOptions, 'textField'>,
): Promise<Corpus> {
  const { tokenizer, cacheDir, textField = 'text', onWarning = () => {} } = options;
  const sources = sha256(JSON.stringify([textField, files]));
  const folder = join(cacheDir, sha256(`${corpusFormat} ${tokenizer.hash} ${sources}`).slice(0, 16));
  return inCache(cacheDir, async () => {
    const kept = openKept(folder, onWarning);
    if (kept) return withBlanks(kept, onWarning);
    using building = newFolder(cacheDir, 'corpus');
    const blank: CorpusIndex['blank'] = { documents: 0 };
    const progress = noProgress(files.reduce((total, { bytes }) => total + bytes, 0));
    const parts = readAllParts(files, {
      textField,
      onRead: (bytes) => {
        progress.sourceBytesDone += bytes;
      },
      onBlank: (where) => {
        blank.documents += 1;
        blank.first ??= where;
      },
    });
    await build(building.path, parts, { ...options, sources, blank, progress });
    publish(building.path, folder);
    return withBlanks(openCorpus(folder), onWarning);
  });
}

/**
 * Tokenises a program's documents into a corpus on disk, which is named after its contents, and opens it.
 *
 * @throws DataError if there is no text, or a token that the tokenizer does not have.
 * @throws OutputError if the cache folder cannot be written.
 */
export async function prepareDocuments(documents: Documents, options: TokeniseOptions): Promise<Corpus> {
  const { tokenizer, cacheDir } = options;
  const sources = sha256(documents.name);
  return inCache(cacheDir, async () => {
    using building = newFolder(cacheDir, 'corpus');
    const blank: CorpusIndex['blank'] = { documents: 0 };
    const parts = partsOf(documents, tokenizer.vocabSize, blank);
    const index = await build(building.path, parts, { ...options, sources, blank, progress: noProgress(0) });
    if (index.tokens === 0)
      throw new DataError(
        `samples ${documents.name}: contain no text; give at least one document, and an iterable that can be read more than once`,
      );
    const content = [tokenizer.hash, index.lengths.sha256, ...index.shards.map((shard) => shard.sha256)];
    const folder = join(cacheDir, sha256(`${corpusFormat} ${content.join(' ')}`).slice(0, 16));
    const warn = options.onWarning ?? (() => {});
    const kept = openKept(folder, warn);
    if (!kept) publish(building.path, folder);
    return withBlanks(kept ?? openCorpus(folder), warn);
  });
}

/** A part of a document: its text, or its tokens if they are known. */
type Part = DocumentPart & { ids?: Int32Array };

async function* partsOf(documents: Documents, vocabSize: number, blank: CorpusIndex['blank']): AsyncGenerator<Part> {
  let number = 0;
  const where = () => `samples ${documents.name}, document ${number}`;
  try {
    for await (const document of documents) {
      number += 1;
      if (typeof document !== 'string' && !ArrayBuffer.isView(document) && !Array.isArray(document))
        throw new DataError(`${where()}: is neither a text nor a list of tokens; give a string or token ids`);
      if (typeof document === 'string' ? document.trim() === '' : document.length === 0) {
        blank.documents += 1;
        blank.first ??= where();
      } else if (typeof document === 'string') {
        yield { text: document, endsDocument: true };
      } else {
        const wrong = document.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
        if (wrong !== undefined)
          throw new DataError(`${where()}: has the token ${wrong}, but the tokenizer has 0 to ${vocabSize - 1}`);
        yield { text: '', ids: Int32Array.from(document), endsDocument: true };
      }
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(`${where()}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Turns errors of the cache folder into what the user can do about them. */
export async function inCache<T>(cacheDir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = fileErrorCode(cause);
    if (code === undefined) throw cause;
    const reason = code === 'ENOSPC' || code === 'EDQUOT' ? 'is full' : `cannot be written (${code})`;
    throw new OutputError(`${cacheDir}: ${reason}; free space there, or use another cache folder (data.cache)`, {
      cause,
    });
  }
}

/** A folder of the cache to build something in; it is removed at the end unless it was renamed. */
export function newFolder(cacheDir: string, what: string): { path: string } & Disposable {
  makeFolder(cacheDir);
  removeAbandoned(cacheDir);
  const path = mkdtempSync(join(cacheDir, `${what}.building-`));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const noProgress = (sourceBytes: number): PrepareProgress => ({
  sourceBytes,
  sourceBytesDone: 0,
  textBytes: 0,
  documents: 0,
  tokens: 0,
});

/** Warns about rows and files of a corpus without text. */
function withBlanks(corpus: Corpus, warn: (message: string) => void): Corpus {
  const { documents, blank } = corpus.index;
  if (blank.first !== undefined) {
    const count = (number: number) => number.toLocaleString('en');
    const which =
      blank.documents === 1
        ? `no text and is skipped: ${blank.first}`
        : `no text and are skipped; the first is ${blank.first}`;
    warn(
      `${count(blank.documents)} of ${count(documents + blank.documents)} documents ${blank.documents === 1 ? 'has' : 'have'} ${which}`,
    );
  }
  return corpus;
}

function openKept(folder: string, warn: (message: string) => void): Corpus | undefined {
  if (!existsSync(folder)) return undefined;
  try {
    return openCorpus(folder);
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    warn(`${error.what}; preparing the data again`);
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
}

/** Renames a finished folder, unless another process was faster. */
function publish(building: string, folder: string): void {
  try {
    renameSync(building, folder);
  } catch (cause) {
    const code = fileErrorCode(cause);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw cause;
  }
}

interface BuildOptions extends TokeniseOptions {
  /** The hash of the sources of the parts. */
  sources: string;
  /** Counted while the parts are read, as is `progress.sourceBytesDone`. */
  blank: CorpusIndex['blank'];
  progress: PrepareProgress;
}

async function build(folder: string, parts: AsyncIterable<Part>, options: BuildOptions): Promise<CorpusIndex> {
  const { tokenizer, sources, blank, progress, tokensPerShard = 2 ** 26, chunkBytes = 2 ** 20, onProgress } = options;
  const bytesPerToken = tokenizer.vocabSize <= 2 ** 16 ? 2 : 4;
  const writer = new ShardWriter(folder, { bytesPerToken, tokensPerShard, chunkBytes });
  const lengths = new LengthsWriter(folder, chunkBytes);
  let length = 0;
  let characters = 0;
  let unknownCharacters = 0;
  try {
    for await (const batch of inBatches(parts)) {
      const encoded = await tokenizer.encodeCounted(batch.map(({ text }) => text));
      unknownCharacters += encoded.unknownCharacters;
      for (const [i, { text, ids = encoded.ids[i]!, endsDocument }] of batch.entries()) {
        writer.write(ids);
        length += ids.length;
        progress.textBytes += Buffer.byteLength(text);
        characters += countCharacters(text);
        if (!endsDocument) continue;
        if (length > 0) lengths.push(length);
        length = 0;
      }
      progress.documents = lengths.documents;
      progress.tokens = writer.tokens;
      onProgress?.({ ...progress });
    }
  } catch (error) {
    writer.close();
    lengths.close();
    throw error;
  }
  const { documents, tokens, textBytes } = progress;
  const shards = writer.close();
  const { blockStarts, ...closed } = lengths.close();
  const checksums = Buffer.concat([closed, ...shards].flatMap((file) => file.checksums));
  const index: CorpusIndex = {
    format: corpusFormat,
    tokenizer: tokenizer.hash,
    sources,
    bytesPerToken,
    tokensPerShard,
    documents,
    blank,
    tokens,
    textBytes,
    characters,
    unknownCharacters,
    chunkBytes,
    checksums: writeWhole(folder, 'checksums.bin', checksums),
    blockStarts: writeWhole(folder, 'block-starts.bin', new Uint8Array(Float64Array.from(blockStarts).buffer)),
    lengths: closed.file,
    shards: shards.map(({ file }) => file),
  };
  writeFileSync(join(folder, 'index.json'), `${JSON.stringify(index, null, 2)}\n`);
  return index;
}

async function* inBatches(parts: AsyncIterable<Part>): AsyncGenerator<Part[]> {
  let batch: Part[] = [];
  let characters = 0;
  for await (const part of parts) {
    batch.push(part);
    characters += part.text.length + (part.ids?.length ?? 0);
    if (characters < batchCharacters) continue;
    yield batch;
    batch = [];
    characters = 0;
  }
  if (batch.length > 0) yield batch;
}

/** Removes what crashed processes left, a day after they last wrote. */
function removeAbandoned(cacheDir: string): void {
  for (const name of readdirSync(cacheDir)) {
    const path = join(cacheDir, name);
    if (name.includes('.building-') && (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < Date.now() - dayMs) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

function fileErrorCode(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('syscall' in cause) || !('code' in cause)) return undefined;
  return String(cause.code);
}
