import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { counted, DataError } from '../errors/index.ts';

/** The number of the layout below and of how texts are read; a corpus of another number is made anew. */
export const corpusFormat = 2;

const storedFileSchema = z.object({ name: z.string(), bytes: z.int().min(0), sha256: z.string() });

const indexSchema = z.object({
  format: z.literal(corpusFormat),
  tokenizer: z.string(),
  sources: z.string(),
  bytesPerToken: z.literal([2, 4]),
  tokensPerShard: z.int().min(1),
  documents: z.int().min(0),
  blank: z.object({ documents: z.int().min(0), first: z.string().optional() }),
  tokens: z.int().min(0),
  textBytes: z.int().min(0),
  characters: z.int().min(0),
  unknownCharacters: z.int().min(0),
  lengths: storedFileSchema,
  shards: z.array(storedFileSchema),
});

/**
 * What `index.json` of a tokenised corpus says: `tokenizer` is the tokenizer's hash, `sources` that of the source
 * files' paths, sizes and times. `lengths` holds the number of tokens of each document as little-endian uint32,
 * `shards` the tokens of all documents one after another as little-endian unsigned integers, `tokensPerShard` in
 * each but the last, so that a document may run on in the next one. `textBytes` counts the text as UTF-8, `characters` its
 * characters without white space, and `unknownCharacters` those of them that became [UNK].
 * `blank` counts the rows and files without a text, which are no documents, and says where the first of them is.
 */
export type CorpusIndex = z.infer<typeof indexSchema>;

/** A file of a tokenised corpus. */
export type StoredFile = z.infer<typeof storedFileSchema>;

/** A tokenised corpus on disk: tokens are read from its open files at any place, only the document index is in memory. */
export class Corpus {
  readonly index: CorpusIndex;
  /** [documents + 1] The position of each document's first token among all tokens, and the number of tokens. */
  readonly documentStarts: Float64Array;
  readonly #descriptors: number[];
  #scratch = Buffer.alloc(4096);

  /** Takes a verified index and open shards; `openCorpus` makes one. */
  constructor(index: CorpusIndex, documentStarts: Float64Array, descriptors: number[]) {
    this.index = index;
    this.documentStarts = documentStarts;
    this.#descriptors = descriptors;
  }

  /**
   * Fills `into` with the tokens from `start` on.
   *
   * @throws RangeError where they go past the end.
   * @throws DataError where a file was cut short while it was open.
   */
  read(start: number, into: Int32Array): void {
    const { tokens, bytesPerToken, tokensPerShard } = this.index;
    if (start < 0 || start + into.length > tokens) {
      throw new RangeError(`Corpus.read: ${start} … ${start + into.length} is outside of 0 … ${tokens}`);
    }
    if (this.#scratch.length < into.length * bytesPerToken) this.#scratch = Buffer.alloc(into.length * bytesPerToken);
    let done = 0;
    while (done < into.length) {
      const shard = Math.floor((start + done) / tokensPerShard);
      const offset = start + done - shard * tokensPerShard;
      const count = Math.min(into.length - done, tokensPerShard - offset);
      const bytes = count * bytesPerToken;
      if (readSync(this.#descriptors[shard]!, this.#scratch, 0, bytes, offset * bytesPerToken) !== bytes) {
        throw new DataError(
          `${this.index.shards[shard]!.name}: was cut short while it was in use; prepare the data again`,
        );
      }
      const Tokens = bytesPerToken === 2 ? Uint16Array : Uint32Array;
      into.set(new Tokens(this.#scratch.buffer, this.#scratch.byteOffset, count), done);
      done += count;
    }
  }

  /** Closes the files. */
  close(): void {
    for (const descriptor of this.#descriptors.splice(0)) closeSync(descriptor);
  }
}

/**
 * Opens a corpus that `prepareCorpus` made, after comparing every file with its checksum (1.5 GB a second).
 *
 * @throws DataError where a file is missing or changed.
 */
export function openCorpus(folder: string): Corpus {
  const index = readIndex(folder);
  const lengths = new Uint32Array(new Uint8Array(readVerified(folder, index.lengths)).buffer);
  const documentStarts = new Float64Array(lengths.length + 1);
  lengths.forEach((length, i) => {
    documentStarts[i + 1] = documentStarts[i]! + length;
  });
  const shardBytes = index.shards.reduce((total, { bytes }) => total + bytes, 0);
  if (
    lengths.length !== index.documents ||
    documentStarts[lengths.length] !== index.tokens ||
    shardBytes !== index.tokens * index.bytesPerToken
  ) {
    throw broken(join(folder, 'index.json'), 'its counts do not fit the shards');
  }
  const descriptors: number[] = [];
  try {
    for (const shard of index.shards) {
      verify(folder, shard);
      descriptors.push(openSync(join(folder, shard.name), 'r'));
    }
  } catch (error) {
    descriptors.forEach(closeSync);
    throw error;
  }
  return new Corpus(index, documentStarts, descriptors);
}

function readIndex(folder: string): CorpusIndex {
  const path = join(folder, 'index.json');
  try {
    return indexSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw broken(path, `it is missing, damaged or not of format ${corpusFormat}`, cause);
  }
}

function readVerified(folder: string, file: StoredFile): Buffer {
  verify(folder, file);
  return readFileSync(join(folder, file.name));
}

function verify(folder: string, file: StoredFile): void {
  const path = join(folder, file.name);
  let descriptor: number;
  try {
    const { size } = statSync(path);
    if (size !== file.bytes) throw broken(path, `it has ${counted(size, 'byte')} instead of ${file.bytes}`);
    descriptor = openSync(path, 'r');
  } catch (cause) {
    throw cause instanceof DataError ? cause : broken(path, 'it cannot be read', cause);
  }
  try {
    const hash = createHash('sha256');
    const chunk = Buffer.alloc(1 << 20);
    for (let count = readSync(descriptor, chunk); count > 0; count = readSync(descriptor, chunk)) {
      hash.update(chunk.subarray(0, count));
    }
    if (hash.digest('hex') !== file.sha256) throw broken(path, 'its checksum differs from the one in index.json');
  } finally {
    closeSync(descriptor);
  }
}

function broken(path: string, reason: string, cause?: unknown): DataError {
  return new DataError(`${path}: ${reason}; prepare the data again`, { cause });
}

/** The part of a corpus' text, by characters, that its tokenizer cannot spell: the model reads [UNK] there. */
export function unknownShare({ characters, unknownCharacters }: CorpusIndex): number {
  return unknownCharacters / Math.max(1, characters);
}
