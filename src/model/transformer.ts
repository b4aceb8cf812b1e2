import type { Dtype, Tensor } from '../tensor/index.ts';
import {
  type BlockModel,
  type Branches,
  type Context,
  DropoutPlace,
  dropoutAt,
  type Pass,
  switchableBlock,
} from './block.ts';
import type { ModelConfig, Weights } from './parameters.ts';

// Legend: N sequences, T positions, D model width, V vocabulary, M predicted tokens.

/** What a model reads. */
export interface ModelInputs extends Context {
  /** [N, T] token ids, int32 or int64. */
  inputIds: Tensor;
  /** [N, T] 0 for the first segment, 1 for the second; GPT ignores it. */
  tokenTypeIds: Tensor;
}

/**
 * A stack of switchable blocks between embeddings and an output layer over the vocabulary, with float32 weights under Hugging
 * Face's names. Matrix products run in `dtype`; the residual stream, the norms and the losses are float32.
 */
export abstract class Transformer implements BlockModel {
  readonly config: ModelConfig;
  readonly weights: Weights;
  readonly dtype: Dtype;

  constructor(config: ModelConfig, weights: Weights, dtype: Dtype = 'float32') {
    this.config = config;
    this.weights = weights;
    this.dtype = dtype;
  }

  /** The hidden states that the heads read: [N, T, D] float32. */
  encode(inputs: ModelInputs, pass?: Pass): Tensor {
    return this.finalNorm(this.residualStream(inputs, pass).at(-1)!);
  }

  /** The input of the first block and the output of each: L + 1 tensors [N, T, D] float32. */
  residualStream(inputs: ModelInputs, pass?: Pass): Tensor[] {
    const { dropout, layers } = this.config;
    const { p, seed, firstRow } = dropoutAt(dropout, pass, layers, DropoutPlace.embeddings);
    const stream = [this.embed(inputs).dropout(p, seed, firstRow)];
    for (let l = 0; l < layers; l++) {
      stream.push(switchableBlock(stream[l]!, l, this, inputs, pass));
    }
    return stream;
  }

  /** The output layer, only on chosen tokens: logits [M, V] at `positions` [M], flat indices into N·T. */
  tokenLogits(hidden_NTD: Tensor, positions: Tensor): Tensor {
    return this.beforeOutput(this.pick(hidden_NTD, positions)).linear(this.outputWeight(), this.outputBias() ?? []);
  }

  /**
   * Cross-entropy of the logits at `positions` with `labels` [M], summed, in nats, and how many labels have the largest logit.
   * The full logits are never stored.
   */
  tokenLoss(hidden_NTD: Tensor, positions: Tensor, labels: Tensor): { loss: Tensor; hits: Tensor } {
    const x_MD = this.beforeOutput(this.pick(hidden_NTD, positions));
    return x_MD.linearCrossEntropy(this.outputWeight(), this.outputBias(), labels);
  }

  /** The two branches of block `l`. */
  abstract branches(l: number): Branches;
  /** The norm after the last block, if there is one: the heads read its result. */
  abstract finalNorm(x_NTD: Tensor): Tensor;
  /** The next-sentence head, of families that have one: logits [N, 2]; class 0 means that the second segment follows the first. */
  nextSentenceLogits?(hidden_NTD: Tensor): Tensor;
  /** The classifier of texts, of families that take heads: logits [N, labels]; the first `lengths` tokens of each are not padding. */
  classLogits?(hidden_NTD: Tensor, lengths: readonly number[], pass?: Pass): Tensor;
  /** The classifier of tokens, of families that take heads: logits [M, labels] of hidden states [M, D]. */
  tokenClassLogits?(hidden_MD: Tensor, pass?: Pass): Tensor;
  /** The embeddings of the tokens: [N, T, D] float32. */
  protected abstract embed(inputs: ModelInputs): Tensor;
  /** The input of the output layer, in the model's precision, from hidden states [M, D]. */
  protected abstract beforeOutput(hidden_MD: Tensor): Tensor;
  /** [V], or undefined if the output layer has no bias. */
  protected abstract outputBias(): Tensor | undefined;

  /** [V, D] */
  protected abstract wordEmbeddings(): Tensor;

  /** [V, D] The output layer: the word embeddings, unless it has its own weights. */
  protected outputWeight(): Tensor {
    return this.wordEmbeddings();
  }

  private pick(hidden_NTD: Tensor, positions: Tensor): Tensor {
    return hidden_NTD.reshape([-1, this.config.hiddenSize]).indexSelect(0, positions);
  }
}
