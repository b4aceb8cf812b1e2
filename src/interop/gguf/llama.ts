import { llamaRotary } from '../../model/families/llama.ts';
import { type Json, type ModelConfig, parameterSpecs } from '../../model/index.ts';
import { headsOf } from '../../model/parameters.ts';
import { Tensor } from '../../tensor/index.ts';
import type { GgufDecoder, NamedTensor } from './decoder.ts';

// Source: conversion/llama.py, conversion/qwen.py, src/models/llama.cpp and src/models/qwen3.cpp of
// https://github.com/ggml-org/llama.cpp.

/** The differences between llama.cpp's architectures, by `model_type`. */
const architectures = {
  /** It rotates adjacent pairs in a head, whereas Hugging Face rotates the first half with the second. */
  llama: { turnsNeighbours: true, hasBiases: true, hasFrequencyFactors: true },
  qwen3: { turnsNeighbours: false, hasBiases: false, hasFrequencyFactors: false },
};
const architectureOf = ({ model_type }: Json) => architectures[model_type as keyof typeof architectures];

/** Numbers that `config.json` has under other names: integers and fractions. */
const counts = {
  context_length: 'max_position_embeddings',
  embedding_length: 'hidden_size',
  block_count: 'num_hidden_layers',
  feed_forward_length: 'intermediate_size',
  'attention.head_count': 'num_attention_heads',
  'attention.head_count_kv': 'num_key_value_heads',
  'attention.key_length': 'head_dim',
  'attention.value_length': 'head_dim',
  'rope.dimension_count': 'head_dim',
  vocab_size: 'vocab_size',
};
const fractions = { 'attention.layer_norm_rms_epsilon': 'rms_norm_eps', 'rope.freq_base': 'rope_theta' };

/** llama.cpp's names of layers by Hugging Face's: outside the blocks, and in a block. */
const outerNames: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};
const blockNames: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** Llama and Qwen3. */
export const llama: GgufDecoder = {
  mistakes({ activation, attentionBias, ropeScaling }, json) {
    const { hasBiases, hasFrequencyFactors } = architectureOf(json);
    return [
      ...(activation === 'silu' ? [] : [`the activation ${activation}`]),
      ...(attentionBias && !hasBiases ? ['biases in its attention'] : []),
      ...(ropeScaling?.type === 'llama3' && !hasFrequencyFactors ? ['rotary positions scaled as llama3'] : []),
    ];
  },
  fields({ ropeScaling }, json) {
    const { model_type: type } = json;
    const entriesOf = (keys: Readonly<Record<string, string>>) =>
      Object.entries(keys).map(([key, name]) => [`${type}.${key}`, json[name] as number] as const);
    return {
      'general.architecture': type as string,
      ...Object.fromEntries(entriesOf(counts)),
      ...Object.fromEntries(entriesOf(fractions).map(([key, float]) => [key, { float }])),
      ...(ropeScaling?.type === 'linear' && {
        [`${type}.rope.scaling.type`]: 'linear',
        [`${type}.rope.scaling.factor`]: { float: ropeScaling.factor },
      }),
    };
  },
  tensors(config, json, weights) {
    const { turnsNeighbours } = architectureOf(json);
    const { keyValueHeads } = headsOf(config);
    const turned: Readonly<Record<string, number>> = turnsNeighbours
      ? { attn_q: config.heads, attn_k: keyValueHeads }
      : {};
    const named = parameterSpecs(config).map(({ name: hfName, shape }) => {
      const { prefix, layer, part } = ggufName(hfName);
      const heads = turned[layer];
      const weight = weights.get(hfName)!;
      return { name: `${prefix}${layer}.${part}`, shape, make: () => (heads ? interleaved(weight, heads) : weight) };
    });
    return [...named, ...frequencyFactors(config)];
  },
};

function ggufName(name: string): { prefix: string; layer: string; part: string } {
  const [, block, layer, part] = /^(?:model\.layers\.(\d+)\.)?(.*)\.(\w+)$/.exec(name)!;
  return block === undefined
    ? { prefix: '', layer: outerNames[layer!]!, part: part! }
    : { prefix: `blk.${block}.`, layer: blockNames[layer!]!, part: part! };
}

/** The rows of each head, with those of its second half interleaved into those of its first. */
function interleaved(weight: Tensor, heads: number): Tensor {
  const [rows, ...others] = weight.shape as [number, ...number[]];
  return weight
    .reshape([heads, 2, rows / heads / 2, ...others])
    .transpose(1, 2)
    .reshape(weight.shape);
}

/** What llama.cpp divides the angle of each pair in a head by if rotary positions are scaled as in Llama 3.1. */
function frequencyFactors({ ropeScaling, ...config }: ModelConfig): NamedTensor[] {
  if (ropeScaling?.type !== 'llama3') return [];
  const scaled = llamaRotary({ ...config, ropeScaling });
  const factors = llamaRotary(config).map((frequency, i) => frequency / scaled[i]!);
  const shape = [factors.length];
  return [{ name: 'rope_freqs.weight', shape, make: () => Tensor.from(Float32Array.from(factors), shape) }];
}
