import type { Tensor } from '../../tensor/index.ts';
import { type Branches, layerNorm } from '../block.ts';
import type { Family } from '../family.ts';
import { headJson } from '../hugging-face.ts';
import { embeddingSpec, initialStd, normSpecs, type ParameterSpec } from '../parameters.ts';
import { type ModelInputs, Transformer } from '../transformer.ts';
import { type BlockNames, blockBranches, blockFlops, blockSpecs, geluMistakes, positionEmbeddings } from './classic.ts';
import { byteMistakes, preNormMistakes } from './mistakes.ts';

/** Hugging Face's names of a GPT-2's tensors. */
export const gptNames = {
  words: 'transformer.wte.weight',
  positions: 'transformer.wpe.weight',
  finalNorm: 'transformer.ln_f',
  block(l: number): BlockNames {
    const prefix = `transformer.h.${l}`;
    return {
      prefix,
      attentionNorm: `${prefix}.ln_1`,
      queryKeyValue: [`${prefix}.attn.c_attn`],
      attentionOutput: `${prefix}.attn.c_proj`,
      ffnNorm: `${prefix}.ln_2`,
      ffnInner: `${prefix}.mlp.c_fc`,
      ffnOutput: `${prefix}.mlp.c_proj`,
    };
  },
};

/** GPT-2: causal attention in PreLN blocks (Radford et al. 2019), with Hugging Face's names of `gpt2`. */
export class Gpt extends Transformer {
  branches(l: number): Branches {
    return blockBranches(this, gptNames.block(l), { causal: true });
  }

  finalNorm(x_NTD: Tensor): Tensor {
    return layerNorm(x_NTD, this, gptNames.finalNorm);
  }

  protected embed(inputs: ModelInputs): Tensor {
    const positions = positionEmbeddings(this.weights.get(gptNames.positions)!, inputs);
    return this.wordEmbeddings().embedding(inputs.inputIds).add(positions);
  }

  protected wordEmbeddings(): Tensor {
    return this.weights.get(gptNames.words)!;
  }

  protected beforeOutput(hidden_MD: Tensor): Tensor {
    return hidden_MD.to(this.dtype);
  }

  protected outputBias(): undefined {
    return undefined;
  }
}

/** GPT-2's files store the matrices of the blocks transposed. */
const transposed = (spec: ParameterSpec): ParameterSpec =>
  spec.shape.length === 2 ? { ...spec, transposedInFiles: true } : spec;

export const gpt2: Family = {
  title: () => 'GPT-2',
  defaults: (D) => ({
    ffnSize: 4 * D,
    activation: 'gelu_new',
    layerNormEpsilon: 1e-5,
    dropout: 0.1,
    attentionDropout: 0.1,
  }),
  takes: [],
  recipe: { betas: [0.9, 0.999], maskRate: 0.15 },
  objectives: ['clm'],
  tokenizer: 'gpt2',
  isCausal: true,
  hasTokenTypes: false,
  takesHeads: false,
  mistakes: (config) => [...byteMistakes(config), ...preNormMistakes(config), ...geluMistakes(config)],
  prefix: 'transformer.',
  copies: () => ({ 'lm_head.weight': gptNames.words }),
  parameters(config) {
    const { vocabSize, maxPositions, hiddenSize: D, layers } = config;
    return [
      embeddingSpec(gptNames.words, vocabSize, config),
      embeddingSpec(gptNames.positions, maxPositions, config),
      ...Array.from({ length: layers }, (_, l) => blockSpecs(config, gptNames.block(l)).map(transposed)).flat(),
      ...normSpecs(gptNames.finalNorm, D),
    ];
  },
  forwardFlops: (config, T) => ({
    block: blockFlops(config, T),
    output: 2 * config.hiddenSize * config.vocabSize,
    pair: 0,
  }),
  blockPrefix: (_, l) => `${gptNames.block(l).prefix}.`,
  branchEnds(_, l) {
    const { attentionOutput, ffnOutput } = gptNames.block(l);
    return [attentionOutput, ffnOutput];
  },
  create: (config, weights, dtype) => new Gpt(config, weights, dtype),
  huggingFace: {
    defaults: { gpt2: { vocab_size: 50_257, n_embd: 768, n_layer: 12, n_head: 12, n_positions: 1024 } },
    otherNames: {
      n_embd: 'hidden_size',
      n_layer: 'num_hidden_layers',
      n_head: 'num_attention_heads',
      n_positions: 'max_position_embeddings',
    },
    width: 'n_embd',
    heads: 'n_head',
    fixed: {
      scale_attn_weights: true,
      scale_attn_by_inverse_layer_idx: false,
      reorder_and_upcast_attn: false,
      add_cross_attention: false,
    },
    read(json) {
      const hiddenSize = json.count('n_embd');
      const inner = json.json.n_inner ?? undefined;
      return {
        kind: 'gpt2',
        norm: 'pre',
        layers: json.layers('n_layer'),
        hiddenSize,
        heads: json.count('n_head'),
        ffnSize: inner === undefined ? 4 * hiddenSize : json.count('n_inner'),
        vocabSize: json.count('vocab_size'),
        maxPositions: json.count('n_positions'),
        activation: json.activation('activation_function', 'gelu_new'),
        layerNormEpsilon: json.positive('layer_norm_epsilon', 1e-5),
        embeddingStd: json.positive('initializer_range', 0.02),
        dropout: json.rate('resid_pdrop'),
        attentionDropout: json.rate('attn_pdrop'),
      };
    },
    write: (model, { head, specialIds: { end } }) => ({
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      vocab_size: model.vocabSize,
      n_embd: model.hiddenSize,
      n_layer: model.layers,
      n_head: model.heads,
      n_inner: model.ffnSize,
      n_positions: model.maxPositions,
      activation_function: model.activation,
      embd_pdrop: model.dropout,
      resid_pdrop: model.dropout,
      attn_pdrop: model.attentionDropout,
      initializer_range: initialStd,
      layer_norm_epsilon: model.layerNormEpsilon,
      bos_token_id: end,
      eos_token_id: end,
      tie_word_embeddings: true,
      ...headJson('GPT2', head),
      torch_dtype: 'float32',
    }),
  },
};
