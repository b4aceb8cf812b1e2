import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { checksumBytes, DamagedError, numChunks, VerifiedFile } from './verified-file.ts';

/** The version of the layout below and of how texts are read; a corpus of another version is prepared again. */
export const corpusFormat = 3;

/** Documents whose lengths are read at once; the start of each such block is kept in memory. */
export const blockDocuments = 256;

/** A corpus of at most 128 chunks is verified on opening: training reads 128 chunks in its first steps anyway. */
const mostAtOnce = 128;

/** Records in the folder of a corpus what was found damaged while it was in use. */
const damageNote = 'damaged.txt';

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
  chunkBytes: z.int().min(1),
  checksums: storedFileSchema,
  blockStarts: storedFileSchema,
  lengths: storedFileSchema,
  shards: z.array(storedFileSchema),
});

/**
 * The `index.json` of a tokenised corpus: `tokenizer` is the tokenizer's hash, `sources` that of the source files' paths, sizes
 * and times. `lengths` contains the number of tokens of each document as little-endian uint32, `shards` the tokens of all
 * documents one after another as little-endian unsigned integers, `tokensPerShard` in each but the last, so that a document may
 * continue in the next one. `textBytes` counts the text as UTF-8, `characters` its characters without white space, and
 * `unknownCharacters` those of them that became [UNK]. `checksums` contains the SHA-256 of each chunk of `chunkBytes` of
 * `lengths` and then of each shard, `blockStarts` the position of the first token of every 256th document and the number of
 * tokens, as little-endian float64. `blank` counts the rows and files without a text, which are not documents, and names the
 * place of the first one.
 */
export type CorpusIndex = z.infer<typeof indexSchema>;

/** A file of a tokenised corpus. */
export type StoredFile = z.infer<typeof storedFileSchema>;

/** A tokenised corpus on disk: tokens and the lengths of documents can be read from its open files at any position. */
export class Corpus {
  readonly index: CorpusIndex;
  /** [documents / 256 + 1] The position of the first token of every 256th document, and the number of tokens. */
  readonly blockStarts: Float64Array;
  readonly #folder: string;
  readonly #lengths: VerifiedFile;
  readonly #shards: readonly VerifiedFile[];
  #scratch = new Uint8Array(4096);

