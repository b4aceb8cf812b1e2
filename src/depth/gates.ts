import { philox4x32, Stream, seedKey } from '../random/index.ts';
import { expectedDepth } from './state.ts';

/** The sequences of a micro-batch on which a block runs: all, none, or those with these indices, in ascending order. */
export type Gate = boolean | readonly number[];

/** The inputs from which the gates of a micro-batch are drawn. */
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

/** A value of `depth.granularity`: how its gates are drawn and described. */
interface NamedGranularity {
  draw(draw: GateDraw): Gate[];
  /** Whether a block may run on some sequences of a micro-batch and not on others. */
  isPerSequence: boolean;
  /** In words, for a model card. */
  words: string;
}

/** The values of `depth.granularity`. */
export const granularities = {
  batch: {
    draw: (draw) => draw.keepRates.map((keepRate, block) => wordsOf(draw, block)[0] / 2 ** 32 < keepRate),
    isPerSequence: false,
    words: 'one gate per block per micro-batch',
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
    words: 'one gate per block per sequence',
  },
  exact: {
    draw: systematicSample,
    isPerSequence: false,
    words: 'the mean number of blocks in each micro-batch, rounded up or down',
  },
} satisfies Record<string, NamedGranularity>;

/** A name that `depth.granularity` takes. */
export type Granularity = keyof typeof granularities;

/**
 * The gates of one micro-batch of N sequences, as pure functions of (seed, step, micro-batch, block):
 * `(w₀, w₁, w₂, w₃) = philox(counter: (step, microBatch, l, Stream.gate), key: seed)`, `u = w₀ / 2³²`. There is no hidden
 * state: a resumed run, another rank or a replay draws the same gates.
 *
 * `batch`: block l runs iff `u < p_l`; its gate does not depend on other keep rates. `sequence`: it runs on `⌊p_l·N + u⌋`
 * sequences, `p_l·N` on average: those with the smallest words of `philox(counter: (n, 0, 0, Stream.gate), key: (w₂, w₃))`,
 * so each with probability p_l. `exact`: `⌊Σp⌋` or `⌈Σp⌉` blocks run, block l with probability p_l (systematic sampling;
 * Madow 1949): the blocks are ordered by their random words, and block l runs iff an integer lies in
 * `(S, S + p_l]`, with S the sum of the keep rates of the blocks before it and of the step's earlier micro-batches, plus the u of
 * (step, 0, L). So M micro-batches run `⌊M·Σp⌋` or `⌈M·Σp⌉` blocks together.
 *
 * `step`, `microBatch` and the block are integers in 0 … 2³²−1 (larger ones would wrap around); the seed is an integer in
 * 0 … 2⁵³−1.
 *
 * @throws RangeError for a seed outside that range.
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
  // Halfway between two words: if Σp is an integer, rounding errors do not push the sum across it.
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

/** A random subset of `count` of the numbers 0 … of − 1, in ascending order; all subsets are equally likely. */
function randomSubset(count: number, of: number, key: readonly [number, number]): number[] {
  const words = Array.from({ length: of }, (_, n) => philox4x32([n, 0, 0, Stream.gate], key)[0]);
  const shuffled = [...words.keys()].sort((a, b) => words[a]! - words[b]!);
  return shuffled.slice(0, count).sort((a, b) => a - b);
}

/** The gate for the sequences `first` … `first + count − 1` of its micro-batch, renumbered from 0. */
export function partOfGate(gate: Gate, first: number, count: number): Gate {
  if (typeof gate === 'boolean') return gate;
  const rows = gate.map((row) => row - first).filter((row) => row >= 0 && row < count);
  return rows.length === count || (rows.length > 0 && rows);
}

/** The fraction of a micro-batch of N sequences on which a gate is open, 0 to 1. */
export function openShare(gate: Gate, sequences: number): number {
  return typeof gate === 'boolean' ? Number(gate) : gate.length / sequences;
}
