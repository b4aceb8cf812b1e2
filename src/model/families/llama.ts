import { Tensor } from '../../tensor/index.ts';
import { type Branches, causalAttention, linear, rmsNorm, rmsNormBeside } from '../block.ts';
import type { Family } from '../family.ts';
import { headJson, sizesJson } from '../hugging-face.ts';
import {
  biasSpec,
  embeddingSpec,
  headsOf,
  initialStd,
  type ModelConfig,
  type ParameterSpec,
  scaleSpec,
  weightSpec,
} from '../parameters.ts';
import { type ModelInputs, Transformer } from '../transformer.ts';
import { gatedActivation, gatedBlockFlops } from './gated.ts';
import { byteMistakes, headMistakes, preNormMistakes } from './mistakes.ts';
import { readRope, rotaryFrequencies, writeScaling } from './rotary.ts';

/** Hugging Face's names of a Llama's tensors. */
export const llamaNames = {
  words: 'model.embed_tokens.weight',
  finalNorm: 'model.norm',
  output: 'lm_head',
  block(l: number) {
    const prefix = `model.layers.${l}`;
    return {
      prefix: `${prefix}.`,
      attentionNorm: `${prefix}.input_layernorm`,
      query: `${prefix}.self_attn.q_proj`,
      key: `${prefix}.self_attn.k_proj`,
      value: `${prefix}.self_attn.v_proj`,
      queryNorm: `${prefix}.self_attn.q_norm`,
      keyNorm: `${prefix}.self_attn.k_norm`,
      attentionOutput: `${prefix}.self_attn.o_proj`,
      ffnNorm: `${prefix}.post_attention_layernorm`,
      ffnGate: `${prefix}.mlp.gate_proj`,
      ffnInner: `${prefix}.mlp.up_proj`,
      ffnOutput: `${prefix}.mlp.down_proj`,
    };
  },
};

const names = llamaNames;

/** Its default settings. Source: Touvron et al. 2023 (arXiv 2302.13971); small models tie the output layer. */
const usual = { ropeTheta: 10_000, tied: true, qkNorm: false, attentionBias: false } as const;

/**
 * Llama: RMSNorm, rotary positions, heads of keys and values shared by several heads of queries, SwiGLU. With `qkNorm` it is
 * Qwen3.
 *
 * Source: Touvron et al. 2023 (arXiv 2302.13971); Grattafiori et al. 2024 (arXiv 2407.21783); Qwen3 (arXiv 2505.09388).
 */
export class Llama extends Transformer {
  branches(l: number): Branches {
    const { config } = this;
    const { attentionNorm, attentionOutput, ffnNorm, ffnGate, ffnInner, ffnOutput } = names.block(l);
    const { heads } = config;
    const { keyValueHeads } = headsOf(config);
    return {
      attention: {
        before: (stream) => rmsNormBeside(stream, this, attentionNorm),
        of: (x, how) => {
          const qkv = this.queryKeyValue(x, l);
          const context = causalAttention(qkv, heads, { keyValueHeads, rotary: llamaRotary(config), ...how });
          return linear(context, this, attentionOutput);
        },
      },
      feedForward: {
        before: (stream) => rmsNormBeside(stream, this, ffnNorm),
        of: (h) => linear(linear(h, this, ffnGate, ffnInner).gated(gatedActivation(config)), this, ffnOutput),
      },
    };
  }

  finalNorm(x_NTD: Tensor): Tensor {
    return rmsNorm(x_NTD, this, names.finalNorm);
  }

  protected embed({ inputIds }: ModelInputs): Tensor {
    return this.wordEmbeddings().embedding(inputIds);
  }

  protected wordEmbeddings(): Tensor {
    return this.weights.get(names.words)!;
  }

  protected override outputWeight(): Tensor {
    return this.weights.get(`${names.output}.weight`) ?? this.wordEmbeddings();
  }

  protected beforeOutput(hidden_MD: Tensor): Tensor {
    return hidden_MD.to(this.dtype);
  }

  protected outputBias(): undefined {
    return undefined;
  }

  /** Queries, keys and values side by side: [N, T, (H + 2·K)·d]. */
  private queryKeyValue(x: Tensor, l: number): Tensor {
    const { query, key, value, queryNorm, keyNorm } = names.block(l);
    if (!this.config.qkNorm) return linear(x, this, query, key, value);
    const { headSize } = headsOf(this.config);
    const normed = (name: string, norm: string) => {
      const heads = linear(x, this, name);
      return rmsNorm(heads.reshape([-1, headSize]), this, norm, this.dtype).reshape(heads.shape);
    };
    return Tensor.cat([normed(query, queryNorm), normed(key, keyNorm), linear(x, this, value)], -1);
  }
}

/** The angle per position of each pair of numbers in a head of a Llama. */
export function llamaRotary(config: ModelConfig): number[] {
  const { ropeTheta = usual.ropeTheta, ropeScaling } = config;
  return rotaryFrequencies(headsOf(config).headSize, ropeTheta, ropeScaling);
}

function blockSpecs(config: ModelConfig, l: number): ParameterSpec[] {
  const { hiddenSize: D, ffnSize: F, heads: H, layers, qkNorm, attentionBias } = config;
  const { keyValueHeads: K, headSize: d } = headsOf(config);
  const block = names.block(l);
  const outputStd = initialStd / Math.sqrt(2 * layers);
  const projection = (name: string, outputs: number, inputs: number, std?: number) => [
    weightSpec(name, outputs, inputs, std),
    ...(attentionBias ? [biasSpec(name, outputs)] : []),
  ];
  return [
    scaleSpec(block.attentionNorm, D),
    ...projection(block.query, H * d, D),
    ...projection(block.key, K * d, D),
    ...projection(block.value, K * d, D),
    ...(qkNorm ? [scaleSpec(block.queryNorm, d), scaleSpec(block.keyNorm, d)] : []),
    ...projection(block.attentionOutput, D, H * d, outputStd),
    scaleSpec(block.ffnNorm, D),
    weightSpec(block.ffnGate, F, D),
    weightSpec(block.ffnInner, F, D),
    weightSpec(block.ffnOutput, D, F, outputStd),
  ];
}

