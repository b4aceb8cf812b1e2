import { createHash, type Hash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors/index.ts';
import { blockDocuments, type StoredFile } from './corpus.ts';

/** Document lengths written at once. */
const batchLengths = 1 << 16;
/** The most tokens of a document: its length is stored as uint32. */
const mostTokens = 2 ** 32 - 1;

/** A finished file, and the SHA-256 of each of its chunks. */
export interface HashedChunks {
  file: StoredFile;
  checksums: Buffer[];
}

/** A file that counts and hashes what is written to it, as a whole and in chunks. */
class HashedFile {
  readonly #name: string;
  readonly #descriptor: number;
  readonly #chunkBytes: number;
  readonly #hash: Hash = createHash('sha256');
  #chunk: Hash = createHash('sha256');
  #bytes = 0;
  readonly #checksums: Buffer[] = [];

  constructor(folder: string, name: string, chunkBytes: number) {
    this.#name = name;
    this.#chunkBytes = chunkBytes;
    this.#descriptor = openSync(join(folder, name), 'w');
  }

  write(array: NodeJS.TypedArray): void {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    this.#hash.update(bytes);
    for (let done = 0; done < bytes.length; ) {
      const some = bytes.subarray(done, done + this.#chunkBytes - (this.#bytes % this.#chunkBytes));
      this.#chunk.update(some);
      this.#bytes += some.length;
      done += some.length;
      if (this.#bytes % this.#chunkBytes === 0) this.#endChunk();
    }
  }

  close(): HashedChunks {
    if (this.#bytes % this.#chunkBytes > 0) this.#endChunk();
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
    const file = { name: this.#name, bytes: this.#bytes, sha256: this.#hash.digest('hex') };
    return { file, checksums: this.#checksums };
  }

  #endChunk(): void {
    this.#checksums.push(this.#chunk.digest());
    this.#chunk = createHash('sha256');
  }
}

/** Writes a small file. */
export function writeWhole(folder: string, name: string, content: Uint8Array): StoredFile {
  writeFileSync(join(folder, name), content, { flush: true });
  return { name, bytes: content.length, sha256: sha256(content) };
}

/** Writes the lengths of documents, and records where each block of them begins. */
export class LengthsWriter {
  documents = 0;
  readonly #file: HashedFile;
  readonly #blockStarts: number[] = [];
  #tokens = 0;
  #waiting: number[] = [];

  constructor(folder: string, chunkBytes: number) {
    this.#file = new HashedFile(folder, 'documents.bin', chunkBytes);
  }

  /** @throws DataError if the document is too long. */
  push(length: number): void {
    if (length > mostTokens)
      throw new DataError(
        `document ${this.documents + 1}: has ${length.toLocaleString('en')} tokens; the most is ` +
          `${mostTokens.toLocaleString('en')}; split it into several files`,
      );
    if (this.documents % blockDocuments === 0) this.#blockStarts.push(this.#tokens);
    this.documents += 1;
    this.#tokens += length;
    if (this.#waiting.push(length) >= batchLengths) this.#write();
  }

  /** The starts of the blocks are followed by the number of tokens. */
  close(): HashedChunks & { blockStarts: number[] } {
    this.#write();
    return { ...this.#file.close(), blockStarts: [...this.#blockStarts, this.#tokens] };
  }

  #write(): void {
    this.#file.write(Uint32Array.from(this.#waiting));
    this.#waiting = [];
  }
}

/** Writes a stream of tokens in shards of `tokensPerShard`. */
export class ShardWriter {
  tokens = 0;
  readonly #folder: string;
  readonly #bytesPerToken: number;
  readonly #tokensPerShard: number;
  readonly #chunkBytes: number;
  readonly #closed: HashedChunks[] = [];
  #shard: HashedFile | undefined;

  constructor(folder: string, sizes: { bytesPerToken: number; tokensPerShard: number; chunkBytes: number }) {
    this.#folder = folder;
    this.#bytesPerToken = sizes.bytesPerToken;
    this.#tokensPerShard = sizes.tokensPerShard;
    this.#chunkBytes = sizes.chunkBytes;
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

  close(): HashedChunks[] {
    if (this.#shard) this.#closed.push(this.#shard.close());
    this.#shard = undefined;
    return this.#closed;
  }

  #next(): void {
    const name = `tokens-${String(this.close().length).padStart(5, '0')}.bin`;
    this.#shard = new HashedFile(this.#folder, name, this.#chunkBytes);
  }
}

/** The SHA-256 of a text or bytes, in hexadecimal. */
export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
