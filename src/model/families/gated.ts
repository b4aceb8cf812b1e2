import { headsOf, type ModelConfig } from '../parameters.ts';

// What blocks with gated feed-forward layers share: `W₂·(f(a)·b)` with [a, b] = W₁·x.

const activations = { gelu: 'gelu', gelu_new: 'geluTanh', silu: 'silu' } as const;

/** The f of a gated layer, as `Tensor.gated` calls it. */
export const gatedActivation = ({ activation }: ModelConfig) => activations[activation];

/**
 * FLOPs of a block's matrix products on one sequence: `4·T·D·(H + K)·d + 4·T·seen·H·d + 6·T·D·F`, for the projections to H heads
 * of queries, K of keys and K of values of size d, and back; the scores and their weighted sum over the tokens that a token sees;
 * and three feed-forward matrices.
 */
export function gatedBlockFlops(config: ModelConfig, seen: number, T: number): number {
  const { hiddenSize: D, ffnSize: F, heads: H } = config;
  const { keyValueHeads: K, headSize: d } = headsOf(config);
  return 4 * T * D * (H + K) * d + 4 * T * seen * H * d + 6 * T * D * F;
}