const isTied = ({ tied = usual.tied }: ModelConfig) => tied;

export const llama: Family = {
  title: ({ qkNorm }) => (qkNorm ? 'Qwen3' : 'Llama'),
  defaults: (D) => ({
    ffnSize: Math.ceil((8 * D) / 3 / 64) * 64, // as many parameters as a plain layer of 4·D
    activation: 'silu',
    layerNormEpsilon: 1e-5,
    dropout: 0,
    attentionDropout: 0,
    ...usual,
  }),
  takes: ['keyValueHeads', 'headSize', 'ropeTheta', 'ropeScaling', 'tied', 'qkNorm', 'attentionBias'],
  recipe: { betas: [0.9, 0.95], maskRate: 0.15 },
  objectives: ['clm'],
  tokenizer: 'gpt2',
  isCausal: true,
  hasTokenTypes: false,
  takesHeads: false,
  mistakes: (config) => [...byteMistakes(config), ...preNormMistakes(config), ...headMistakes(config)],
  prefix: 'model.',
  copies: (config): Record<string, string> => (isTied(config) ? { [`${names.output}.weight`]: names.words } : {}),
  parameters(config) {
    const { vocabSize, hiddenSize: D, layers } = config;
    return [
      embeddingSpec(names.words, vocabSize, config),
      ...Array.from({ length: layers }, (_, l) => blockSpecs(config, l)).flat(),
      scaleSpec(names.finalNorm, D),
      ...(isTied(config) ? [] : [weightSpec(names.output, vocabSize, D)]),
    ];
  },
  forwardFlops: (config, T) => ({
    block: gatedBlockFlops(config, T, T),
    output: 2 * config.hiddenSize * config.vocabSize,
    pair: 0,
  }),
  blockPrefix: (_, l) => names.block(l).prefix,
  branchEnds(_, l) {
    const { attentionOutput, ffnOutput } = names.block(l);
    return [attentionOutput, ffnOutput];
  },
  create: (config, weights, dtype) => new Llama(config, weights, dtype),
  huggingFace: {
    defaults: {
      llama: {
        vocab_size: 32_000,
        hidden_size: 4096,
        num_hidden_layers: 32,
        num_attention_heads: 32,
        intermediate_size: 11_008,
        max_position_embeddings: 2048,
      },
      qwen3: {
        vocab_size: 151_936,
        hidden_size: 4096,
        num_hidden_layers: 32,
        num_attention_heads: 32,
        intermediate_size: 22_016,
        max_position_embeddings: 32_768,
        head_dim: 128,
        num_key_value_heads: 32,
      },
    },
    width: 'hidden_size',
    heads: 'num_attention_heads',
    fixed: { mlp_bias: false, use_sliding_window: false },
    read(json, type) {
      const sizes = json.sizes();
      const { rope_parameters: parameters, rope_scaling: scaling, head_dim: size, num_key_value_heads: K } = json.json;
      const rope = readRope(json, parameters ?? scaling, json.positive('rope_theta', usual.ropeTheta));
      return {
        kind: 'llama',
        norm: 'pre',
        ...sizes,
        activation: json.activation('hidden_act', 'silu', ['silu', 'gelu', 'gelu_new']),
        layerNormEpsilon: json.positive('rms_norm_eps', 1e-6),
        dropout: 0,
        attentionDropout: json.rate('attention_dropout', 0),
        keyValueHeads: (K ?? undefined) === undefined ? sizes.heads : json.count('num_key_value_heads'),
        ...((size ?? undefined) !== undefined && { headSize: json.count('head_dim') }),
        ropeTheta: rope.theta,
        ...(rope.scaling && { ropeScaling: rope.scaling }),
        tied: json.flag('tie_word_embeddings', false),
        qkNorm: type === 'qwen3',
        attentionBias: json.flag('attention_bias', false),
      };
    },
    write(model, { head, specialIds: { bos, end } }) {
      const { keyValueHeads, headSize } = headsOf(model);
      const { qkNorm, ropeTheta = usual.ropeTheta } = model;
      const scaling = writeScaling(model.ropeScaling);
      return {
        architectures: [qkNorm ? 'Qwen3ForCausalLM' : 'LlamaForCausalLM'],
        model_type: qkNorm ? 'qwen3' : 'llama',
        ...sizesJson(model),
        num_key_value_heads: keyValueHeads,
        head_dim: headSize,
        hidden_act: model.activation,
        rms_norm_eps: model.layerNormEpsilon,
        attention_dropout: model.attentionDropout,
        attention_bias: model.attentionBias ?? usual.attentionBias,
        // For transformers 5, and for earlier versions.
        rope_parameters: { rope_type: 'default', rope_theta: ropeTheta, ...scaling },
        rope_theta: ropeTheta,
        ...(scaling && { rope_scaling: scaling }),
        tie_word_embeddings: isTied(model),
        bos_token_id: bos,
        eos_token_id: end,
        torch_dtype: 'float32',
        ...headJson(qkNorm ? 'Qwen3' : 'Llama', head),
      };
    },
  },
};
