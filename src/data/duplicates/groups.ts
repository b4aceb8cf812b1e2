/** Groups documents by a hash: 8 bytes per document. */
export class HashGroups {
  readonly #entries: BigUint64Array<ArrayBuffer>;
  /** The document and the hash of each entry: both halves, on a little-endian machine. */
  readonly #halves: Uint32Array;
  #count = 0;

  constructor(documents: number) {
    this.#entries = new BigUint64Array(documents);
    this.#halves = new Uint32Array(this.#entries.buffer);
  }

  add(document: number, hash: number): void {
    this.#halves[2 * this.#count] = document;
    this.#halves[2 * this.#count + 1] = hash;
    this.#count++;
  }

  /** The documents that share a hash, in ascending order, for each hash with two or more. Clears all entries. */
  *take(): Generator<Uint32Array> {
    const count = this.#count;
    const halves = this.#halves;
    this.#entries.subarray(0, count).sort();
    this.#count = 0;
    let start = 0;
    for (let end = 1; end <= count; end++) {
      if (end < count && halves[2 * end + 1] === halves[2 * start + 1]) continue;
      if (end - start > 1) yield Uint32Array.from({ length: end - start }, (_, i) => halves[2 * (start + i)]!);
      start = end;
    }
  }
}
