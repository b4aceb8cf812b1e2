import type { Samples } from '../data/index.ts';

/** Tokens are counted in at most this many sequences: enough for the frequencies that matter. */
const numCounted = 4096;

/**
 * [V] The initial output-layer bias with which a new model predicts each token as often as it occurs: `ln((n_v + 1) / (N + V))`,
 * where token v occurs n_v times among N tokens in sequences from all over a text. Special tokens, which are never predicted,
 * count as n = 0.
 *
 * Without it, a model learns these frequencies through its blocks, because Adam moves a bias by a thousandth per step, while
 * frequencies differ by factors of thousands. When all blocks output the same large constant vector to express them, training
 * collapses for a step (docs/log.md).
 */
export function logFrequencies(samples: Samples, vocabSize: number): Float32Array {
  const { isSpecial } = samples.tokenizer;
  const counts = new Float64Array(vocabSize).fill(1);
  const numSequences = Math.min(samples.count, numCounted);
  for (let i = 0; i < numSequences; i++) {
    for (const id of samples.read(samples.at(i, 0)).ids) if (!isSpecial[id]) counts[id]! += 1;
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Float32Array.from(counts, (count) => Math.log(count / total));
}
