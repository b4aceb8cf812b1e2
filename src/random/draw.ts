import { philox4x32, seedKey } from './philox.ts';

/** What a sample's random numbers depend on, besides what they are for. */
export interface SampleKey {
  seed: number;
  epoch: number;
  sample: number;
}

/** A function that returns uniform random integers in 0 … bound−1, one after another. */
export type Draw = (bound: number) => number;

/**
 * The random integers of one sample for one use: the n-th one is a pure function of (seed, epoch, sample, stream, n).
 * Each is `floor(word · bound / 2³²)` of a Philox word, so its bias is below `bound / 2³²`.
 */
export function drawFor({ seed, epoch, sample }: SampleKey, stream: number): Draw {
  const key = seedKey(seed);
  let words: readonly number[] = [];
  let drawn = 0;
  return (bound) => {
    if (drawn % 4 === 0) words = philox4x32([drawn / 4, sample, epoch, stream], key);
    const word = words[drawn % 4]!;
    drawn++;
    return Math.floor((word / 2 ** 32) * bound);
  };
}
