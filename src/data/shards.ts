import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DataError, OutputError } from '../errors/index.ts';
import { makeFolder } from '../files/index.ts';
import { type Corpus, type CorpusIndex, corpusFormat, openCorpus, type StoredFile } from './corpus.ts';
import { listSources, type SourceFile } from './listing.ts';
import { type ReadOptions, readAllParts } from './sources.ts';
import type { TextTokenizer } from './tokenizer.ts';
import { countCharacters } from './words.ts';

const batchCharacters = 1 << 20;
const dayMs = 24 * 60 * 60 * 1000;

/** How far the tokenisation of a corpus is. */
export interface PrepareProgress {
  /** Bytes of the source files, as they lie on disk. */
  sourceBytes: number;
  sourceBytesDone: number;
  /** Bytes of text, documents and tokens until now. */
  textBytes: number;
  documents: number;
  tokens: number;
}

/** What is tokenised, with what, and where the result is kept. */
export interface PrepareOptions {
  /** Files, folders and globs. */
  paths: readonly string[];
  /** Globs of files to leave out. */
  exclude?: readonly string[];
  /** The field or column of structured files that holds the text; `text` where none is given. */
  textField?: string;
  tokenizer: TextTokenizer;
  /** Corpora are kept below it, a folder for each tokenizer and set of source files. */
  cacheDir: string;
  tokensPerShard?: number;
  onProgress?: (progress: PrepareProgress) => void;
  onWarning?: (message: string) => void;
}

/**
 * Tokenises text files into a corpus on disk and opens it; where that was done before and no source changed, only
 * opens it. A kept corpus that is damaged is made again, with a warning. It is built beside and renamed, so that a
 * crash leaves nothing half.
 * Throws a DataError for bad sources and an OutputError where the cache folder cannot be written.
 */
export async function prepareCorpus(options: PrepareOptions): Promise<Corpus> {
  const { tokenizer, cacheDir, textField = 'text', onWarning = console.warn } = options;
  const files = await listSources(options.paths, options.exclude, onWarning);
  const sources = sha256(JSON.stringify([textField, files]));
  const folder = join(cacheDir, sha256(`${corpusFormat} ${tokenizer.hash} ${sources}`).slice(0, 16));
  let building: string | undefined;
  try {
    const kept = openKept(folder, onWarning);
    if (kept) return withBlanks(kept, onWarning);
    makeFolder(cacheDir);
    removeAbandoned(cacheDir);
    building = mkdtempSync(`${folder}.building-`);
    await build(building, files, sources, { ...options, textField });
    publish(building, folder);
  } catch (cause) {
    const code = fileErrorCode(cause);
    if (code === undefined) throw cause;
    const reason = code === 'ENOSPC' || code === 'EDQUOT' ? 'is full' : `cannot be written (${code})`;
    throw new OutputError(`${cacheDir}: ${reason}; free space there or name another cache folder`, { cause });
  } finally {
    if (building) rmSync(building, { recursive: true, force: true });
  }
  return withBlanks(openCorpus(folder), onWarning);
}

