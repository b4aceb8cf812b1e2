import type { Samples } from '../data/index.ts';

/** Sequences that tokens are counted in, at most: enough for shares that matter. */
const numCounted = 4096;

/**
 * [V] How the bias of an output layer starts so that a new model predicts each token as often as it occurs: `ln((n_v + 1) / (N + V))`,
 * with n_v of the N tokens in sequences from all over a text. Special tokens, which are never predicted, count as n = 0.
 *
 * Without it a model learns these shares through its blocks: Adam moves a bias by a thousandth a step, and they differ by factors of
 * thousands. Blocks that all give one large constant vector are how training collapses for a step (docs/log.md).
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
