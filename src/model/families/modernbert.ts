import { CheckpointError, ConfigError } from '../../errors/index.ts';
import type { Tensor } from '../../tensor/index.ts';
import {
  type Branches,
  dropoutBeforeHead,
  layerNorm,
  layerNormBeside,
  linear,
  type Pass,
  preciseLinear,
} from '../block.ts';
import { meanOf } from '../embeddings.ts';
import type { Family } from '../family.ts';
import { headSpecs } from '../heads.ts';
import { ConfigReader, headJson, sizesJson } from '../hugging-face.ts';
import {
  biasSpec,
  embeddingSpec,
  initialStd,
  type ModelConfig,
  type ParameterSpec,
  scaleSpec,
  weightSpec,
} from '../parameters.ts';
import { type ModelInputs, Transformer } from '../transformer.ts';
import { gatedActivation, gatedBlockFlops } from './gated.ts';
import { headMistakes, preNormMistakes } from './mistakes.ts';
import { readRope, rotaryFrequencies, writeScaling } from './rotary.ts';

/** Hugging Face's names of a ModernBERT's tensors. */
export const modernbertNames = {
  words: 'model.embeddings.tok_embeddings.weight',
  embeddingsNorm: 'model.embeddings.norm',
  finalNorm: 'model.final_norm',
  transform: 'head.dense',
  transformNorm: 'head.norm',
  outputBias: 'decoder.bias',
  classifier: 'classifier',
  block(l: number) {
    const prefix = `model.layers.${l}`;
    return {
      prefix: `${prefix}.`,
      attentionNorm: `${prefix}.attn_norm`,
      queryKeyValue: `${prefix}.attn.Wqkv`,
      attentionOutput: `${prefix}.attn.Wo`,
      ffnNorm: `${prefix}.mlp_norm`,
      ffnInner: `${prefix}.mlp.Wi`,
      ffnOutput: `${prefix}.mlp.Wo`,
    };
  },
};

/** Its default settings: the published model's. */
const published = {
  window: 128,
  globalBlocks: 3,
  ropeTheta: 160_000,
  localRopeTheta: 10_000,
  classifierPooling: 'mean',
} as const;

const names = modernbertNames;

/** Whether block `l` sees the whole text. */
function isGlobal({ globalBlocks = published.globalBlocks }: ModelConfig, l: number): boolean {
  return typeof globalBlocks === 'number' ? l % globalBlocks === 0 : globalBlocks.includes(l);
}

/** How many tokens before and after itself a token sees in a local block. */
const reach = ({ window = published.window }: ModelConfig) => Math.floor(window / 2);

/**
 * ModernBERT: rotary positions, norms without biases, GeGLU, and attention within a window in most blocks.
 *
 * Source: Warner et al. 2024 (arXiv 2412.13663).
 */
export class ModernBert extends Transformer {
  branches(l: number): Branches {
    const { config } = this;
    const { attentionNorm, queryKeyValue, attentionOutput, ffnNorm, ffnInner, ffnOutput } = names.block(l);
    return {
      attention: {
        // The norm after the embeddings replaces that of the first block.
        ...(l > 0 && { before: (stream) => layerNormBeside(stream, this, attentionNorm) }),
        of: (x, how) => {
          const qkv = linear(x, this, queryKeyValue);
          return linear(qkv.attention(config.heads, { ...how, ...sightOf(config, l) }), this, attentionOutput);
        },
      },
      feedForward: {
        before: (stream) => layerNormBeside(stream, this, ffnNorm),
        of: (h) => linear(linear(h, this, ffnInner).gated(gatedActivation(config)), this, ffnOutput),
      },
    };
  }

  finalNorm(x_NTD: Tensor): Tensor {
    return layerNorm(x_NTD, this, names.finalNorm);
  }

  /** The classifier on the mean of the tokens, or on the first: logits [N, labels]. */
  override classLogits(hidden_NTD: Tensor, lengths: readonly number[], pass?: Pass): Tensor {
    const { classifierPooling = published.classifierPooling } = this.config;
    const isMean = classifierPooling === 'mean';
    return this.tokenClassLogits(isMean ? meanOf(hidden_NTD, lengths) : hidden_NTD.select(1, 0), pass);
  }

  override tokenClassLogits(hidden_MD: Tensor, pass?: Pass): Tensor {
    return preciseLinear(dropoutBeforeHead(this.beforeOutput(hidden_MD), this, pass), this, names.classifier);
  }

  protected embed({ inputIds }: ModelInputs): Tensor {
    return layerNorm(this.wordEmbeddings().embedding(inputIds), this, names.embeddingsNorm);
  }

  protected wordEmbeddings(): Tensor {
    return this.weights.get(names.words)!;
  }

