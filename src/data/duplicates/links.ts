import { RecordFile } from './record-file.ts';

/** Pairs sorted at once: 32 MB. */
const pairsPerRun = 2 ** 22;
const none = -1;

/**
 * Pairs of similar documents, each with an earlier one, in a file of sorted runs: 8 bytes per pair, and 4 bytes of memory per
 * document.
 */
export class Links {
  readonly #file: RecordFile;
  /** The document that each was last linked to: bands mostly find the same pairs. */
  readonly #last: Int32Array;
  /** The pairs that are not in a run yet: the earlier document in the lower half, on a little-endian machine. */
  readonly #waiting: BigUint64Array<ArrayBuffer>;
  readonly #halves: Uint32Array;
  #count = 0;

  constructor(path: string, documents: number, perRun: number = pairsPerRun) {
    this.#file = new RecordFile(path, 8);
    this.#last = new Int32Array(documents).fill(none);
    this.#waiting = new BigUint64Array(perRun);
    this.#halves = new Uint32Array(this.#waiting.buffer);
  }

  add(document: number, earlier: number): void {
    if (this.#last[document] === earlier) return;
    this.#last[document] = earlier;
    this.#halves[2 * this.#count] = earlier;
    this.#halves[2 * this.#count + 1] = document;
    this.#count++;
    if (this.#count === this.#waiting.length) this.#endRun();
  }

  /** All pairs, once no more are added, in the order of the documents, and for each by the earlier one. */
  *sorted(): Generator<{ document: number; earlier: number }> {
    this.#endRun();
    const perRun = this.#waiting.length;
    const numRuns = Math.ceil(this.#file.count / perRun);
    const runs = Array.from({ length: numRuns }, (_, run) => pairsOf(this.#file.blocks(run * perRun, perRun)));
    for (const pair of mergeAll(runs)) yield { document: Number(pair >> 32n), earlier: Number(pair & 0xffffffffn) };
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #endRun(): void {
    for (const pair of this.#waiting.subarray(0, this.#count).sort())
      this.#file.append((record) => record.writeBigUInt64LE(pair));
    this.#count = 0;
  }
}

function* pairsOf(blocks: Iterable<Buffer>): Generator<bigint> {
  for (const block of blocks) for (let at = 0; at < block.length; at += 8) yield block.readBigUInt64LE(at);
}

/** Ascending sequences as one, merged two by two. */
function mergeAll(runs: readonly Generator<bigint>[]): Iterable<bigint> {
  if (runs.length < 2) return runs[0] ?? [];
  const half = runs.length >> 1;
  return merge(mergeAll(runs.slice(0, half)), mergeAll(runs.slice(half)));
}

function* merge(first: Iterable<bigint>, second: Iterable<bigint>): Generator<bigint> {
  const [a, b] = [first[Symbol.iterator](), second[Symbol.iterator]()];
  let [x, y] = [a.next(), b.next()];
  while (!x.done || !y.done) {
    if (y.done || (!x.done && x.value <= y.value)) {
      yield x.value;
      x = a.next();
    } else {
      yield y.value;
      y = b.next();
    }
  }
}
