import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const bufferBytes = 2 ** 20;

/** Records of one size in a file, each written once, one after another, and read at any position. */
export class RecordFile {
  readonly recordBytes: number;
  count = 0;
  readonly #descriptor: number;
  readonly #buffer: Buffer<ArrayBuffer>;
  #filled = 0;

  constructor(path: string, recordBytes: number) {
    this.recordBytes = recordBytes;
    this.#descriptor = openSync(path, 'wx+');
    this.#buffer = Buffer.alloc(bufferBytes - (bufferBytes % recordBytes));
  }

  /** Appends a record, which `fill` writes into. */
  append(fill: (record: Buffer<ArrayBuffer>) => void): void {
    fill(this.#buffer.subarray(this.#filled, this.#filled + this.recordBytes));
    this.#filled += this.recordBytes;
    this.count++;
    if (this.#filled === this.#buffer.length) this.#flush();
  }

  /** Reads a record that was appended. */
  read(number: number, into: Uint8Array): void {
    this.#flush();
    readSync(this.#descriptor, into, 0, this.recordBytes, number * this.recordBytes);
  }

  /** All records, or `count` from `first` on, many at a time; each block is valid until the next one. */
  *blocks(first = 0, count = this.count): Generator<Buffer<ArrayBuffer>> {
    this.#flush();
    const block = Buffer.alloc(this.#buffer.length);
    const end = Math.min(first + count, this.count) * this.recordBytes;
    for (let at = first * this.recordBytes; at < end; at += block.length)
      yield block.subarray(0, readSync(this.#descriptor, block, 0, Math.min(block.length, end - at), at));
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }

  #flush(): void {
    for (let done = 0; done < this.#filled; )
      done += writeSync(this.#descriptor, this.#buffer, done, this.#filled - done);
    this.#filled = 0;
  }
}
