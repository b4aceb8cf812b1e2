/**
 * What a random number is for: the fourth word of a Philox counter, so that two uses never share numbers.
 * The other three words are the use's own, for example (step, micro-batch, block) for a gate.
 */
export const Stream = {
  gate: 0,
  dropout: 1,
  mask: 2,
  order: 3,
  pair: 4,
  initialisation: 5,
  generation: 6,
  gap: 7,
  group: 8,
  ring: 9,
  turn: 10,
  part: 11,
} as const;

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9; // golden ratio
const weyl1 = 0xbb67ae85; // √3 − 1
const rounds = 10;

/** The high 32 bits of the 64-bit product of two 32-bit words, by 16-bit halves: a double holds 53 bits only. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (carry >>> 16);
}

/**
 * Philox4x32-10: four random 32-bit words that are a pure function of a counter and a key.
 * Words are integers; only their low 32 bits count. The result's words are unsigned, 0 … 2³²−1.
 * Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let c0 = counter[0] >>> 0;
  let c1 = counter[1] >>> 0;
  let c2 = counter[2] >>> 0;
  let c3 = counter[3] >>> 0;
  let k0 = key[0] | 0;
  let k1 = key[1] | 0;
  for (let round = 0; round < rounds; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0);
    const high1 = multiplyHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + weyl0) | 0;
    k1 = (k1 + weyl1) | 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * The Philox key of a seed: its low and its high 32 bits.
 *
 * @throws RangeError unless the seed is an integer in 0 … 2⁵³−1.
 */
export function seedKey(seed: number): [number, number] {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed: ${seed} is not an integer in 0 … 2^53−1`);
  }
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

/**
 * A seed for another generator, 0 … 2⁵³−1, as a pure function of a counter and a seed.
 *
 * @throws RangeError for a seed that `seedKey` refuses.
 */
export function drawSeed(counter: readonly [number, number, number, number], seed: number): number {
  const [low, high] = philox4x32(counter, seedKey(seed));
  return (high % 2 ** 21) * 2 ** 32 + low;
}
