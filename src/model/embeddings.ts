import { Tensor } from '../tensor/index.ts';
import type { EmbeddingHead } from './heads.ts';

/** One vector per sequence, [N, D] float32, from its final hidden states; the first `lengths` of them are not padding. */
export function embeddings(
  { pooling, normalized }: EmbeddingHead,
  hidden_NTD: Tensor,
  lengths: readonly number[],
): Tensor {
  const pooled_ND = pooling === 'first' ? hidden_NTD.select(1, 0) : meanOf(hidden_NTD, lengths);
  return normalized ? unitRows(pooled_ND) : pooled_ND;
}

/** Rows [M, D] scaled to length 1. */
export function unitRows(x_MD: Tensor): Tensor {
  const lengths_M1 = x_MD.mul(x_MD).sum(1).add(1e-24).sqrt().reshape([-1, 1]);
  return x_MD.div(lengths_M1);
}

/** The mean of the first `lengths` hidden states of each sequence, [N, D]. */
export function meanOf(hidden_NTD: Tensor, lengths: readonly number[]): Tensor {
  const [N, T] = hidden_NTD.shape as [number, number];
  const shares = new Float32Array(N * T);
  for (const [i, length] of lengths.entries()) shares.fill(1 / length, i * T, i * T + length);
  return hidden_NTD.mul(Tensor.from(shares, [N, T, 1], { device: hidden_NTD.device })).sum(1);
}
