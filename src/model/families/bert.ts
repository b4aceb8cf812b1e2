import type { Tensor } from '../../tensor/index.ts';
import { type Branches, dropoutBeforeHead, layerNorm, linear, type Pass, preciseLinear } from '../block.ts';
import type { Family } from '../family.ts';
import { headSpecs } from '../heads.ts';
import { headJson, sizesJson } from '../hugging-face.ts';
import { embeddingSpec, linearSpecs, type ModelConfig, normSpecs, type ParameterSpec } from '../parameters.ts';
import { type ModelInputs, Transformer } from '../transformer.ts';
import {
  activation,
  type BlockNames,
  blockBranches,
  blockFlops,
  blockSpecs,
  geluMistakes,
  positionEmbeddings,
} from './classic.ts';

/** Token types: the first and the second half of a sentence pair. */
const numTokenTypes = 2;

/** Hugging Face's names of a BERT's tensors. */
export const bertNames = {
  words: 'bert.embeddings.word_embeddings.weight',
  positions: 'bert.embeddings.position_embeddings.weight',
  types: 'bert.embeddings.token_type_embeddings.weight',
  /** Only in PostLN. */
  embeddingsNorm: 'bert.embeddings.LayerNorm',
  /** Only in PreLN. */
  finalNorm: 'bert.encoder.ln',
  pooler: 'bert.pooler.dense',
  transform: 'cls.predictions.transform.dense',
  transformNorm: 'cls.predictions.transform.LayerNorm',
  outputBias: 'cls.predictions.bias',
  nextSentence: 'cls.seq_relationship',
  classifier: 'classifier',
  /** The names of block `l`: those of `megatron-bert` for PreLN, and of `bert` for PostLN. */
  block({ norm }: Pick<ModelConfig, 'norm'>, l: number): BlockNames {
    const prefix = `bert.encoder.layer.${l}`;
    return {
      prefix,
      attentionNorm: norm === 'pre' ? `${prefix}.attention.ln` : `${prefix}.attention.output.LayerNorm`,
      queryKeyValue: ['query', 'key', 'value'].map((part) => `${prefix}.attention.self.${part}`),
      attentionOutput: `${prefix}.attention.output.dense`,
      ffnNorm: norm === 'pre' ? `${prefix}.ln` : `${prefix}.output.LayerNorm`,
      ffnInner: `${prefix}.intermediate.dense`,
      ffnOutput: `${prefix}.output.dense`,
    };
  },
};

/**
 * BERT with its two pre-training heads, or with a classifier (Devlin et al. 2019). Hugging Face's names for it are
 * `megatron-bert` for PreLN (one norm after the last block, none after the embeddings) and `bert` for PostLN.
 */
export class Bert extends Transformer {
  branches(l: number): Branches {
    return blockBranches(this, bertNames.block(this.config, l), { causal: false });
  }

  finalNorm(x_NTD: Tensor): Tensor {
    return this.config.norm === 'pre' ? layerNorm(x_NTD, this, bertNames.finalNorm) : x_NTD;
  }

  protected embed(inputs: ModelInputs): Tensor {
    const types_NTD = this.weights.get(bertNames.types)!.embedding(inputs.tokenTypeIds);
    const positions = positionEmbeddings(this.weights.get(bertNames.positions)!, inputs);
    const sum_NTD = this.wordEmbeddings().embedding(inputs.inputIds).add(types_NTD).add(positions);
    return this.config.norm === 'pre' ? sum_NTD : layerNorm(sum_NTD, this, bertNames.embeddingsNorm);
  }

  protected wordEmbeddings(): Tensor {
    return this.weights.get(bertNames.words)!;
  }

  protected beforeOutput(hidden_MD: Tensor): Tensor {
    const inner_MD = activation(linear(hidden_MD, this, bertNames.transform), this);
    return layerNorm(inner_MD, this, bertNames.transformNorm, this.dtype);
  }

  protected outputBias(): Tensor {
    return this.weights.get(bertNames.outputBias)!;
  }

  override nextSentenceLogits(hidden_NTD: Tensor): Tensor {
    return linear(this.pool(hidden_NTD), this, bertNames.nextSentence);
  }

  /** The classifier on the pooled first token: logits [N, labels]. */
  override classLogits(hidden_NTD: Tensor, _lengths: readonly number[], pass?: Pass): Tensor {
    return preciseLinear(dropoutBeforeHead(this.pool(hidden_NTD), this, pass), this, bertNames.classifier);
  }

  override tokenClassLogits(hidden_MD: Tensor, pass?: Pass): Tensor {
    return preciseLinear(dropoutBeforeHead(hidden_MD, this, pass), this, bertNames.classifier);
  }

