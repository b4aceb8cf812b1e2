import { philox4x32, Stream, seedKey } from './philox.ts';

/**
 * The gates of one micro-batch: block l runs iff `u < p_l`, with u uniform on [0, 1).
 * `u = philox(counter: (step, microBatch, l, Stream.gate), key: seed)[0] / 2³²`, so a gate has no hidden state: a resumed
 * run, another rank or a replay draws the same one, and it does not move when other keep rates change.
 * `step`, `microBatch` and the block are integers in 0 … 2³²−1 (larger ones would wrap around), the seed one in
 * 0 … 2⁵³−1. Throws a RangeError for another seed.
 */
export function drawGates(options: {
  seed: number;
  step: number;
  microBatch: number;
  keepRates: readonly number[];
}): boolean[] {
  const { step, microBatch, keepRates } = options;
  const key = seedKey(options.seed);
  return keepRates.map((keepRate, block) => {
    const [word] = philox4x32([step, microBatch, block, Stream.gate], key);
    return word / 2 ** 32 < keepRate;
  });
}
