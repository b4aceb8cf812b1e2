import type { Tensor } from '../tensor/index.ts';
import { blockNorms, blockPrefix, type ModelConfig, type Weights } from './parameters.ts';

// Legend: N sequences, T positions, D model width, H heads, d = D/H, F feed-forward width.

/** What training adds to a forward pass; without it every block runs, nothing is scaled and nothing dropped out. */
export interface TrainingPass {
  /** One gate a block: whether it runs. */
  gates: readonly boolean[];
  /** What the branches of each block are multiplied with when it runs: `1/p_l`. */
  branchScales: readonly number[];
  /** The dropout seed of one place in one block. */
  dropoutSeed(block: number, place: DropoutPlace): number;
}

/** The places in a block that have a dropout mask of their own. Embeddings take a block number after the last. */
export const DropoutPlace = { attention: 0, attentionOutput: 1, ffnOutput: 2, embeddings: 3 } as const;
export type DropoutPlace = (typeof DropoutPlace)[keyof typeof DropoutPlace];

export const layerNormEpsilon = 1e-12;

/** `x·Wᵀ + b` in the weight's precision. */
export function linear(x: Tensor, weights: Weights, name: string): Tensor {
  const weight = weights.get(`${name}.weight`)!;
  return x.to(weight.dtype).linear(weight, weights.get(`${name}.bias`));
}

/** Layer normalisation in float32. */
export function layerNorm(x: Tensor, weights: Weights, name: string): Tensor {
  return x.to('float32').layerNorm(weights.get(`${name}.weight`)!, weights.get(`${name}.bias`)!, layerNormEpsilon);
}

export function dropout(x: Tensor, rate: number, pass: TrainingPass | undefined, block: number, place: DropoutPlace) {
  return pass === undefined || rate === 0 ? x : x.dropout(rate, pass.dropoutSeed(block, place));
}

/**
 * The switchable block. With gate `G ∈ {0, 1}` and scale `s = 1/p`, PreLN:
 * `h = x + s·Attn(LN(x))`, `y = h + s·FFN(LN(h))`; PostLN: `h = LN(x + s·Attn(x))`, `y = LN(h + s·FFN(h))`.
 * One gate for both branches: `G = 0` gives `x` itself, with no work forward or backward.
 * x: [N, T, D] float32; attentionBias: [N, 1, 1, T], added to the scores, or undefined when nothing is padded.
 *
 * Source: Zhang and He 2020 (arXiv 2010.13369), Eq. 1.
 */
export function switchableBlock(
  x: Tensor,
  l: number,
  config: ModelConfig,
  weights: Weights,
  attentionBias?: Tensor,
  pass?: TrainingPass,
): Tensor {
  if (pass && !pass.gates[l]) return x;
  const scale = pass?.branchScales[l] ?? 1;
  const prefix = blockPrefix(l);
  const norms = blockNorms[config.norm];
  const attend = (input: Tensor) => attention(input, l, config, weights, attentionBias, pass);
  const transform = (input: Tensor) => feedForward(input, l, config, weights, pass);
  if (config.norm === 'pre') {
    const h = x.add(attend(layerNorm(x, weights, `${prefix}.${norms.attention}`)), scale);
    return h.add(transform(layerNorm(h, weights, `${prefix}.${norms.ffn}`)), scale);
  }
  const h = layerNorm(x.add(attend(x), scale), weights, `${prefix}.${norms.attention}`);
  return layerNorm(h.add(transform(h), scale), weights, `${prefix}.${norms.ffn}`);
}

/** Multi-head self-attention: `softmax(q·kᵀ/√d + bias)·v`, projected; dropout on the weights and on the result. */
function attention(
  x: Tensor,
  l: number,
  { heads, hiddenSize, dropout: rate, attentionDropout }: ModelConfig,
  weights: Weights,
  bias: Tensor | undefined,
  pass: TrainingPass | undefined,
): Tensor {
  const [N, T] = x.shape as [number, number];
  const prefix = `${blockPrefix(l)}.attention`;
  const headSize = hiddenSize / heads;
  const input = x.to(weights.get(`${prefix}.self.query.weight`)!.dtype); // once for all three
  const split = (part: string) =>
    linear(input, weights, `${prefix}.self.${part}`).reshape([N, T, heads, headSize]).transpose(1, 2);
  const q_NHTd = split('query').mul(1 / Math.sqrt(headSize));
  const k_NHTd = split('key');
  const v_NHTd = split('value');
  const scores_NHTT = q_NHTd.matmul(k_NHTd.transpose(2, 3));
  const probabilities = (bias ? scores_NHTT.add(bias.to(scores_NHTT.dtype)) : scores_NHTT).softmax(-1);
  const kept_NHTT = dropout(probabilities, attentionDropout, pass, l, DropoutPlace.attention);
  const context_NTD = kept_NHTT.matmul(v_NHTd).transpose(1, 2).reshape([N, T, hiddenSize]);
  const output = linear(context_NTD, weights, `${prefix}.output.dense`);
  return dropout(output, rate, pass, l, DropoutPlace.attentionOutput);
}

/** `W₂·gelu(W₁·x)`, with dropout on the result. */
function feedForward(x: Tensor, l: number, config: ModelConfig, weights: Weights, pass: TrainingPass | undefined) {
  const prefix = blockPrefix(l);
  const inner_NTF = linear(x, weights, `${prefix}.intermediate.dense`).gelu();
  const output = linear(inner_NTF, weights, `${prefix}.output.dense`);
  return dropout(output, config.dropout, pass, l, DropoutPlace.ffnOutput);
}
