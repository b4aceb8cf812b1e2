import { ConfigError } from '../errors/index.ts';
import { type Head, headKinds } from './heads.ts';
import { initialStd, type ModelConfig } from './parameters.ts';

/** A Hugging Face `config.json`, as far as it is read. */
export type Json = Record<string, unknown>;

/** The numbers of the tokens that `transformers` looks up in `config.json`. */
export interface SpecialIds {
  /** [PAD], or <|endoftext|>. */
  pad: number;
  /** [CLS] and [SEP] of a BERT. */
  cls: number;
  sep: number;
  /** What begins a text, where the tokenizer has it; else what ends one. */
  bos: number;
  /** What ends a text: <|endoftext|> of a GPT. */
  end: number;
}

/** How Hugging Face's `transformers` says a family in `config.json`. */
export interface HuggingFace {
  /** What it takes where a size is left out, by `model_type`: its configuration classes, of 5.18. */
  defaults: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Names of sizes that it reads before these. */
  otherNames?: Readonly<Record<string, string>>;
  /** The names of the width and of the number of heads. */
  width: string;
  heads: string;
  /** Settings that change what the model computes, and the only values of them that are known here. */
  fixed: Json;
  /** The model that a `config.json` of this `model_type` describes. */
  read(json: ConfigReader, type: string): ModelConfig;
  /** The `config.json` with which `transformers` opens the weights. */
  write(config: ModelConfig, more: { head?: Head | undefined; specialIds: SpecialIds }): Json;
}

/** What `ConfigReader.sizes` reads, written. */
export function sizesJson(model: ModelConfig): Json {
  return {
    vocab_size: model.vocabSize,
    hidden_size: model.hiddenSize,
    num_hidden_layers: model.layers,
    num_attention_heads: model.heads,
    intermediate_size: model.ffnSize,
    max_position_embeddings: model.maxPositions,
    initializer_range: initialStd,
  };
}

/** What a `config.json` says of a head beside the sizes of its model, whose classes' names begin with `name`. */
export function headJson(name: string, head: Head | undefined): Json {
  if (head === undefined) return {};
  const { architecture, problem } = headKinds[head.kind];
  const architectures = [`${name}${architecture}`];
  if (head.kind === 'embedding') return { architectures };
  return {
    architectures,
    id2label: Object.fromEntries(head.labels.map((label, id) => [id, label])),
    label2id: Object.fromEntries(head.labels.map((label, id) => [label, id])),
    ...(problem !== undefined && { problem_type: problem }),
  };
}

/** No model is larger in any of its sizes. */
const largest = 10_000_000;
const mostLayers = 1000;

/** Reads values of a `config.json` and refuses those that no model can have. */
export class ConfigReader {
  readonly file: string;
  readonly json: Json;

  constructor(file: string, json: Json) {
    this.file = file;
    this.json = json;
  }

  /**
   * A whole number from 1 to `most`.
   *
   * @throws ConfigError where the value is missing or is no such number.
   */
  count(key: string, most = largest): number {
    const value = this.json[key];
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= most) return value;
    throw new ConfigError(
      `${this.file}: ${key} ${JSON.stringify(value) ?? 'is missing,'} is not a whole number from 1 to ${most}`,
    );
  }

  /**
   * A number of blocks, L.
   *
   * @throws ConfigError where the value is missing or is no whole number from 1 to 1000.
   */
  layers(key: string): number {
    return this.count(key, mostLayers);
  }

  /**
   * The sizes of a model, under the names that most families have for them.
   *
   * @throws ConfigError where one is missing or is no such number.
   */
  sizes() {
    return {
      layers: this.layers('num_hidden_layers'),
      hiddenSize: this.count('hidden_size'),
      heads: this.count('num_attention_heads'),
      ffnSize: this.count('intermediate_size'),
      vocabSize: this.count('vocab_size'),
      maxPositions: this.count('max_position_embeddings'),
      embeddingStd: this.positive('initializer_range', 0.02),
    };
  }

  /**
   * A positive number; `otherwise` where it is left out.
   *
   * @throws ConfigError for another value, and where it is left out and must not be.
   */
  positive(key: string, otherwise?: number): number {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'number' && value > 0) return value;
    throw new ConfigError(`${this.file}: ${key} ${JSON.stringify(value) ?? 'is missing,'} is not a number above 0`);
  }

  /**
   * Yes or no; `otherwise` where it is left out.
   *
   * @throws ConfigError for another value.
   */
  flag(key: string, otherwise: boolean): boolean {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw new ConfigError(`${this.file}: ${key} ${JSON.stringify(value)} is not true or false`);
  }

  /**
   * A probability of dropping out, from 0 up and below 1; `otherwise` where it is left out.
   *
   * @throws ConfigError for another value.
   */
  rate(key: string, otherwise = 0.1): number {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'number' && value >= 0 && value < 1) return value;
    throw new ConfigError(`${this.file}: ${key} ${JSON.stringify(value)} is not a number from 0 up and below 1`);
  }

  /**
   * An activation by transformers' names; `otherwise` where it is left out.
   *
   * @throws ConfigError for another activation.
   */
  activation(key: string, otherwise: string, known: readonly ModelConfig['activation'][] = ['gelu', 'gelu_new']) {
    const value = (this.json[key] ?? otherwise) as string;
    const found = known.find((name) => name === (activations[value] ?? value));
    if (found !== undefined) return found;
    throw new ConfigError(`${this.file}: ${key} ${JSON.stringify(value)} is not one of ${known.join(', ')}`);
  }
}

/** transformers' other names of activations. */
const activations: Readonly<Record<string, ModelConfig['activation']>> = {
  gelu_pytorch_tanh: 'gelu_new',
  gelu_fast: 'gelu_new',
  swish: 'silu',
};
