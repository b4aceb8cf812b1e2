import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import type { Classifier, ModelSettings } from '../model/index.ts';

/** A Hugging Face `config.json`, as far as it is read. */
export type Json = Record<string, unknown>;

/** What a `config.json` says of a model. */
export interface ImportedConfig {
  model: ModelSettings;
  /** Of an architecture for sequence classification. */
  classifier?: Classifier;
}

/** Settings that change what the model computes, and the only values of them that are known here. */
const fixed: Record<'bert' | 'gpt2', Json> = {
  bert: { type_vocab_size: 2, position_embedding_type: 'absolute', is_decoder: false, add_cross_attention: false },
  gpt2: {
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    reorder_and_upcast_attn: false,
    add_cross_attention: false,
  },
};

/** What transformers takes where a `config.json` leaves a size out: BertConfig(), MegatronBertConfig() and GPT2Config() of 5.18. */
const defaults: Record<'bert' | 'megatron-bert' | 'gpt2', Record<string, number>> = {
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
  gpt2: { vocab_size: 50_257, n_embd: 768, n_layer: 12, n_head: 12, n_positions: 1024 },
};

/** Names that transformers also reads in the `config.json` of a GPT-2. */
const otherNames: Record<string, string> = {
  n_embd: 'hidden_size',
  n_layer: 'num_hidden_layers',
  n_head: 'num_attention_heads',
  n_positions: 'max_position_embeddings',
};

