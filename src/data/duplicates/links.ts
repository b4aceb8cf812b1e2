import { RecordFile } from './record-file.ts';
import { numBands } from './signature.ts';

/** Pairs that are in memory at once, at most: 32 MB. */
const sortedAtOnce = 2 ** 22;
const none = -1;

/** Pairs of similar documents, of which the second comes before the first, in a file: 8 bytes a pair, and 4 bytes of memory a document. */
export class Links {
  readonly #file: RecordFile;
  /** The last document that each was linked to: bands mostly find the same pairs. */
  readonly #last: Int32Array;
  readonly #atOnce: number;

  constructor(path: string, documents: number, atOnce: number = sortedAtOnce) {
    this.#atOnce = atOnce;
    this.#file = new RecordFile(path, 8);
    this.#last = new Int32Array(documents).fill(none);
  }

  add(document: number, earlier: number): void {
    if (this.#last[document] === earlier) return;
    this.#last[document] = earlier;
    this.#file.append((record) => {
      record.writeUInt32LE(earlier, 0);
      record.writeUInt32LE(document, 4);
    });
  }

  /** All pairs in the order of the documents, and for each by the earlier one. A document has at most one from each band. */
  *sorted(): Generator<{ document: number; earlier: number }> {
    const documents = this.#last.length;
    const width = this.#file.count <= this.#atOnce ? documents : Math.floor(this.#atOnce / numBands);
    for (let first = 0; first < documents; first += width) yield* this.#sortedFrom(first, first + width);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  *#sortedFrom(first: number, end: number): Generator<{ document: number; earlier: number }> {
    const links = new BigUint64Array(Math.min(this.#file.count, this.#atOnce));
    const halves = new Uint32Array(links.buffer);
    let count = 0;
    for (const block of this.#file.blocks()) {
      for (let at = 0; at < block.length; at += 8) {
        const document = block.readUInt32LE(at + 4);
        if (document < first || document >= end) continue;
        halves[2 * count] = block.readUInt32LE(at);
        halves[2 * count + 1] = document;
        count++;
      }
    }
    links.subarray(0, count).sort();
    for (let i = 0; i < count; i++) yield { document: halves[2 * i + 1]!, earlier: halves[2 * i]! };
  }
}
