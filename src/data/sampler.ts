import { philox4x32, Stream, seedKey } from '../random/index.ts';

const rounds = 8;

/**
 * Where `index` goes in a pseudo-random permutation of 0 … count−1 that is a pure function of (seed, epoch).
 * A Feistel network over Philox permutes 0 … 4^h−1, the least power of four that holds `count`; a result outside
 * 0 … count−1 is permuted again (cycle walking), under four times on average. No memory, any index at once.
 * Source: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
 */
export function permute(index: number, count: number, { seed, epoch }: { seed: number; epoch: number }): number {
  const key = seedKey(seed);
  const halfBits = Math.max(1, Math.ceil(Math.log2(count) / 2));
  const half = 2 ** halfBits;
  let walked = index;
  do {
    let left = Math.floor(walked / half);
    let right = walked % half;
    for (let round = 0; round < rounds; round++) {
      const mixed = philox4x32([right, round, epoch, Stream.order], key)[0] % half;
      [left, right] = [right, (left ^ mixed) >>> 0];
    }
    walked = left * half + right;
  } while (walked >= count);
  return walked;
}

/**
 * The epoch and the sample at a global position of a run, counted from 0: each epoch visits each of the `count`
 * samples once, in an order of its own that depends on (seed, epoch) alone.
 */
export function sampleAt(
  position: number,
  { count, seed }: { count: number; seed: number },
): { epoch: number; index: number } {
  const epoch = Math.floor(position / count);
  return { epoch, index: permute(position % count, count, { seed, epoch }) };
}