/** The JSON of a file in a folder. Throws a CheckpointError where it is missing or broken. */
export function readJson(folder: string, name: string): Json {
  const path = join(folder, name);
  if (!existsSync(path)) {
    throw new CheckpointError(`${folder}: has no ${name}; give a folder as save_pretrained of transformers writes it`);
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new CheckpointError(`${path}: not JSON; copy the file again`, { cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new CheckpointError(`${path}: not a JSON object; copy the file again`);
  }
  return json as Json;
}

/**
 * The model that a Hugging Face `config.json` of `bert`, `megatron-bert` or `gpt2` describes. What it leaves out has the default of
 * transformers; `warn` hears of sizes among that.
 *
 * @throws CheckpointError where it is missing or broken, ConfigError for a model that taper does not have.
 */
export function readConfig(folder: string, warn: (message: string) => void): ImportedConfig {
  const file = join(folder, 'config.json');
  const given = readJson(folder, 'config.json');
  const type = given.model_type;
  if (type !== 'bert' && type !== 'megatron-bert' && type !== 'gpt2') {
    const found = type === undefined ? 'is missing; it must be' : `${JSON.stringify(type)} is not`;
    throw new ConfigError(`${file}: model_type ${found} one of bert, megatron-bert, gpt2`);
  }
  const json = withDefaults(file, given, type, warn);
  const kind = type === 'gpt2' ? 'gpt2' : 'bert';
  for (const [key, known] of Object.entries(fixed[kind])) {
    if (json[key] !== undefined && json[key] !== known) {
      throw new ConfigError(`${file}: ${key} ${JSON.stringify(json[key])} is not supported, only ${known}`);
    }
  }
  const model = kind === 'gpt2' ? gptOf(file, json) : bertOf(file, json, type === 'bert' ? 'post' : 'pre');
  if (model.hiddenSize % model.heads !== 0) {
    throw new ConfigError(`${file}: ${model.heads} heads do not divide a width of ${model.hiddenSize}`);
  }
  const classifier = kind === 'bert' ? classifierOf(file, json) : undefined;
  return { model, ...(classifier && { classifier }) };
}

/**
 * A config with the sizes that it leaves out. The shapes of the weights show whether these fit, but for the number of heads: that has its
 * default only beside the default width.
 */
function withDefaults(file: string, given: Json, type: keyof typeof defaults, warn: (message: string) => void): Json {
  const json = { ...given };
  const added: string[] = [];
  for (const [key, value] of Object.entries(defaults[type])) {
    // transformers takes the other name where both are there.
    json[key] = (type === 'gpt2' ? given[otherNames[key] ?? key] : undefined) ?? given[key] ?? undefined;
    if (json[key] !== undefined) continue;
    json[key] = value;
    added.push(key);
  }
  const [width, heads] =
    type === 'gpt2' ? (['n_embd', 'n_head'] as const) : (['hidden_size', 'num_attention_heads'] as const);
  if (added.includes(heads) && json[width] !== defaults[type][width]) {
    throw new ConfigError(`${file}: ${heads} is missing, and the weights do not show it; write it there`);
  }
  const taken = added.map((key) => `${key} ${json[key]}`);
  if (taken.length > 0) warn(`${file}: leaves out sizes; using the defaults of transformers: ${taken.join(', ')}`);
  return json;
}

function bertOf(file: string, json: Json, norm: 'pre' | 'post'): ModelSettings {
  return {
    kind: 'bert',
    norm,
    layers: count(file, json, 'num_hidden_layers', mostLayers),
    hiddenSize: count(file, json, 'hidden_size'),
    heads: count(file, json, 'num_attention_heads'),
    ffnSize: count(file, json, 'intermediate_size'),
    vocabSize: count(file, json, 'vocab_size'),
    maxPositions: count(file, json, 'max_position_embeddings'),
    activation: activationOf(file, json, 'hidden_act', 'gelu'),
    layerNormEpsilon: positive(file, json, 'layer_norm_eps', 1e-12),
    embeddingStd: positive(file, json, 'initializer_range', 0.02),
    dropout: rate(file, json, 'hidden_dropout_prob'),
    attentionDropout: rate(file, json, 'attention_probs_dropout_prob'),
  };
}

function gptOf(file: string, json: Json): ModelSettings {
  const hiddenSize = count(file, json, 'n_embd');
  const dropout = rate(file, json, 'resid_pdrop');
  return {
    kind: 'gpt2',
    norm: 'pre',
    layers: count(file, json, 'n_layer', mostLayers),
    hiddenSize,
    heads: count(file, json, 'n_head'),
    ffnSize: json.n_inner === undefined || json.n_inner === null ? 4 * hiddenSize : count(file, json, 'n_inner'),
    vocabSize: count(file, json, 'vocab_size'),
    maxPositions: count(file, json, 'n_positions'),
    activation: activationOf(file, json, 'activation_function', 'gelu_new'),
    layerNormEpsilon: positive(file, json, 'layer_norm_epsilon', 1e-5),
    embeddingStd: positive(file, json, 'initializer_range', 0.02),
    dropout,
    attentionDropout: rate(file, json, 'attn_pdrop'),
  };
}

/** No model is larger in any of its sizes. */
const largest = 10_000_000;
const mostLayers = 1000;

function count(file: string, json: Json, key: string, most = largest): number {
  const value = json[key];
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= most) return value;
  throw new ConfigError(
    `${file}: ${key} ${JSON.stringify(value) ?? 'is missing,'} is not a whole number from 1 to ${most}`,
  );
}

/** A positive number. */
function positive(file: string, json: Json, key: string, otherwise: number): number {
  const value = json[key] ?? otherwise;
  if (typeof value === 'number' && value > 0) return value;
  throw new ConfigError(`${file}: ${key} ${JSON.stringify(value)} is not a number above 0`);
}

/** A probability of dropping out. */
function rate(file: string, json: Json, key: string): number {
  const value = json[key] ?? 0.1;
  if (typeof value === 'number' && value >= 0 && value < 1) return value;
  throw new ConfigError(`${file}: ${key} ${JSON.stringify(value)} is not a number from 0 up and below 1`);
}

/** transformers' names of the two forms of GELU. */
function activationOf(file: string, json: Json, key: string, otherwise: string): ModelSettings['activation'] {
  const value = json[key] ?? otherwise;
  if (value === 'gelu') return 'gelu';
  if (value === 'gelu_new' || value === 'gelu_pytorch_tanh' || value === 'gelu_fast') return 'gelu_new';
  throw new ConfigError(`${file}: ${key} ${JSON.stringify(value)} is not one of gelu, gelu_new`);
}

function classifierOf(file: string, json: Json): Classifier | undefined {
  const architectures = json.architectures;
  const [architecture] = Array.isArray(architectures) ? (architectures as unknown[]) : [];
  if (typeof architecture !== 'string' || !architecture.endsWith('ForSequenceClassification')) return undefined;
  if (json.problem_type === 'multi_label_classification') {
    throw new ConfigError(`${file}: problem_type multi_label_classification is not supported, only one label per text`);
  }
  const labels = labelsOf(file, json);
  return { labels, isRegression: json.problem_type === 'regression' || labels.length === 1 };
}

/** The labels in the order of their ids: `LABEL_0` and on where they have no names, two where nothing is said. */
function labelsOf(file: string, json: Json): string[] {
  const length = count(file, { num_labels: 2, ...json }, 'num_labels');
  if (json.id2label === undefined || json.id2label === null) {
    return Array.from({ length }, (_, id) => `LABEL_${id}`);
  }
  const names = json.id2label as Json;
  const ids = Object.keys(names);
  const labels = ids.map((_, id) => names[id]);
  if (labels.length === 0 || labels.some((label) => label === undefined)) {
    throw new ConfigError(
      `${file}: id2label has the ids ${ids.join(', ')}, not each from 0 up once; number its labels so`,
    );
  }
  if (json.num_labels !== undefined && length !== labels.length) {
    throw new ConfigError(`${file}: num_labels ${length}, and id2label has ${labels.length}; make them the same`);
  }
  return labels.map(String);
}
