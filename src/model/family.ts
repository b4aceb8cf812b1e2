import type { Objective, TextTokenizer } from '../data/index.ts';
import type { ForwardFlops } from '../depth/index.ts';
import type { Dtype } from '../tensor/index.ts';
import type { Head } from './heads.ts';
import type { HuggingFace } from './hugging-face.ts';
import type { ModelConfig, ParameterSpec, Weights } from './parameters.ts';
import type { Transformer } from './transformer.ts';

/** What a family gives a model. */
export type FamilyDefaults = Pick<
  ModelConfig,
  'ffnSize' | 'activation' | 'layerNormEpsilon' | 'dropout' | 'attentionDropout'
> &
  Partial<ModelConfig>;

/** How a family is trained, by its paper. */
export interface Recipe {
  /** Adam's β₁ and β₂. */
  betas: [number, number];
  /** The fraction of the tokens that are masked, where the objective masks. */
  maskRate: number;
}

/** A family of models as `model.kind` names it: all that is true of it alone. A new one is a file and a line in `families`. */
export interface Family {
  /** Its name in texts. */
  title(config: ModelConfig): string;
  /** What follows from it and from a model's width where a configuration says nothing else: the values of its paper. */
  defaults(hiddenSize: number): FamilyDefaults;
  /** What of the settings that not every family has it takes. */
  takes: readonly (keyof ModelConfig)[];
  /** How it is trained where nothing else is said. */
  recipe: Recipe;
  /** What it can learn; the first one is what it learns where nothing is said. */
  objectives: readonly [Objective, ...Objective[]];
  /** The kind of tokenizer that it is trained with. */
  tokenizer: TextTokenizer['kind'];
  /** Whether a token sees only those before it: then the model continues texts, else it fills masks. */
  isCausal: boolean;
  /** Whether it reads which text of a pair a token is of. */
  hasTokenTypes: boolean;
  /** Whether it can have another head instead of its pre-training heads: whether it can be fine-tuned. */
  takesHeads: boolean;
  /** What of a configuration it does not take, each with how to fix it. */
  mistakes?(config: ModelConfig): string[];
  /** What the names of its parameters begin with, but for those of heads. */
  prefix: string;
  /** Names under which files hold a parameter once more: the output layer beside the word embeddings that it is. */
  copies(config: ModelConfig): Readonly<Record<string, string>>;
  /** The bias of the output layer over the vocabulary, where there is one. */
  outputBias?: string;
  /** Its parameters, with Hugging Face's names: with the pre-training heads, or with another one instead of them. */
  parameters(config: ModelConfig, head?: Head): ParameterSpec[];
  /** FLOPs of a forward pass over sequences of T tokens. */
  forwardFlops(config: ModelConfig, sequenceLength: number): ForwardFlops;
  /** What the names of block `l`'s parameters begin with. */
  blockPrefix(config: ModelConfig, l: number): string;
  /** The configuration of a model with only these of its blocks, in their order, where it is more than another number. */
  withBlocks?(config: ModelConfig, kept: readonly number[]): ModelConfig;
  /** The last layer of each branch of block `l`. */
  branchEnds(config: ModelConfig, l: number): string[];
  /** The model over weights that are there. */
  create(config: ModelConfig, weights: Weights, dtype?: Dtype): Transformer;
  huggingFace: HuggingFace;
}
