import type { Objective, TextTokenizer } from '../data/index.ts';
import type { ForwardFlops } from '../depth/index.ts';
import type { Dtype } from '../tensor/index.ts';
import type { Head } from './heads.ts';
import type { HuggingFace } from './hugging-face.ts';
import type { ModelConfig, ParameterSpec, Weights } from './parameters.ts';
import type { Transformer } from './transformer.ts';

/** The defaults that a family gives a model. */
export type FamilyDefaults = Pick<
  ModelConfig,
  'ffnSize' | 'activation' | 'layerNormEpsilon' | 'dropout' | 'attentionDropout'
> &
  Partial<ModelConfig>;

/** How a family is trained, according to its paper. */
export interface Recipe {
  /** Adam's β₁ and β₂. */
  betas: [number, number];
  /** The fraction of the tokens that are masked, if the objective masks. */
  maskRate: number;
}

/** A family of models, as `model.kind` names it. A new one is a file and a line in `families`. */
export interface Family {
  /** Its name in messages. */
  title(config: ModelConfig): string;
  /** The default settings for a hidden size: the values of its paper. */
  defaults(hiddenSize: number): FamilyDefaults;
  /** The optional settings that it supports: those that not every family has. */
  takes: readonly (keyof ModelConfig)[];
  /** How it is trained by default. */
  recipe: Recipe;
  /** Its possible objectives; the first is the default. */
  objectives: readonly [Objective, ...Objective[]];
  /** The kind of tokenizer that it is trained with. */
  tokenizer: TextTokenizer['kind'];
  /** Whether a token sees only those before it: then the model continues prompts, otherwise it fills masks. */
  isCausal: boolean;
  /** Whether it reads token types: which text of a pair a token belongs to. */
  hasTokenTypes: boolean;
  /** Whether it can have another head instead of its pre-training heads, that is, whether it can be fine-tuned. */
  takesHeads: boolean;
  /** Errors for settings that it does not support, each with how to fix it. */
  mistakes?(config: ModelConfig): string[];
  /** The prefix of its parameters' names, except for those of heads. */
  prefix: string;
  /** Names under which files repeat a parameter: the output layer that is tied to the word embeddings. */
  copies(config: ModelConfig): Readonly<Record<string, string>>;
  /** The bias of the output layer over the vocabulary, if there is one. */
  outputBias?: string;
  /** Its parameters, with Hugging Face's names: with the pre-training heads, or with another one instead of them. */
  parameters(config: ModelConfig, head?: Head): ParameterSpec[];
  /** FLOPs of a forward pass over sequences of T tokens. */
  forwardFlops(config: ModelConfig, sequenceLength: number): ForwardFlops;
  /** The prefix of block `l`'s parameters' names. */
  blockPrefix(config: ModelConfig, l: number): string;
  /** The configuration of a model with only these of its blocks, in their order, if more than their number changes. */
  withBlocks?(config: ModelConfig, kept: readonly number[]): ModelConfig;
  /** The last layer of each branch of block `l`. */
  branchEnds(config: ModelConfig, l: number): string[];
  /** The model with existing weights. */
  create(config: ModelConfig, weights: Weights, dtype?: Dtype): Transformer;
  huggingFace: HuggingFace;
}
