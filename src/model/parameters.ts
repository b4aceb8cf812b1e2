import type { Config } from '../config/index.ts';
import { drawSeed, Stream } from '../random/index.ts';
import { type Device, Tensor } from '../tensor/index.ts';

/** The sizes of a model: the `model` section of a configuration. */
export type ModelConfig = Config['model'];

/** Tensors by their Hugging Face name. */
export type Weights = ReadonlyMap<string, Tensor>;

/** What is known of a parameter before there are numbers in it. */
export interface ParameterSpec {
  name: string;
  shape: number[];
  /** How it starts. */
  start: 'normal' | 'zeros' | 'ones';
  /** The standard deviation of a normal start; BERT's where there is none. */
  std?: number;
  /** Whether weight decay applies to it: not to biases and norms. */
  decays: boolean;
  /** Files hold it the other way round, as [inputs, outputs]: GPT-2's linear layers. */
  transposedInFiles?: true;
}

/** BERT's: the standard deviation of every matrix of the blocks and heads at the start. */
export const initialStd = 0.02;

/** Makes block `l` of a PreLN model the identity: both of its branches end in zeros. */
export function makeIdentity(config: ModelConfig, weights: Weights, l: number): void {
  const { attentionOutput, ffnOutput } = blockNames(config, l);
  for (const name of [attentionOutput, ffnOutput]) {
    for (const part of ['weight', 'bias']) weights.get(`${name}.${part}`)!.mul_(0);
  }
}

/** What a classifier on top of a BERT tells apart; a regression has one label, whose value it gives. */
export interface Classifier {
  labels: readonly string[];
  isRegression: boolean;
}

/** Token types: the first and the second half of a sentence pair. */
export const numTokenTypes = 2;

/** The names of a model's parameters outside its blocks that both families have. */
export const outerNames = {
  bert: {
    words: 'bert.embeddings.word_embeddings.weight',
    positions: 'bert.embeddings.position_embeddings.weight',
    finalNorm: 'bert.encoder.ln', // of PreLN; PostLN has none
  },
  gpt2: { words: 'transformer.wte.weight', positions: 'transformer.wpe.weight', finalNorm: 'transformer.ln_f' },
} as const;

/** The bias of BERT's output layer over the vocabulary; GPT's has none. */
export const outputBiasName = 'cls.predictions.bias';

/** The names of a block's parts; each has a `weight` and a `bias`. */
export interface BlockNames {
  /** What all of them begin with. */
  prefix: string;
  attentionNorm: string;
  /** The three projections, or one that is all three side by side. */
  queryKeyValue: readonly string[];
  attentionOutput: string;
  ffnNorm: string;
  ffnInner: string;
  ffnOutput: string;
}

/** The names of block `l`: those of `gpt2`, of `megatron-bert` for a PreLN BERT, and of `bert` for a PostLN one. */
export function blockNames({ kind, norm }: ModelConfig, l: number): BlockNames {
  if (kind === 'gpt2') {
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
  }
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
}

/** A model's parameters: those of each block, and those outside, which are embeddings and heads. */
export interface Parts {
  blocks: readonly (readonly ParameterSpec[])[];
  outer: readonly ParameterSpec[];
}

export function partsOf(config: ModelConfig, specs: readonly ParameterSpec[]): Parts {
  const prefixes = Array.from({ length: config.layers }, (_, l) => `${blockNames(config, l).prefix}.`);
  return {
    blocks: prefixes.map((prefix) => specs.filter(({ name }) => name.startsWith(prefix))),
    outer: specs.filter(({ name }) => !prefixes.some((prefix) => name.startsWith(prefix))),
  };
}

function linear(name: string, outputs: number, inputs: number, std = initialStd): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs], start: 'normal', std, decays: true },
    { name: `${name}.bias`, shape: [outputs], start: 'zeros', decays: false },
  ];
}

function norm(name: string, size: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [size], start: 'ones', decays: false },
    { name: `${name}.bias`, shape: [size], start: 'zeros', decays: false },
  ];
}

