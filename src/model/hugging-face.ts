import { ConfigError } from '../errors/index.ts';
import { type Head, headKinds } from './heads.ts';
import { initialStd, type ModelConfig } from './parameters.ts';

/** A Hugging Face `config.json`. */
export type Json = Record<string, unknown>;

/** The ids of the tokens that `transformers` looks up in `config.json`. */
export interface SpecialIds {
  /** [PAD], or <|endoftext|>. */
  pad: number;
  /** [CLS] and [SEP] of a BERT. */
  cls: number;
  sep: number;
  /** The token that begins a text, if the tokenizer has one; otherwise the one that ends it. */
  bos: number;
  /** The token that ends a text: <|endoftext|> of a GPT. */
  end: number;
}

/** How Hugging Face's `transformers` describes a family in `config.json`. */
export interface HuggingFace {
  /** Its defaults for missing sizes, by `model_type`: from its configuration classes, version 5.18. */
  defaults: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Alternative names of sizes, which it prefers to these. */
  otherNames?: Readonly<Record<string, string>>;
  /** The names of the hidden size and of the number of heads. */
  width: string;
  heads: string;
  /** Settings that change what the model computes, and the only values that taper supports. */
  fixed: Json;
  /** The model that a `config.json` of this `model_type` describes. */
  read(json: ConfigReader, type: string): ModelConfig;
  /** The `config.json` with which `transformers` opens the weights. */
  write(config: ModelConfig, more: { head?: Head | undefined; specialIds: SpecialIds }): Json;
}

/** The JSON that `ConfigReader.sizes` reads. */
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

/** The fields of a `config.json` for a head; the names of its model's classes begin with `name`. */
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
    ...(head.thresholds && { thresholds: head.thresholds }), // taper's own: transformers ignores it
  };
}

/** The upper limit of every size. */
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
   * An integer from 1 to `most`.
   *
   * @throws ConfigError if the value is missing or not such a number.
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
   * @throws ConfigError if the value is missing or not an integer from 1 to 1000.
   */
  layers(key: string): number {
    return this.count(key, mostLayers);
  }

  /**
   * The sizes of a model, under the names that most families use.
   *
   * @throws ConfigError if one is missing or not such a number.
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
   * A positive number; `otherwise` if it is missing.
   *
   * @throws ConfigError for another value, and if it is missing without a default.
   */
  positive(key: string, otherwise?: number): number {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'number' && value > 0) return value;
    throw new ConfigError(`${this.file}: ${key} ${JSON.stringify(value) ?? 'is missing,'} is not a number above 0`);
  }

  /**
   * True or false; `otherwise` if it is missing.
   *
   * @throws ConfigError for another value.
   */
  flag(key: string, otherwise: boolean): boolean {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw new ConfigError(`${this.file}: ${key} ${JSON.stringify(value)} must be true or false`);
  }

  /**
   * A dropout probability, at least 0 and below 1; `otherwise` if it is missing.
   *
   * @throws ConfigError for another value.
   */
  rate(key: string, otherwise = 0.1): number {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'number' && value >= 0 && value < 1) return value;
    throw new ConfigError(`${this.file}: ${key} ${JSON.stringify(value)} must be at least 0 and below 1`);
  }

  /**
   * An activation by transformers' names; `otherwise` if it is missing.
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

/** transformers' alternative names of activations. */
const activations: Readonly<Record<string, ModelConfig['activation']>> = {
  gelu_pytorch_tanh: 'gelu_new',
  gelu_fast: 'gelu_new',
  swish: 'silu',
};
