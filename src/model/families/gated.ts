import type { ModelConfig } from '../parameters.ts';

// What blocks with gated feed-forward layers share: `W₂·(f(a)·b)` with [a, b] = W₁·x.

const activations = { gelu: 'gelu', gelu_new: 'geluTanh', silu: 'silu' } as const;

/** The f of a gated layer, as `Tensor.gated` calls it. */
export const gatedActivation = ({ activation }: ModelConfig) => activations[activation];

/** The attention of a block: its heads of keys and values, their size, and how many tokens a token sees. */
export interface Sight {
  keyValueHeads: number;
  headSize: number;
  seen: number;
}

/**
 * FLOPs of a block's matrix products on one sequence: `4·T·D·(H + K)·d + 4·T·S·H·d + 6·T·D·F`, which are the projections to H heads
 * of queries, K of keys and K of values of size d, and back; scores and their weighted sum over the S tokens that a token sees;
 * three feed-forward matrices.
 */
export function gatedBlockFlops(
  { hiddenSize: D, ffnSize: F, heads: H }: ModelConfig,
  { keyValueHeads: K, headSize: d, seen: S }: Sight,
  T: number,
): number {
  return 4 * T * D * (H + K) * d + 4 * T * S * H * d + 6 * T * D * F;
}
