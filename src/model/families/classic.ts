import { type Documents, Tensor } from '../../tensor/index.ts';
import { type Branches, causalAttention, layerNorm, layerNormBeside, linear, type Model } from '../block.ts';
import { initialStd, linearSpecs, type ModelConfig, normSpecs, type ParameterSpec } from '../parameters.ts';
import type { ModelInputs } from '../transformer.ts';

// What BERT and GPT-2 share: learnt positions, and blocks with biases everywhere, layer norms, multi-head attention, `W₂·gelu(W₁·x)`.

/** Learnt position embeddings, which start again in each document: [T, D], or [N, T, D] if a sequence has several documents. */
export function positionEmbeddings(table: Tensor, { inputIds, documents, cache }: ModelInputs): Tensor {
  const [N, T] = inputIds.shape as [number, number];
  if (!documents?.some(({ length }) => length > 1)) return table.narrow(0, cache?.length ?? 0, T);
  return table.embedding(Tensor.from(positionIds(documents, T), [N, T], { device: inputIds.device }));
}

/** [N·T] The position of each token in its document; padding, which is never read, is at 0. */
function positionIds(documents: Documents, T: number): Int32Array {
  const ids = new Int32Array(documents.length * T);
  for (const [row, lengths] of documents.entries()) {
    let start = row * T;
    for (const length of lengths) {
      for (let position = 0; position < length; position++) ids[start + position] = position;
      start += length;
    }
  }
  return ids;
}

/** The names of a block's parts; each has a `weight` and a `bias`. */
export interface BlockNames {
  /** Their common prefix. */
  prefix: string;
  attentionNorm: string;
  /** The three projections, or one that is all three side by side. */
  queryKeyValue: readonly string[];
  attentionOutput: string;
  ffnNorm: string;
  ffnInner: string;
  ffnOutput: string;
}

/** The parameters of a block. */
export function blockSpecs(config: ModelConfig, names: BlockNames): ParameterSpec[] {
  const { hiddenSize: D, ffnSize: F, norm, layers } = config;
  // The sum of 2L branches in the residual stream of PreLN must not grow with L, as in the paper's code and in GPT-2.
  const outputStd = norm === 'pre' ? initialStd / Math.sqrt(2 * layers) : initialStd;
  return [
    ...normSpecs(names.attentionNorm, D),
    ...names.queryKeyValue.flatMap((name) => {
      const matrices = 3 / names.queryKeyValue.length;
      const [weight, bias] = linearSpecs(name, matrices * D, D) as [ParameterSpec, ParameterSpec];
      return [{ ...weight, matrices }, bias];
    }),
    ...linearSpecs(names.attentionOutput, D, D, outputStd),
    ...normSpecs(names.ffnNorm, D),
    ...linearSpecs(names.ffnInner, F, D),
    ...linearSpecs(names.ffnOutput, D, F, outputStd),
  ];
}

/**
 * FLOPs of a block's matrix products on one sequence: `8·T·D² + 4·T²·D + 4·T·D·F`, for four projections, the scores and their
 * weighted sum, and two feed-forward layers. The number of heads does not matter.
 */
export function blockFlops({ hiddenSize: D, ffnSize: F }: ModelConfig, T: number): number {
  return 8 * T * D * D + 4 * T * T * D + 4 * T * D * F;
}

/**
 * The branches of a block. Attention: `softmax(q·kᵀ/√d + bias)·v`, projected; feed-forward: `W₂·gelu(W₁·x)`. PreLN normalises the
 * input of a branch, PostLN the sum.
 */
export function blockBranches(model: Model, names: BlockNames, { causal }: { causal: boolean }): Branches {
  const { heads, norm } = model.config;
  const isPre = norm === 'pre';
  const normed = (name: string) =>
    isPre
      ? { before: (stream: Tensor) => layerNormBeside(stream, model, name) }
      : { after: (sum: Tensor) => layerNorm(sum, model, name) };
  return {
    attention: {
      ...normed(names.attentionNorm),
      of: (x, how) => {
        const qkv = linear(x, model, ...names.queryKeyValue);
        const context_NTD = causal ? causalAttention(qkv, heads, how) : qkv.attention(heads, how);
        return linear(context_NTD, model, names.attentionOutput);
      },
    },
    feedForward: {
      ...normed(names.ffnNorm),
      of: (h) => linear(activation(linear(h, model, names.ffnInner), model), model, names.ffnOutput),
    },
  };
}

/** The error for an activation that these blocks do not support. */
export function geluMistakes({ kind, activation }: ModelConfig): string[] {
  return activation === 'silu'
    ? [`model.activation: silu is not supported by model.kind ${kind}; leave it out, or use gelu or gelu_new`]
    : [];
}

/** The model's activation: GELU, exact or by tanh. */
export function activation(x: Tensor, { config }: Model): Tensor {
  return x.gelu(config.activation === 'gelu_new' ? 'tanh' : 'none');
}