function embedding(name: string, rows: number, { hiddenSize, embeddingStd: std }: ModelConfig): ParameterSpec {
  return { name, shape: [rows, hiddenSize], start: 'normal', std, decays: true };
}

function block(config: ModelConfig, l: number): ParameterSpec[] {
  const { hiddenSize: D, ffnSize: F, kind, norm: where, layers } = config;
  const names = blockNames(config, l);
  // What 2L branches add up to in the residual stream of PreLN must not grow with L, as in the paper's code and in GPT-2.
  const outputStd = where === 'pre' ? initialStd / Math.sqrt(2 * layers) : initialStd;
  const specs = [
    ...norm(names.attentionNorm, D),
    ...names.queryKeyValue.flatMap((name) => linear(name, (3 * D) / names.queryKeyValue.length, D)),
    ...linear(names.attentionOutput, D, D, outputStd),
    ...norm(names.ffnNorm, D),
    ...linear(names.ffnInner, F, D),
    ...linear(names.ffnOutput, D, F, outputStd),
  ];
  if (kind === 'bert') return specs;
  return specs.map((spec) => (spec.shape.length === 2 ? { ...spec, transposedInFiles: true } : spec));
}

/**
 * The parameters of a model, with Hugging Face's names: of BERT with its pre-training heads as `megatron-bert` has them
 * for PreLN (one norm after the last block, none after the embeddings) and `bert` for PostLN, or with a sequence classifier
 * instead of those heads; of GPT as `gpt2` has them. The output layer over the vocabulary is tied to the word embeddings.
 */
export function parameterSpecs(config: ModelConfig, classifier?: Classifier): ParameterSpec[] {
  const { kind, norm: where, hiddenSize: D, vocabSize, maxPositions } = config;
  const { words, positions, finalNorm } = outerNames[kind];
  const embeddings = [embedding(words, vocabSize, config), embedding(positions, maxPositions, config)];
  const blocks = Array.from({ length: config.layers }, (_, l) => block(config, l)).flat();
  if (kind === 'gpt2') return [...embeddings, ...blocks, ...norm(finalNorm, D)];
  return [
    ...embeddings,
    embedding('bert.embeddings.token_type_embeddings.weight', numTokenTypes, config),
    ...norm(where === 'pre' ? finalNorm : 'bert.embeddings.LayerNorm', D),
    ...blocks,
    ...linear('bert.pooler.dense', D, D),
    ...(classifier ? linear('classifier', classifier.labels.length, D) : pretrainingHeads(config)),
  ];
}

function pretrainingHeads({ hiddenSize: D, vocabSize }: ModelConfig): ParameterSpec[] {
  return [
    ...linear('cls.predictions.transform.dense', D, D),
    ...norm('cls.predictions.transform.LayerNorm', D),
    { name: outputBiasName, shape: [vocabSize], start: 'zeros', decays: false },
    ...linear('cls.seq_relationship', 2, D),
  ];
}

/**
 * The float32 weights of a new model: matrices from N(0, 0.02²) as BERT's, embeddings from N(0, embeddingStd²), under
 * PreLN the last layer of each branch from N(0, 0.02²/(2L)), biases 0, norm weights 1; a pure function of `seed`. The
 * tensors belong to the caller (or to the scope outside).
 *
 * Source: Devlin et al. 2019; for PreLN DeepSpeedExamples' bing_bert/nvidia/modelingpreln.py, and GPT-2 before it.
 */
export function initialise(config: ModelConfig, seed: number, device: Device = 'cpu'): Map<string, Tensor> {
  return initialiseParameters(parameterSpecs(config), seed, device);
}

/** The same of some parameters; each depends on its place in the list. */
export function initialiseParameters(
  specs: readonly ParameterSpec[],
  seed: number,
  device: Device,
): Map<string, Tensor> {
  const tensors = specs.map(({ name, shape, start, std = initialStd }, index): [string, Tensor] => {
    if (start === 'normal') {
      return [name, Tensor.normal(shape, { std, seed: drawSeed([index, 0, 0, Stream.initialisation], seed), device })];
    }
    return [name, Tensor.full(shape, start === 'ones' ? 1 : 0, { device })];
  });
  return new Map(tensors);
}