  /** `tanh(W·x + b)` of the first token: [N, D]. */
  private pool(hidden_NTD: Tensor): Tensor {
    return linear(hidden_NTD.select(1, 0), this, bertNames.pooler).tanh();
  }
}

const forPairs = (spec: ParameterSpec): ParameterSpec => ({ ...spec, forPairs: true });

export const bert: Family = {
  title: ({ norm }) => (norm === 'pre' ? 'BERT with PreLN blocks' : 'BERT'),
  defaults: (D) => ({
    ffnSize: 4 * D,
    activation: 'gelu',
    layerNormEpsilon: 1e-12,
    dropout: 0.1,
    attentionDropout: 0.1,
  }),
  takes: [],
  recipe: { betas: [0.9, 0.999], maskRate: 0.15 },
  objectives: ['mlm+nsp', 'mlm'],
  tokenizer: 'bert',
  isCausal: false,
  hasTokenTypes: true,
  takesHeads: true,
  prefix: 'bert.',
  copies: () => ({
    'cls.predictions.decoder.weight': bertNames.words,
    'cls.predictions.decoder.bias': bertNames.outputBias,
  }),
  outputBias: bertNames.outputBias,
  mistakes: geluMistakes,
  parameters(config, head) {
    const { norm, hiddenSize: D, vocabSize, maxPositions, layers } = config;
    const pretrainingHeads = () => [
      ...linearSpecs(bertNames.transform, D, D),
      ...normSpecs(bertNames.transformNorm, D),
      { name: bertNames.outputBias, shape: [vocabSize], start: 'zeros' as const, decays: false },
      ...linearSpecs(bertNames.nextSentence, 2, D).map(forPairs),
    ];
    return [
      embeddingSpec(bertNames.words, vocabSize, config),
      embeddingSpec(bertNames.positions, maxPositions, config),
      embeddingSpec(bertNames.types, numTokenTypes, config),
      ...normSpecs(norm === 'pre' ? bertNames.finalNorm : bertNames.embeddingsNorm, D),
      ...Array.from({ length: layers }, (_, l) => blockSpecs(config, bertNames.block(config, l))).flat(),
      ...(head?.kind === 'token' ? [] : linearSpecs(bertNames.pooler, D, D).map(forPairs)),
      ...(head ? headSpecs(bertNames.classifier, head, D) : pretrainingHeads()),
    ];
  },
  forwardFlops(config, T) {
    const { hiddenSize: D, vocabSize: V } = config;
    return {
      block: blockFlops(config, T),
      output: 2 * D * D + 2 * D * V,
      pair: 2 * D * D + 4 * D, // pooler and next-sentence head
    };
  },
  blockPrefix: (config, l) => `${bertNames.block(config, l).prefix}.`,
  branchEnds(config, l) {
    const { attentionOutput, ffnOutput } = bertNames.block(config, l);
    return [attentionOutput, ffnOutput];
  },
  create: (config, weights, dtype) => new Bert(config, weights, dtype),
  huggingFace: {
    defaults: {
      bert: {
        vocab_size: 30_522,
        hidden_size: 768,
        num_hidden_layers: 12,
        num_attention_heads: 12,
        intermediate_size: 3072,
        max_position_embeddings: 512,
      },
      'megatron-bert': {
        vocab_size: 29_056,
        hidden_size: 1024,
        num_hidden_layers: 24,
        num_attention_heads: 16,
        intermediate_size: 4096,
        max_position_embeddings: 512,
      },
    },
    width: 'hidden_size',
    heads: 'num_attention_heads',
    fixed: {
      type_vocab_size: numTokenTypes,
      position_embedding_type: 'absolute',
      is_decoder: false,
      add_cross_attention: false,
    },
    read: (json, type) => ({
      kind: 'bert',
      norm: type === 'bert' ? 'post' : 'pre',
      ...json.sizes(),
      activation: json.activation('hidden_act', 'gelu'),
      layerNormEpsilon: json.positive('layer_norm_eps', 1e-12),
      dropout: json.rate('hidden_dropout_prob'),
      attentionDropout: json.rate('attention_probs_dropout_prob'),
    }),
    write(model, { head, specialIds }) {
      const [type, name] = model.norm === 'pre' ? ['megatron-bert', 'MegatronBert'] : ['bert', 'Bert'];
      const config = {
        architectures: [`${name}ForPreTraining`],
        model_type: type,
        ...sizesJson(model),
        type_vocab_size: numTokenTypes,
        hidden_act: model.activation,
        hidden_dropout_prob: model.dropout,
        attention_probs_dropout_prob: model.attentionDropout,
        layer_norm_eps: model.layerNormEpsilon,
        pad_token_id: specialIds.pad,
        tie_word_embeddings: true,
        torch_dtype: 'float32',
      };
      return { ...config, ...headJson(name!, head) };
    },
  },
};
