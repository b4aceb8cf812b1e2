import type { Dtype } from '../tensor/index.ts';
import type { Classifier, ModelConfig, ParameterSpec, Weights } from './parameters.ts';
import type { Transformer } from './transformer.ts';

/** The numbers of the tokens that `transformers` looks up in `config.json`. */
export interface SpecialIds {
  /** [PAD], or <|endoftext|>. */
  pad: number;
  /** <|endoftext|> of a GPT. */
  end: number;
}

/** A family of models as `model.kind` names it: all that is true of it alone. A new one is a file and a line in `families`. */
export interface Family {
  /** What the names of its parameters begin with, but for those of heads. */
  prefix: string;
  /** Names under which files hold a parameter once more: the output layer beside the word embeddings that it is. */
  copies: Readonly<Record<string, string>>;
  /** The bias of the output layer over the vocabulary, where there is one. */
  outputBias?: string;
  /** Its parameters, with Hugging Face's names: with the pre-training heads, or with a classifier instead of them. */
  parameters(config: ModelConfig, classifier?: Classifier): ParameterSpec[];
  /** What the names of block `l`'s parameters begin with. */
  blockPrefix(config: ModelConfig, l: number): string;
  /** The last layer of each branch of block `l`. */
  branchEnds(config: ModelConfig, l: number): string[];
  /** The model over weights that are there. */
  create(config: ModelConfig, weights: Weights, dtype?: Dtype): Transformer;
  /** The `config.json` with which Hugging Face's `transformers` opens the weights. */
  huggingFaceConfig(
    config: ModelConfig,
    more: { classifier?: Classifier | undefined; specialIds: SpecialIds },
  ): Record<string, unknown>;
}
