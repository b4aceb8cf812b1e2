import { permute } from '../data/index.ts';
import type { Encoded } from './task.ts';

/** Examples are sorted by length within chunks of this many batches. */
const batchesPerChunk = 50;
/** How many examples of similar length are predicted together. */
export const predictedTogether = 32;

/** The length of an example's longest sequence. */
const lengthOf = ({ sequences }: Encoded) => Math.max(...sequences.map(({ ids }) => ids.length));

/** The indices of the examples in batches, ordered by length, for evaluation. */
export function sortedBatches(examples: readonly Encoded[], size: number): number[][] {
  const lengths = examples.map(lengthOf);
  const order = [...examples.keys()].sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  return cut(order, size);
}

/**
 * The indices of the examples in the batches of an epoch: in an order that depends only on (seed, epoch), then sorted by length
 * within chunks of batches, whose order is random again.
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

/** Examples split into parts of at most `most` sequences, with at least one example each. */
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
