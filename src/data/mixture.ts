import { drawSeed, type SampleKey, Stream } from '../random/index.ts';
import { inEpochs, permute } from './sampler.ts';
import type { Samples } from './samples.ts';
import { lastAtMost, runningSum } from './sums.ts';

/** After every 1,024 sequences each text has had its share to within one sequence; blocks are longer if a share is very small. */
const leastBlock = 1024;

/** The samples of several texts, one text after the other; each text has its own random numbers. */
export function joined(parts: readonly Samples[]): Samples {
  const [first] = parts as [Samples];
  if (parts.length === 1) return first;
  const starts = runningSum(parts, ({ count }) => count);
  const count = starts[parts.length]!;
  const read = ({ seed, epoch, sample }: SampleKey) => {
    const part = lastAtMost(starts.subarray(0, -1), sample);
    return parts[part]!.read({ seed: seedOf(part, seed), epoch, sample: sample - starts[part]! });
  };
  return { ...first, count, at: inEpochs(count), read };
}

/**
 * The samples of several texts, drawn by their shares, which sum to 1: a pure function of (seed, position).
 *
 * Positions are taken in blocks of B. With W_i the sum of the shares before text i, that text has had `⌊W_{i+1}·B·k⌋ − ⌊W_i·B·k⌋`
 * samples before block k, so it is never off by a whole sample; a permutation decides the order within a block. Each text has its
 * own epochs.
 */
export function mixed(parts: readonly Samples[], shares: readonly number[]): Samples {
  if (parts.length === 1) return parts[0]!;
  const limits = runningSum(shares, (share) => share);
  limits[parts.length] = 1; // whatever the rounding
  // At two turns per block on average, no count in a block is negative.
  const size = Math.max(leastBlock, 2 ** Math.ceil(Math.log2(2 / Math.min(...shares))));
  const starts = runningSum(parts, ({ count }) => count);
  const at = (position: number, seed: number): SampleKey => {
    const block = Math.floor(position / size);
    const before = limits.map((limit) => Math.floor(limit * size * block));
    const turns = limits.map((limit, i) => Math.floor(limit * size * (block + 1)) - before[i]!);
    const turn = permute(position % size, size, { seed, epoch: 0, stream: Stream.turn, block });
    const part = lastAtMost(turns.subarray(0, -1), turn);
    const own = before[part + 1]! - before[part]! + turn - turns[part]!;
    const { epoch, sample } = parts[part]!.at(own, seedOf(part, seed));
    return { seed, epoch, sample: starts[part]! + sample };
  };
  return { ...joined(parts), at };
}

const seedOf = (part: number, seed: number) => drawSeed([part, 0, 0, Stream.part], seed);
