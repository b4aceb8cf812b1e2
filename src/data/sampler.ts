import { drawSeed, philox4x32, type SampleKey, Stream, seedKey } from '../random/index.ts';

const rounds = 8;

/** The block layout for reading large numbers of samples. */
interface Blocks {
  /** Neighbouring samples that stay together: 2¹³ of 128 tokens take 2 MB on disk. */
  groupSize: number;
  /** The minimum number of groups whose samples are mixed with each other. */
  groupsPerBlock: number;
}

const blocksOfRuns: Blocks = { groupSize: 2 ** 13, groupsPerBlock: 128 };

/** What a permutation depends on. */
export interface OrderKey {
  seed: number;
  epoch: number;
  /** What it is for. Default: the order of samples. */
  stream?: number;
  /** Its number among those of one seed, epoch and stream. */
  block?: number;
}

/**
 * Where `index` goes in a pseudo-random permutation of 0 … count−1 that is a pure function of (seed, epoch). A Feistel network
 * over Philox permutes 0 … 4^h−1, the smallest power of four that is at least `count`; a result outside 0 … count−1 is permuted
 * again (cycle walking), under four times on average. It needs no memory and gives any index directly.
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
 * The epoch and the sample at a global position of a run, counted from 0: each epoch visits each of the `count` samples once, in
 * its own order, which depends only on (seed, epoch).
 *
 * Fewer than 2²¹ samples are permuted as a whole. More are read in blocks, so that only few places of a file are read at a time.
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
 * Where `index` goes in a permutation of 0 … count−1 that stays in few places for long: groups of neighbours are permuted, and
 * then the samples within each block of groups. The samples form a ring, which each epoch splits into groups from another
 * starting point; the samples after the last whole group come with the last block.
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
