import { philox4x32, Stream, seedKey } from '../random/index.ts';

/** On which sequences of a micro-batch a block runs: all of them, none, or those with these numbers, in rising order. */
export type Gate = boolean | readonly number[];

/** What one gate decides for: a whole micro-batch, or single sequences of it. */
export type Granularity = 'batch' | 'sequence';

/**
 * The gates of one micro-batch of N sequences, as pure functions of (seed, step, micro-batch, block):
 * `(w₀, w₁, w₂, w₃) = philox(counter: (step, microBatch, l, Stream.gate), key: seed)`, `u = w₀ / 2³²`. Nothing is hidden:
 * a resumed run, another rank or a replay draws the same gates, and none moves when other keep rates change.
 *
 * `batch`: block l runs iff `u < p_l`. `sequence`: it runs on `⌊p_l·N + u⌋` sequences, whose mean is `p_l·N`: on those
 * with the smallest words of `philox(counter: (n, 0, 0, Stream.gate), key: (w₂, w₃))`, so each with probability p_l.
 *
 * `step`, `microBatch` and the block are integers in 0 … 2³²−1 (larger ones would wrap around), the seed one in
 * 0 … 2⁵³−1.
 *
 * @throws RangeError for another seed.
 */
export function drawGates(options: {
  seed: number;
  step: number;
  microBatch: number;
  keepRates: readonly number[];
  granularity: Granularity;
  /** N */
  sequences: number;
}): Gate[] {
  const { step, microBatch, keepRates, granularity, sequences } = options;
  const key = seedKey(options.seed);
  return keepRates.map((keepRate, block) => {
    const [word, , ...subsetKey] = philox4x32([step, microBatch, block, Stream.gate], key);
    const u = word / 2 ** 32;
    if (granularity === 'batch') return u < keepRate;
    const count = Math.floor(keepRate * sequences + u);
    return count === sequences || (count > 0 && randomSubset(count, sequences, subsetKey));
  });
}

/** `count` of the numbers 0 … of − 1, in rising order, every set of them as likely. */
function randomSubset(count: number, of: number, key: readonly [number, number]): number[] {
  const words = Array.from({ length: of }, (_, n) => philox4x32([n, 0, 0, Stream.gate], key)[0]);
  const shuffled = [...words.keys()].sort((a, b) => words[a]! - words[b]!);
  return shuffled.slice(0, count).sort((a, b) => a - b);
}

/** A gate for the sequences `first` … `first + count − 1` of its micro-batch, which are numbered from 0 again. */
export function partOfGate(gate: Gate, first: number, count: number): Gate {
  if (typeof gate === 'boolean') return gate;
  const rows = gate.map((row) => row - first).filter((row) => row >= 0 && row < count);
  return rows.length === count || (rows.length > 0 && rows);
}

/** The part of a micro-batch of N sequences that a gate lets through, 0 to 1. */
export function openShare(gate: Gate, sequences: number): number {
  return typeof gate === 'boolean' ? Number(gate) : gate.length / sequences;
}
