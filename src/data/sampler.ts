import { drawSeed, philox4x32, type SampleKey, Stream, seedKey } from '../random/index.ts';

const rounds = 8;

/** How many samples are read in blocks. */
interface Blocks {
  /** Neighbouring samples that stay together: of 128 tokens 2¹³ take 2 MB on disk. */
  groupSize: number;
  /** Groups whose samples are mixed with each other, at least. */
  groupsPerBlock: number;
}

const blocksOfRuns: Blocks = { groupSize: 2 ** 13, groupsPerBlock: 128 };

/** What a permutation depends on. */
export interface OrderKey {
  seed: number;
  epoch: number;
  /** What it is for; the order of samples where nothing is said. */
  stream?: number;
  /** Its number among those of one seed, epoch and stream. */
  block?: number;
}

/**
 * Where `index` goes in a pseudo-random permutation of 0 … count−1 that is a pure function of (seed, epoch).
 * A Feistel network over Philox permutes 0 … 4^h−1, the least power of four that holds `count`; a result outside
 * 0 … count−1 is permuted again (cycle walking), under four times on average. No memory, any index at once.
 * Source: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
 */
export function permute(
  index: number,
  count: number,
  { seed, epoch, stream = Stream.order, block = 0 }: OrderKey,
): number {
  const key = seedKey(seed);
  const halfBits = Math.max(1, Math.ceil(Math.log2(count) / 2));
  const half = 2 ** halfBits;
  let walked = index;
  do {
    let left = Math.floor(walked / half);
    let right = walked % half;
    for (let round = 0; round < rounds; round++) {
      const mixed = philox4x32([right, block * rounds + round, epoch, stream], key)[0] % half;
      [left, right] = [right, (left ^ mixed) >>> 0];
    }
    walked = left * half + right;
  } while (walked >= count);
  return walked;
}

/** Whether `count` samples are read in blocks: 2²¹ or more, for blocks of the usual size. */
export function isReadInBlocks(count: number, { groupSize, groupsPerBlock } = blocksOfRuns): boolean {
  return count >= 2 * groupsPerBlock * groupSize;
}

/**
 * The epoch and the sample at a global position of a run, counted from 0: each epoch visits each of the `count`
 * samples once, in an order of its own that depends on (seed, epoch) alone.
 *
 * Fewer than 2²¹ samples are permuted as one. More are read in blocks, so that a file system is asked for few places at a time.
 */
export function sampleAt(
  position: number,
  { count, seed }: { count: number; seed: number },
): { epoch: number; index: number } {
  const epoch = Math.floor(position / count);
  const order = isReadInBlocks(count) ? permuteInBlocks : permute;
  return { epoch, index: order(position % count, count, { seed, epoch }) };
}

/** The samples of a text at the positions of a run. */
export function inEpochs(count: number): (position: number, seed: number) => SampleKey {
  return (position, seed) => {
    const { epoch, index } = sampleAt(position, { count, seed });
    return { seed, epoch, sample: index };
  };
}

/**
 * Where `index` goes in a permutation of 0 … count−1 that stays in few places of it for long: groups of neighbours are permuted, and
 * then what is in each block of groups. All is a ring, which each epoch cuts into groups from another place on; what is left behind
 * the last whole group comes with the last block.
 */
export function permuteInBlocks(
  index: number,
  count: number,
  { seed, epoch }: { seed: number; epoch: number },
  { groupSize, groupsPerBlock } = blocksOfRuns,
): number {
  const groups = Math.floor(count / groupSize);
  const blocks = Math.floor(groups / groupsPerBlock);
  const startOf = (block: number) => (block === blocks ? count : Math.floor((block * groups) / blocks) * groupSize);
  const group = Math.min(Math.floor(index / groupSize), groups - 1);
  const block = Math.ceil(((group + 1) * blocks) / groups) - 1; // the last one with startOf(block) ≤ index
  const start = startOf(block);
  const mixed = start + permute(index - start, startOf(block + 1) - start, { seed, epoch, block });
  const [from, within] = [Math.floor(mixed / groupSize), mixed % groupSize];
  const to = from < groups ? permute(from, groups, { seed, epoch, stream: Stream.group }) : from;
  const turn = drawSeed([0, 0, epoch, Stream.ring], seed) % count;
  return (to * groupSize + within + turn) % count;
}