  protected beforeOutput(hidden_MD: Tensor): Tensor {
    return layerNorm(linear(hidden_MD, this, names.transform).gelu(), this, names.transformNorm, this.dtype);
  }

  protected outputBias(): Tensor {
    return this.weights.get(names.outputBias)!;
  }
}

/**
 * The attention of block `l`: the frequencies of its rotary positions, and how many tokens before and after itself a token sees;
 * all without a window.
 */
export function sightOf(config: ModelConfig, l: number): { rotary: number[]; window?: number } {
  const { hiddenSize, heads, ropeScaling } = config;
  const { ropeTheta = published.ropeTheta, localRopeTheta = published.localRopeTheta } = config;
  const rotary = (theta: number) => rotaryFrequencies(hiddenSize / heads, theta, ropeScaling);
  return isGlobal(config, l)
    ? { rotary: rotary(ropeTheta) }
    : { rotary: rotary(localRopeTheta), window: reach(config) };
}

function blockSpecs({ hiddenSize: D, ffnSize: F, layers }: ModelConfig, l: number): ParameterSpec[] {
  const { attentionNorm, queryKeyValue, attentionOutput, ffnNorm, ffnInner, ffnOutput } = names.block(l);
  const outputStd = initialStd / Math.sqrt(2 * layers);
  return [
    ...(l === 0 ? [] : [scaleSpec(attentionNorm, D)]),
    { ...weightSpec(queryKeyValue, 3 * D, D), matrices: 3 },
    weightSpec(attentionOutput, D, D, outputStd),
    scaleSpec(ffnNorm, D),
    { ...weightSpec(ffnInner, 2 * F, D), matrices: 2 },
    weightSpec(ffnOutput, D, F, outputStd),
  ];
}

/** transformers' names for the attention types of blocks. */
const layerTypes = { global: 'full_attention', local: 'sliding_attention' } as const;

/**
 * Which blocks see the whole text: `layer_types` of transformers 5, or the number that earlier versions use.
 *
 * @throws ConfigError for another list.
 */
function readGlobalBlocks({ file, json }: ConfigReader, layers: number): number | number[] {
  const { layer_types: types } = json;
  if (types === undefined || types === null)
    return new ConfigReader(file, { global_attn_every_n_layers: 3, ...json }).count('global_attn_every_n_layers');
  const known: unknown[] = Object.values(layerTypes);
  if (!Array.isArray(types) || types.length !== layers || !types.every((type) => known.includes(type))) {
    throw new ConfigError(`${file}: layer_types must be a list of ${layers} entries, each ${known.join(' or ')}`);
  }
  const globals = types.flatMap((type, l) => (type === layerTypes.global ? [l] : []));
  const every = globals[1] ?? layers;
  const isRegular = types.every((type, l) => (type === layerTypes.global) === (l % every === 0));
  return isRegular ? every : globals;
}

/** @throws ConfigError for a pooling that transformers does not have either. */
function readPooling({ file, json }: ConfigReader): 'mean' | 'cls' {
  const { classifier_pooling: pooling = 'cls' } = json; // the default of transformers
  if (pooling === 'mean' || pooling === 'cls') return pooling;
  throw new ConfigError(`${file}: classifier_pooling ${JSON.stringify(pooling)} must be "mean" or "cls"`);
}

