import { permute } from '../data/index.ts';
import type { Encoded } from './task.ts';

/** Batches among so many are made of examples of about one length. */
const batchesPerChunk = 50;
/** Examples of about one length that are predicted together. */
export const predictedTogether = 32;

/** The length of an example's longest sequence. */
const lengthOf = ({ sequences }: Encoded) => Math.max(...sequences.map(({ ids }) => ids.length));

/** The numbers of the examples in batches, in the order of length, for evaluation. */
export function sortedBatches(examples: readonly Encoded[], size: number): number[][] {
  const lengths = examples.map(lengthOf);
  const order = [...examples.keys()].sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  return cut(order, size);
}

/**
 * The numbers of the examples in the batches of an epoch: in an order that depends on (seed, epoch) alone, then sorted by length
 * within some tens of batches, whose order is random again.
 */
export function shuffledBatches(
  examples: readonly Encoded[],
  size: number,
  { seed, epoch }: { seed: number; epoch: number },
): number[][] {
  const lengths = examples.map(lengthOf);
  const order = Array.from(examples, (_, i) => permute(i, examples.length, { seed, epoch }));
  const batches = cut(order, size * batchesPerChunk).flatMap((chunk) =>
    cut(
      chunk.sort((a, b) => lengths[a]! - lengths[b]!),
      size,
    ),
  );
  return batches.map((_, i) => batches[permute(i, batches.length, { seed, epoch })]!);
}

/** Examples cut into parts of at most `most` sequences, one example at least in each. */
export function partsOf<X extends Encoded>(examples: readonly X[], most: number): X[][] {
  const parts: X[][] = [];
  let room = 0;
  for (const example of examples) {
    const { length } = example.sequences;
    if (length > room || parts.length === 0) {
      parts.push([]);
      room = most;
    }
    parts.at(-1)!.push(example);
    room -= length;
  }
  return parts;
}

function cut<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
