import { permute, type TextTokenizer, type TokenBatch } from '../data/index.ts';
import type { Example } from './example.ts';

/** An example as token ids: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]. */
export interface EncodedExample {
  ids: Int32Array;
  /** The position of the second text's first token; the length where there is none. */
  secondStart: number;
  target: number | undefined;
}

/** Examples of about one length, padded to the longest. */
export interface ExampleBatch extends TokenBatch {
  /** [N] Which of the examples they are. */
  indices: number[];
}

/** Batches among so many are made of examples of about one length. */
const batchesPerChunk = 50;
/** Lengths are rounded up to this, so that there are few shapes of matrix products to be prepared. */
const lengthStep = 8;

/**
 * Encodes examples as at most `maxLength` tokens. What is too long is cut at its end; of a pair the longer text is cut, token
 * by token, until both fit.
 */
export async function encodeExamples(
  examples: readonly Example[],
  tokenizer: TextTokenizer,
  maxLength: number,
): Promise<EncodedExample[]> {
  const encoded = await tokenizer.encodeBatch(examples.flatMap(({ texts }) => texts));
  let next = 0;
  return examples.map(({ texts, target }) => {
    const parts = texts.map(() => encoded[next++]!);
    const room = maxLength - 1 - parts.length;
    const lengths = parts.map(({ length }) => length);
    while (lengths.reduce((a, b) => a + b) > room) lengths[lengths.indexOf(Math.max(...lengths))]! -= 1;
    const [a, b] = parts.map((part, i) => part.subarray(0, lengths[i]));
    const { clsId, sepId } = tokenizer;
    const first = [clsId, ...a!, sepId];
    const ids = Int32Array.from(b ? [...first, ...b, sepId] : first);
    return { ids, secondStart: b ? first.length : ids.length, target };
  });
}

/** How examples are put into batches. */
export interface BatchOptions {
  /** Examples in a batch. */
  size: number;
  padId: number;
  /** The positions that the model has. */
  maxPositions: number;
}

/** Batches in the order of length, for evaluation. */
export function sortedBatches(examples: readonly EncodedExample[], options: BatchOptions): ExampleBatch[] {
  const order = [...examples.keys()].sort((a, b) => examples[a]!.ids.length - examples[b]!.ids.length || a - b);
  return cut(order, options.size).map((indices) => batchOf(examples, indices, options));
}

/**
 * The batches of an epoch: examples in an order that depends on (seed, epoch) alone, then sorted by length within some tens of
 * batches, whose order is random again.
 */
export function shuffledBatches(
  examples: readonly EncodedExample[],
  { seed, epoch, ...options }: BatchOptions & { seed: number; epoch: number },
): ExampleBatch[] {
  const { size } = options;
  const order = Array.from(examples, (_, i) => permute(i, examples.length, { seed, epoch }));
  const batches = cut(order, size * batchesPerChunk).flatMap((chunk) =>
    cut(
      chunk.sort((a, b) => examples[a]!.ids.length - examples[b]!.ids.length),
      size,
    ),
  );
  return batches.map((_, i) => batchOf(examples, batches[permute(i, batches.length, { seed, epoch })]!, options));
}

function cut<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

function batchOf(
  examples: readonly EncodedExample[],
  indices: number[],
  { padId, maxPositions }: BatchOptions,
): ExampleBatch {
  const documents = indices.map((i) => [examples[i]!.ids.length]);
  const T = Math.min(maxPositions, Math.ceil(Math.max(...documents.flat()) / lengthStep) * lengthStep);
  const inputIds = new Int32Array(indices.length * T).fill(padId);
  const tokenTypeIds = new Int32Array(indices.length * T);
  for (const [row, i] of indices.entries()) {
    const { ids, secondStart } = examples[i]!;
    inputIds.set(ids, row * T);
    tokenTypeIds.fill(1, row * T + secondStart, row * T + ids.length);
  }
  return { numSequences: indices.length, sequenceLength: T, inputIds, tokenTypeIds, documents, indices };
}