  /** Takes a verified index and open files; `openCorpus` makes one. */
  constructor(folder: string, index: CorpusIndex, blockStarts: Float64Array, files: readonly VerifiedFile[]) {
    this.#folder = folder;
    this.index = index;
    this.blockStarts = blockStarts;
    [this.#lengths, ...this.#shards] = files as [VerifiedFile, ...VerifiedFile[]];
  }

  /**
   * Fills `into` with the tokens from `start` on.
   *
   * @throws RangeError if they go past the end.
   * @throws DataError if a file is damaged there; the next `prepareCorpus` prepares the corpus again.
   */
  read(start: number, into: Int32Array): void {
    const { tokens, bytesPerToken, tokensPerShard } = this.index;
    if (start < 0 || start + into.length > tokens) {
      throw new RangeError(`Corpus.read: ${start} … ${start + into.length} is outside 0 … ${tokens}`);
    }
    let done = 0;
    while (done < into.length) {
      const shard = Math.floor((start + done) / tokensPerShard);
      const offset = start + done - shard * tokensPerShard;
      const count = Math.min(into.length - done, tokensPerShard - offset);
      const bytes = this.#bytes(this.#shards[shard]!, offset * bytesPerToken, count * bytesPerToken);
      const Tokens = bytesPerToken === 2 ? Uint16Array : Uint32Array;
      into.set(new Tokens(bytes.buffer, bytes.byteOffset, count), done);
      done += count;
    }
  }

  /**
   * [count + 1] The position of the first token of each of `count` documents from `first` on, and the end of the last one.
   *
   * @throws DataError if the file of their lengths is damaged.
   */
  documentStarts(first: number, count: number): Float64Array {
    const block = Math.floor(first / blockDocuments);
    const before = first - block * blockDocuments;
    const bytes = this.#bytes(this.#lengths, 4 * block * blockDocuments, 4 * (before + count));
    const lengths = new Uint32Array(bytes.buffer, bytes.byteOffset, before + count);
    const starts = new Float64Array(count + 1);
    let position = this.blockStarts[block]!;
    for (let i = 0; i < before; i++) position += lengths[i]!;
    starts[0] = position;
    for (let i = 0; i < count; i++) {
      position += lengths[before + i]!;
      starts[i + 1] = position;
    }
    return starts;
  }

  /** Bytes of a file, valid until the next read. Damage is recorded in the folder, so that the next start prepares the corpus again. */
  #bytes(file: VerifiedFile, offset: number, count: number): Uint8Array<ArrayBuffer> {
    if (this.#scratch.length < count) this.#scratch = new Uint8Array(count);
    const bytes = this.#scratch.subarray(0, count);
    try {
      file.read(offset, bytes);
    } catch (error) {
      try {
        writeFileSync(
          join(this.#folder, damageNote),
          error instanceof DamagedError ? error.what : error instanceof Error ? error.message : String(error),
        );
      } catch {} // the folder is read-only: the error still reports the damage
      throw error;
    }
    return bytes;
  }

  /** Closes the files. */
  close(): void {
    for (const file of [this.#lengths, ...this.#shards]) file.close();
  }
}

/**
 * Opens a corpus that `prepareCorpus` made. Sizes are checked now; contents are compared with their checksums chunk by chunk on
 * first read, or now if the corpus is small.
 *
 * @throws DataError if a file is missing or changed.
 */
export function openCorpus(folder: string): Corpus {
  const index = readIndex(folder);
  const note = join(folder, damageNote);
  if (existsSync(note)) throw new DamagedError(readFileSync(note, 'utf8'));
  const { chunkBytes, lengths, shards, tokens, documents } = index;
  const checksums = readWhole(folder, index.checksums);
  const blockStarts = new Float64Array(Uint8Array.from(readWhole(folder, index.blockStarts)).buffer);
  const stored = [lengths, ...shards];
  const chunks = stored.map(({ bytes }) => numChunks(bytes, chunkBytes));
  const totalChunks = chunks.reduce((total, count) => total + count, 0);
  if (
    lengths.bytes !== 4 * documents ||
    blockStarts.length !== Math.ceil(documents / blockDocuments) + 1 ||
    blockStarts.at(-1) !== tokens ||
    shards.reduce((total, { bytes }) => total + bytes, 0) !== tokens * index.bytesPerToken ||
    checksums.length !== totalChunks * checksumBytes
  ) {
    throw new DamagedError(`${join(folder, 'index.json')}: its counts do not match the files`);
  }
  const files: VerifiedFile[] = [];
  try {
    let before = 0;
    for (const [i, { name, bytes }] of stored.entries()) {
      const own = checksums.subarray(before * checksumBytes, (before + chunks[i]!) * checksumBytes);
      before += chunks[i]!;
      files.push(new VerifiedFile(join(folder, name), { bytes, chunkBytes, checksums: own }));
    }
    if (totalChunks <= mostAtOnce) for (const file of files) file.verifyAll();
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
  return new Corpus(folder, index, blockStarts, files);
}

function readIndex(folder: string): CorpusIndex {
  const path = join(folder, 'index.json');
  try {
    return indexSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new DamagedError(`${path}: it is missing, damaged or not of format ${corpusFormat}`, cause);
  }
}

/** A small file, whose checksum is in `index.json`. */
function readWhole(folder: string, { name, bytes, sha256 }: StoredFile): Buffer {
  const path = join(folder, name);
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    throw new DamagedError(`${path}: it cannot be read`, cause);
  }
  if (content.length !== bytes || createHash('sha256').update(content).digest('hex') !== sha256)
    throw new DamagedError(`${path}: its checksum differs from the one in index.json`);
  return content;
}

/** The share of a corpus' characters that its tokenizer cannot represent: the model reads [UNK] there. */
export function unknownShare({
  characters,
  unknownCharacters,
}: Pick<CorpusIndex, 'characters' | 'unknownCharacters'>): number {
  return unknownCharacters / Math.max(1, characters);
}
