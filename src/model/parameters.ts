import { drawSeed, Stream } from '../random/index.ts';
import { type Device, Tensor } from '../tensor/index.ts';

/** The sizes and options of a model: what a family reads from the `model` section. */
export interface ModelConfig {
  /** The name of the family. */
  kind: string;
  /** L */
  layers: number;
  /** D */
  hiddenSize: number;
  /** H */
  heads: number;
  /** F */
  ffnSize: number;
  /** V */
  vocabSize: number;
  /** The longest sequence. */
  maxPositions: number;
  norm: 'pre' | 'post';
  activation: 'gelu' | 'gelu_new' | 'silu';
  layerNormEpsilon: number;
  embeddingStd: number;
  dropout: number;
  attentionDropout: number;
  /** K: heads of keys and values, each shared by H/K heads of queries. */
  keyValueHeads?: number | undefined;
  /** d, if it is not D/H. */
  headSize?: number | undefined;
  /** How many tokens around itself a token sees in a local block: half of them before it, half after it. */
  window?: number | undefined;
  /** Which blocks see the whole text: every n-th from the first on, or a list. */
  globalBlocks?: number | number[] | undefined;
  /** The base of the rotary positions; only in blocks that see the whole text, if there are others. */
  ropeTheta?: number | undefined;
  /** That of local blocks. */
  localRopeTheta?: number | undefined;
  ropeScaling?: RopeScaling | undefined;
  /** What a classifier of texts reads: the mean of the tokens' hidden states, or that of the first token. */
  classifierPooling?: 'mean' | 'cls' | undefined;
  /** Whether the output layer is tied to the word embeddings. */
  tied?: boolean | undefined;
  /** Whether each head's queries and keys go through an RMSNorm. */
  qkNorm?: boolean | undefined;
  /** Whether the layers of the attention have biases. */
  attentionBias?: boolean | undefined;
}

/** K, the heads of keys and values, and d, the size of a head. */
export function headsOf({ hiddenSize, heads, keyValueHeads = heads, headSize = hiddenSize / heads }: ModelConfig) {
  return { keyValueHeads, headSize };
}

/** How rotary positions are stretched for texts longer than a model was trained on. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  | { type: 'llama3'; factor: number; lowFrequency: number; highFrequency: number; originalPositions: number };

/** Tensors by their Hugging Face name. */
export type Weights = ReadonlyMap<string, Tensor>;

/** The description of a parameter, without its values. */
export interface ParameterSpec {
  name: string;
  shape: number[];
  /** How it is initialised. */
  start: 'normal' | 'zeros' | 'ones';
  /** The standard deviation of a normal initialisation. Default: BERT's. */
  std?: number;
  /** Whether weight decay applies to it: not to biases and norms. */
  decays: boolean;
  /** For a weight of a block: how many stacked matrices of one size it contains. */
  matrices?: number;
  /** Only an objective with sentence pairs trains it, and only files of models trained that way have it. */
  forPairs?: true;
  /** Files store it transposed, as [inputs, outputs]: GPT-2's linear layers. */
  transposedInFiles?: true;
}

/** BERT's initial standard deviation of every matrix of the blocks and heads. */
export const initialStd = 0.02;

/** A model's parameters: those of each block, and those outside, which are embeddings and heads. */
export interface Parts {
  blocks: readonly (readonly ParameterSpec[])[];
  outer: readonly ParameterSpec[];
}

/** The weight [outputs, inputs] of a linear layer without a bias. */
export function weightSpec(name: string, outputs: number, inputs: number, std = initialStd): ParameterSpec {
  return { name: `${name}.weight`, shape: [outputs, inputs], start: 'normal', std, decays: true };
}

/** A bias. */
export function biasSpec(name: string, size: number): ParameterSpec {
  return { name: `${name}.bias`, shape: [size], start: 'zeros', decays: false };
}

/** The weight [outputs, inputs] and the bias of a linear layer. */
export function linearSpecs(name: string, outputs: number, inputs: number, std = initialStd): ParameterSpec[] {
  return [weightSpec(name, outputs, inputs, std), biasSpec(name, outputs)];
}

/** The weight of a norm without a bias. */
export function scaleSpec(name: string, size: number): ParameterSpec {
  return { name: `${name}.weight`, shape: [size], start: 'ones', decays: false };
}

/** The weight and the bias of a layer norm. */
export function normSpecs(name: string, size: number): ParameterSpec[] {
  return [scaleSpec(name, size), biasSpec(name, size)];
}

/** A table of embeddings. */
export function embeddingSpec(
  name: string,
  rows: number,
  { hiddenSize, embeddingStd: std }: Pick<ModelConfig, 'hiddenSize' | 'embeddingStd'>,
): ParameterSpec {
  return { name, shape: [rows, hiddenSize], start: 'normal', std, decays: true };
}

/** The total number of elements of all parameters. */
export function numParameters(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/**
 * New float32 weights, each a pure function of `seed` and its place in the list; they belong to the caller (or to the scope
 * outside).
 */
export function initialiseParameters(
  specs: readonly ParameterSpec[],
  seed: number,
  device: Device,
): Map<string, Tensor> {
  return new Map(specs.map((spec, index) => [spec.name, initialParameter(spec, index, { seed, device })]));
}

/** One of them: the one at `index` in the list. */
export function initialParameter(
  { shape, start, std = initialStd }: ParameterSpec,
  index: number,
  { seed, device }: { seed: number; device: Device },
): Tensor {
  if (start !== 'normal') return Tensor.full(shape, start === 'ones' ? 1 : 0, { device });
  return Tensor.normal(shape, { std, seed: drawSeed([index, 0, 0, Stream.initialisation], seed), device });
}
