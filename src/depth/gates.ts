import { philox4x32, Stream, seedKey } from '../random/index.ts';
import { expectedDepth } from './state.ts';

/** On which sequences of a micro-batch a block runs: all of them, none, or those with these numbers, in rising order. */
export type Gate = boolean | readonly number[];

/** What the gates of a micro-batch are drawn from. */
export interface GateDraw {
  seed: number;
  /** Counted from 0. */
  step: number;
  /** Counted from 0 within the step. */
  microBatch: number;
  /** [L] */
  keepRates: readonly number[];
  /** N */
  sequences: number;
}

/** What a gate covers, as `depth.granularity` names it: all that is true of it alone. */
interface NamedGranularity {
  draw(draw: GateDraw): Gate[];
  /** Whether a block may run on some sequences of a micro-batch and not on others. */
  isPerSequence: boolean;
  /** As a model card says it. */
  words: string;
}

/** The values of `depth.granularity`. */
export const granularities = {
  batch: {
    draw: (draw) => draw.keepRates.map((keepRate, block) => wordsOf(draw, block)[0] / 2 ** 32 < keepRate),
    isPerSequence: false,
    words: 'a gate for each batch',
  },
  sequence: {
    draw: (draw) =>
      draw.keepRates.map((keepRate, block) => {
        const { sequences } = draw;
        const [word, , ...subsetKey] = wordsOf(draw, block);
        const count = Math.floor(keepRate * sequences + word / 2 ** 32);
        return count === sequences || (count > 0 && randomSubset(count, sequences, subsetKey));
      }),
    isPerSequence: true,
    words: 'a gate for each sequence',
  },
  exact: {
    draw: systematicSample,
    isPerSequence: false,
    words: 'a fixed number of blocks in each micro-batch, give or take one',
  },
} satisfies Record<string, NamedGranularity>;

/** A name that `depth.granularity` takes. */
export type Granularity = keyof typeof granularities;

/**
 * The gates of one micro-batch of N sequences, as pure functions of (seed, step, micro-batch, block):
 * `(w₀, w₁, w₂, w₃) = philox(counter: (step, microBatch, l, Stream.gate), key: seed)`, `u = w₀ / 2³²`. Nothing is hidden:
 * a resumed run, another rank or a replay draws the same gates.
 *
 * `batch`: block l runs iff `u < p_l`; no gate moves when other keep rates change. `sequence`: it runs on `⌊p_l·N + u⌋`
 * sequences, whose mean is `p_l·N`: on those with the smallest words of `philox(counter: (n, 0, 0, Stream.gate), key: (w₂, w₃))`,
 * so each with probability p_l. `exact`: `⌊Σp⌋` or `⌈Σp⌉` blocks run, block l with probability p_l (systematic sampling;
 * Madow 1949): the blocks are put in a random order, that of their words, and block l runs iff an integer lies in
 * `(S, S + p_l]`, with S the sum of the keep rates before it, of the step's micro-batches before this one, and of u of
 * (step, 0, L). So M micro-batches run `⌊M·Σp⌋` or `⌈M·Σp⌉` blocks together.
 *
 * `step`, `microBatch` and the block are integers in 0 … 2³²−1 (larger ones would wrap around), the seed one in
 * 0 … 2⁵³−1.
 *
 * @throws RangeError for another seed.
 */
export function drawGates({ granularity, ...draw }: GateDraw & { granularity: Granularity }): Gate[] {
  return granularities[granularity].draw(draw);
}

function wordsOf({ seed, step, microBatch }: GateDraw, block: number) {
  return philox4x32([step, microBatch, block, Stream.gate], seedKey(seed));
}

function systematicSample(draw: GateDraw): boolean[] {
  const { keepRates, microBatch } = draw;
  const words = keepRates.map((_, block) => wordsOf(draw, block)[0]);
  const order = [...words.keys()].sort((a, b) => words[a]! - words[b]!);
  // Between two words: where Σp is an integer, rounding does not take the sum over it.
  const start = (wordsOf({ ...draw, microBatch: 0 }, keepRates.length)[0] + 0.5) / 2 ** 32;
  let sum = (start + microBatch * expectedDepth(keepRates)) % 1;
  const gates = new Array<boolean>(keepRates.length);
  for (const block of order) {
    const before = Math.floor(sum);
    sum += keepRates[block]!;
    gates[block] = Math.floor(sum) > before;
  }
  return gates;
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
