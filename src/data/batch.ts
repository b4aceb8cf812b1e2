import type { Mask } from './masking.ts';
import { sampleAt } from './sampler.ts';
import type { Samples } from './samples.ts';

/** What a model takes at once: N sequences of T tokens, padding behind each, and M masked tokens among them. */
export interface MicroBatch {
  /** N */
  numSequences: number;
  /** T */
  sequenceLength: number;
  /** [N·T] */
  inputIds: Int32Array;
  /** [N·T] */
  tokenTypeIds: Int32Array;
  /** [N] Tokens before the padding. */
  lengths: Int32Array;
  /** [M] Positions in N·T, ascending. */
  maskedPositions: Int32Array;
  /** [M] The tokens that stood there. */
  maskedLabels: Int32Array;
  /** [N] 0 where the second segment follows the first, 1 where it does not; only where the samples are pairs. */
  nextSentenceLabels?: Int32Array;
}

/**
 * The micro-batch of the samples at positions `start` … `start + size − 1` of a run with `seed`: the same numbers,
 * however the positions are divided into batches.
 */
export function makeMicroBatch(
  samples: Samples,
  { seed, start, size, mask }: { seed: number; start: number; size: number; mask: Mask },
): MicroBatch {
  const { sequenceLength, tokenizer } = samples;
  const inputIds = new Int32Array(size * sequenceLength).fill(tokenizer.padId);
  const tokenTypeIds = new Int32Array(size * sequenceLength);
  const lengths = new Int32Array(size);
  const maskedPositions: number[] = [];
  const maskedLabels: number[] = [];
  const nextSentenceLabels: number[] = [];
  for (let row = 0; row < size; row++) {
    const { epoch, index } = sampleAt(start + row, { count: samples.count, seed });
    const key = { seed, epoch, sample: index };
    const { ids, secondStart, nextSentenceLabel } = samples.read(key);
    const masked = mask(ids, key);
    const at = row * sequenceLength;
    inputIds.set(ids, at);
    tokenTypeIds.fill(1, at + secondStart, at + ids.length);
    lengths[row] = ids.length;
    for (const position of masked.positions) maskedPositions.push(at + position);
    maskedLabels.push(...masked.labels);
    if (nextSentenceLabel !== undefined) nextSentenceLabels.push(nextSentenceLabel);
  }
  return {
    numSequences: size,
    sequenceLength,
    inputIds,
    tokenTypeIds,
    lengths,
    maskedPositions: Int32Array.from(maskedPositions),
    maskedLabels: Int32Array.from(maskedLabels),
    ...(nextSentenceLabels.length > 0 && { nextSentenceLabels: Int32Array.from(nextSentenceLabels) }),
  };
}

/**
 * The micro-batches of a held-out text: `limit` of its samples, or all where it has fewer, drawn and masked in one
 * way that does not depend on the run's seed, so that losses can be compared between runs.
 */
export function* heldOutBatches(
  samples: Samples,
  { limit, size, mask }: { limit: number; size: number; mask: Mask },
): Generator<MicroBatch> {
  const end = Math.min(limit, samples.count);
  for (let start = 0; start < end; start += size) {
    yield makeMicroBatch(samples, { seed: 0, start, size: Math.min(size, end - start), mask });
  }
}
