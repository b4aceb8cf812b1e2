import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { counted, DataError } from '../errors/index.ts';

/** Bytes of a SHA-256. */
export const checksumBytes = 32;

/** How many chunks a file of `bytes` has; each has a checksum. */
export const numChunks = (bytes: number, chunkBytes: number) => Math.ceil(bytes / chunkBytes);

/** An open file of a corpus. Each of its chunks is read whole and compared with its checksum before its bytes are first returned. */
export class VerifiedFile {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #bytes: number;
  readonly #chunkBytes: number;
  readonly #checksums: Uint8Array;
  readonly #isVerified: Uint8Array;

  /**
   * Opens a file; `checksums` are the SHA-256 of its chunks, one after another.
   *
   * @throws DataError if it is missing or of another size.
   */
  constructor(
    path: string,
    { bytes, chunkBytes, checksums }: { bytes: number; chunkBytes: number; checksums: Uint8Array },
  ) {
    this.#path = path;
    this.#bytes = bytes;
    this.#chunkBytes = chunkBytes;
    this.#checksums = checksums;
    this.#isVerified = new Uint8Array(numChunks(bytes, chunkBytes));
    try {
      this.#descriptor = openSync(path, 'r');
    } catch (cause) {
      throw new DamagedError(`${path}: it cannot be read`, cause);
    }
    const { size } = fstatSync(this.#descriptor);
    if (size === bytes) return;
    this.close();
    throw new DamagedError(`${path}: it has ${counted(size, 'byte')} instead of ${bytes}`);
  }

  /**
   * Fills `into` with the bytes from `offset` on.
   *
   * @throws DataError if they are damaged, or the file was truncated while open.
   */
  read(offset: number, into: Uint8Array): void {
    for (let chunk = Math.floor(offset / this.#chunkBytes); chunk * this.#chunkBytes < offset + into.length; chunk++)
      this.#verify(chunk);
    this.#fill(offset, into);
  }

  /** Verifies every chunk not read yet. */
  verifyAll(): void {
    for (const chunk of this.#isVerified.keys()) this.#verify(chunk);
  }

  #verify(chunk: number): void {
    if (this.#isVerified[chunk]) return;
    const offset = chunk * this.#chunkBytes;
    const bytes = Buffer.allocUnsafe(Math.min(this.#chunkBytes, this.#bytes - offset));
    this.#fill(offset, bytes);
    const expected = this.#checksums.subarray(chunk * checksumBytes, (chunk + 1) * checksumBytes);
    if (createHash('sha256').update(bytes).digest().compare(expected) !== 0)
      throw new DamagedError(`${this.#path}: the chunk at byte ${offset} does not match its checksum`);
    this.#isVerified[chunk] = 1;
  }

  #fill(offset: number, into: Uint8Array): void {
    if (readSync(this.#descriptor, into, 0, into.length, offset) !== into.length)
      throw new DamagedError(`${this.#path}: it was truncated while in use`);
  }

  /** Closes the file. */
  close(): void {
    closeSync(this.#descriptor);
  }
}

/** A file of a corpus is damaged. */
export class DamagedError extends DataError {
  /** What is wrong, without what to do about it. */
  readonly what: string;
  constructor(what: string, cause?: unknown) {
    super(`${what}; run the same command again (a training run with --resume) to rebuild it`, { cause });
    this.what = what;
  }
}