export const modernbert: Family = {
  title: () => 'ModernBERT',
  defaults: (D) => ({
    ffnSize: Math.ceil(1.5 * D),
    activation: 'gelu',
    layerNormEpsilon: 1e-5,
    dropout: 0,
    attentionDropout: 0,
    ...published,
  }),
  takes: ['window', 'globalBlocks', 'ropeTheta', 'localRopeTheta', 'ropeScaling', 'classifierPooling'],
  recipe: { betas: [0.9, 0.98], maskRate: 0.3 },
  objectives: ['mlm'],
  tokenizer: 'bert',
  isCausal: false,
  hasTokenTypes: false,
  takesHeads: true,
  mistakes: (config) => [...preNormMistakes(config), ...headMistakes(config)],
  prefix: 'model.',
  copies: () => ({ 'decoder.weight': names.words }),
  outputBias: names.outputBias,
  parameters(config, head) {
    const { hiddenSize: D, vocabSize, layers } = config;
    return [
      embeddingSpec(names.words, vocabSize, config),
      scaleSpec(names.embeddingsNorm, D),
      ...Array.from({ length: layers }, (_, l) => blockSpecs(config, l)).flat(),
      scaleSpec(names.finalNorm, D),
      ...(head?.kind === 'embedding' ? [] : [weightSpec(names.transform, D, D), scaleSpec(names.transformNorm, D)]),
      ...(head ? headSpecs(names.classifier, head, D) : [biasSpec('decoder', vocabSize)]),
    ];
  },
  forwardFlops(config, T) {
    const { hiddenSize: D, vocabSize: V, layers } = config;
    const seen = (l: number) => (isGlobal(config, l) ? T : Math.min(T, 2 * reach(config) + 1));
    const blocks = Array.from({ length: layers }, (_, l) => gatedBlockFlops(config, seen(l), T));
    return { block: blocks.reduce((a, b) => a + b) / layers, output: 2 * D * D + 2 * D * V, pair: 0 };
  },
  blockPrefix: (_, l) => names.block(l).prefix,
  withBlocks(config, kept) {
    if (kept[0] !== 0) {
      throw new CheckpointError(
        'block 0 of a modernbert cannot be removed: it has no attention norm, which every other block needs; use --choose evenly, which keeps it',
      );
    }
    return { ...config, globalBlocks: [...kept.keys()].filter((place) => isGlobal(config, kept[place]!)) };
  },
  branchEnds(_, l) {
    const { attentionOutput, ffnOutput } = names.block(l);
    return [attentionOutput, ffnOutput];
  },
  create: (config, weights, dtype) => new ModernBert(config, weights, dtype),
  huggingFace: {
    defaults: {
      modernbert: {
        vocab_size: 50_368,
        hidden_size: 768,
        num_hidden_layers: 22,
        num_attention_heads: 12,
        intermediate_size: 1152,
        max_position_embeddings: 8192,
        local_attention: published.window,
      },
    },
    width: 'hidden_size',
    heads: 'num_attention_heads',
    fixed: {
      norm_bias: false,
      attention_bias: false,
      mlp_bias: false,
      classifier_bias: false,
      decoder_bias: true,
      classifier_activation: 'gelu',
      tie_word_embeddings: true,
    },
    read(json) {
      const { rope_parameters: ropes = {}, rope_scaling: scaling } = json.json;
      const rope = (type: string, older: string, theta: number) =>
        readRope(json, (ropes as Record<string, unknown>)[type] ?? scaling, json.positive(older, theta));
      const global = rope(layerTypes.global, 'global_rope_theta', published.ropeTheta);
      const local = rope(layerTypes.local, 'local_rope_theta', published.localRopeTheta);
      if (JSON.stringify(local.scaling) !== JSON.stringify(global.scaling)) {
        throw new ConfigError(
          `${json.file}: rope_parameters scale local and global blocks differently; taper supports only one scaling for both`,
        );
      }
      const sizes = json.sizes();
      return {
        kind: 'modernbert',
        norm: 'pre',
        ...sizes,
        activation: json.activation('hidden_activation', 'gelu', ['gelu', 'gelu_new', 'silu']),
        layerNormEpsilon: json.positive('norm_eps', 1e-5),
        dropout: json.rate('mlp_dropout', 0),
        attentionDropout: json.rate('attention_dropout', 0),
        window: json.count('local_attention'),
        globalBlocks: readGlobalBlocks(json, sizes.layers),
        ropeTheta: global.theta,
        localRopeTheta: local.theta,
        ...(global.scaling && { ropeScaling: global.scaling }),
        classifierPooling: readPooling(json),
      };
    },
    write(model, { head, specialIds: { pad, cls, sep } }) {
      const types = Array.from({ length: model.layers }, (_, l) => layerTypes[isGlobal(model, l) ? 'global' : 'local']);
      const scaling = writeScaling(model.ropeScaling);
      const rope = (theta: number | undefined) => ({ rope_type: 'default', rope_theta: theta, ...scaling });
      const config = {
        architectures: ['ModernBertForMaskedLM'],
        model_type: 'modernbert',
        ...sizesJson(model),
        hidden_activation: model.activation,
        norm_eps: model.layerNormEpsilon,
        embedding_dropout: model.dropout,
        mlp_dropout: model.dropout,
        classifier_dropout: model.dropout,
        attention_dropout: model.attentionDropout,
        local_attention: model.window,
        // For transformers 5, and for earlier versions.
        layer_types: types,
        rope_parameters: { [layerTypes.global]: rope(model.ropeTheta), [layerTypes.local]: rope(model.localRopeTheta) },
        ...(typeof model.globalBlocks === 'number' && { global_attn_every_n_layers: model.globalBlocks }),
        global_rope_theta: model.ropeTheta,
        local_rope_theta: model.localRopeTheta,
        ...Object.fromEntries(['norm', 'attention', 'mlp', 'classifier'].map((part) => [`${part}_bias`, false])),
        decoder_bias: true,
        classifier_activation: 'gelu',
        classifier_pooling: model.classifierPooling,
        tie_word_embeddings: true,
        pad_token_id: pad,
        bos_token_id: cls,
        eos_token_id: sep,
        cls_token_id: cls,
        sep_token_id: sep,
        torch_dtype: 'float32',
      };
      return { ...config, ...headJson('ModernBert', head) };
    },
  },
};