/** Says how many rows and files of a corpus have no text. */
function withBlanks(corpus: Corpus, warn: (message: string) => void): Corpus {
  const { documents, blank } = corpus.index;
  if (blank.first !== undefined) {
    const count = (number: number) => number.toLocaleString('en');
    const which =
      blank.documents === 1
        ? `no text and is left out: ${blank.first}`
        : `no text and are left out; the first is ${blank.first}`;
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
    if (!(error instanceof DataError)) throw error;
    warn(`${error.message}: this is done now`);
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
}

/** Gives a finished folder its name, unless another process was faster. */
function publish(building: string, folder: string): void {
  try {
    renameSync(building, folder);
  } catch (cause) {
    const code = fileErrorCode(cause);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw cause;
  }
}

async function build(
  folder: string,
  files: readonly SourceFile[],
  sources: string,
  { tokenizer, textField, tokensPerShard = 2 ** 26, onProgress }: PrepareOptions & { textField: string },
): Promise<void> {
  const bytesPerToken = tokenizer.vocabSize <= 2 ** 16 ? 2 : 4;
  const writer = new ShardWriter(folder, bytesPerToken, tokensPerShard);
  const lengths: number[] = [];
  let length = 0;
  let characters = 0;
  let unknownCharacters = 0;
  const progress: PrepareProgress = {
    sourceBytes: files.reduce((total, { bytes }) => total + bytes, 0),
    sourceBytesDone: 0,
    textBytes: 0,
    documents: 0,
    tokens: 0,
  };
  const onRead = (bytes: number): void => {
    progress.sourceBytesDone += bytes;
  };
  const blank: CorpusIndex['blank'] = { documents: 0 };
  const onBlank = (where: string): void => {
    blank.documents += 1;
    blank.first ??= where;
  };

  try {
    for await (const parts of inBatches(files, { textField, onRead, onBlank })) {
      const encoded = await tokenizer.encodeCounted(parts.map(({ text }) => text));
      unknownCharacters += encoded.unknownCharacters;
      for (const [i, ids] of encoded.ids.entries()) {
        const { text, endsDocument } = parts[i]!;
        writer.write(ids);
        length += ids.length;
        progress.textBytes += Buffer.byteLength(text);
        characters += countCharacters(text);
        if (!endsDocument) continue;
        if (length > 0) lengths.push(length);
        length = 0;
      }
      progress.documents = lengths.length;
      progress.tokens = writer.tokens;
      onProgress?.({ ...progress });
    }
    const { documents, tokens, textBytes } = progress;
    const lengthsFile = new HashedFile(folder, 'documents.bin');
    lengthsFile.write(Uint32Array.from(lengths));
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
      lengths: lengthsFile.close(),
      shards: writer.close(),
    };
    writeFileSync(join(folder, 'index.json'), `${JSON.stringify(index, null, 2)}\n`);
  } catch (error) {
    writer.close();
    throw error;
  }
}

async function* inBatches(files: readonly SourceFile[], options: ReadOptions) {
  let batch = [];
  let characters = 0;
  for await (const part of readAllParts(files, options)) {
    batch.push(part);
    characters += part.text.length;
    if (characters < batchCharacters) continue;
    yield batch;
    batch = [];
    characters = 0;
  }
  if (batch.length > 0) yield batch;
}

/** A file that counts and hashes what is written to it. */
class HashedFile {
  readonly #name: string;
  readonly #descriptor: number;
  readonly #hash: Hash = createHash('sha256');
  #bytes = 0;

  constructor(folder: string, name: string) {
    this.#name = name;
    this.#descriptor = openSync(join(folder, name), 'w');
  }

  write(array: Uint16Array | Uint32Array): void {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
  }

  close(): StoredFile {
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
    return { name: this.#name, bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }
}

/** Writes a stream of tokens in shards of `tokensPerShard`. */
class ShardWriter {
  tokens = 0;
  readonly #folder: string;
  readonly #bytesPerToken: number;
  readonly #tokensPerShard: number;
  readonly #closed: StoredFile[] = [];
  #shard: HashedFile | undefined;

  constructor(folder: string, bytesPerToken: number, tokensPerShard: number) {
    this.#folder = folder;
    this.#bytesPerToken = bytesPerToken;
    this.#tokensPerShard = tokensPerShard;
  }

  write(ids: Int32Array): void {
    for (let done = 0; done < ids.length; ) {
      const filled = this.tokens % this.#tokensPerShard;
      if (filled === 0) this.#next();
      const some = ids.subarray(done, done + this.#tokensPerShard - filled);
      this.#shard!.write(this.#bytesPerToken === 2 ? Uint16Array.from(some) : Uint32Array.from(some));
      this.tokens += some.length;
      done += some.length;
    }
  }

  close(): StoredFile[] {
    if (this.#shard) this.#closed.push(this.#shard.close());
    this.#shard = undefined;
    return this.#closed;
  }

  #next(): void {
    const name = `tokens-${String(this.close().length).padStart(5, '0')}.bin`;
    this.#shard = new HashedFile(this.#folder, name);
  }
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

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
