import type { Mask } from './masking.ts';
import type { Samples } from './samples.ts';

/** Lengths are rounded up to a multiple of this, so that matrix products have few different shapes. */
const lengthStep = 8;

/** What a model reads at once: N sequences of T tokens, each padded at its end. */
export interface TokenBatch {
  /** N */
  numSequences: number;
  /** T */
  sequenceLength: number;
  /** [N·T] */
  inputIds: Int32Array;
  /** [N·T] */
  tokenTypeIds: Int32Array;
  /** For each sequence, the lengths of its documents in order: attention stays within each. The rest is padding. */
  documents: readonly (readonly number[])[];
}

/** What a model learns from at once: sequences, and M predicted tokens in them. */
export interface MicroBatch extends TokenBatch {
  /** [M] Where they are predicted: positions in N·T, ascending. */
  predictedPositions: Int32Array;
  /** [M] The tokens that are predicted: those that were masked there, or that come next. */
  labels: Int32Array;
  /** [N] 0 if the second segment follows the first, 1 if it does not; only if the samples are pairs. */
  nextSentenceLabels?: Int32Array;
  /** If ranks share a micro-batch: how many of its sequences come before these, and how many it has in all. */
  part?: { first: number; of: number };
}

/**
 * The micro-batch of the samples at positions `start` … `start + size − 1` of a run with `seed`: the same numbers, however the
 * positions are split into batches.
 */
export function makeMicroBatch(
  samples: Samples,
  { seed, start, size, mask }: { seed: number; start: number; size: number; mask: Mask },
): MicroBatch {
  const { sequenceLength, tokenizer } = samples;
  const inputIds = new Int32Array(size * sequenceLength).fill(tokenizer.padId);
  const tokenTypeIds = new Int32Array(size * sequenceLength);
  const documents: (readonly number[])[] = [];
  const predictedPositions: number[] = [];
  const labels: number[] = [];
  const nextSentenceLabels: number[] = [];
  for (let row = 0; row < size; row++) {
    const key = samples.at(start + row, seed);
    const { ids, documents: ownDocuments, secondStart, nextSentenceLabel } = samples.read(key);
    const masked = mask(ids, key, ownDocuments);
    const at = row * sequenceLength;
    inputIds.set(ids, at);
    tokenTypeIds.fill(1, at + secondStart, at + ids.length);
    documents.push(ownDocuments);
    for (const position of masked.positions) predictedPositions.push(at + position);
    labels.push(...masked.labels);
    if (nextSentenceLabel !== undefined) nextSentenceLabels.push(nextSentenceLabel);
  }
  return {
    numSequences: size,
    sequenceLength,
    inputIds,
    tokenTypeIds,
    documents,
    predictedPositions: Int32Array.from(predictedPositions),
    labels: Int32Array.from(labels),
    ...(nextSentenceLabels.length > 0 && { nextSentenceLabels: Int32Array.from(nextSentenceLabels) }),
  };
}

/**
 * The micro-batches of a held-out text: `limit` of its samples, or all if it has fewer, drawn and masked independently of the
 * run's seed, so that losses can be compared between runs.
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

/** Sequences as a batch, padded to the longest; the second text of each begins at `secondStart`. */
export function batchOf(
  sequences: readonly { ids: Int32Array; secondStart: number }[],
  { padId, maxPositions }: { padId: number; maxPositions: number },
): TokenBatch {
  const documents = sequences.map(({ ids }) => [ids.length]);
  const T = Math.min(maxPositions, Math.ceil(Math.max(...documents.flat()) / lengthStep) * lengthStep);
  const inputIds = new Int32Array(sequences.length * T).fill(padId);
  const tokenTypeIds = new Int32Array(sequences.length * T);
  for (const [row, { ids, secondStart }] of sequences.entries()) {
    inputIds.set(ids, row * T);
    tokenTypeIds.fill(1, row * T + secondStart, row * T + ids.length);
  }
  return { numSequences: sequences.length, sequenceLength: T, inputIds, tokenTypeIds, documents };
}
