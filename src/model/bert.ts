import type { Tensor } from '../tensor/index.ts';
import { activation, DropoutPlace, dropoutAt, layerNorm, linear, type Pass } from './block.ts';
import { outputBiasName } from './parameters.ts';
import { type ModelInputs, Transformer } from './transformer.ts';

/**
 * BERT with its two pre-training heads, or with a classifier (Devlin et al. 2019). Hugging Face's names of it are
 * `megatron-bert` for PreLN and `bert` for PostLN.
 */
export class Bert extends Transformer {
  protected embed({ inputIds, tokenTypeIds }: ModelInputs): Tensor {
    const types_NTD = this.weights.get('bert.embeddings.token_type_embeddings.weight')!.embedding(tokenTypeIds);
    const words_NTD = this.wordEmbeddings().embedding(inputIds);
    const sum_NTD = words_NTD.add(types_NTD).add(this.positionEmbeddings(inputIds.shape[1]!));
    return this.config.norm === 'pre' ? sum_NTD : layerNorm(sum_NTD, this, 'bert.embeddings.LayerNorm');
  }

  protected beforeOutput(hidden_MD: Tensor): Tensor {
    const inner_MD = activation(linear(hidden_MD, this, 'cls.predictions.transform.dense'), this);
    return layerNorm(inner_MD, this, 'cls.predictions.transform.LayerNorm', this.dtype);
  }

  protected outputBias(): Tensor {
    return this.weights.get(outputBiasName)!;
  }

  /** The next-sentence head: logits [N, 2]; class 0 says that the second segment follows the first. */
  nextSentenceLogits(hidden_NTD: Tensor): Tensor {
    return linear(this.pool(hidden_NTD), this, 'cls.seq_relationship');
  }

  /** The classifier on the pooled first token: logits [N, labels]. */
  classLogits(hidden_NTD: Tensor, pass?: Pass): Tensor {
    const { p, seed, firstRow } = dropoutAt(this.config.dropout, pass, this.config.layers, DropoutPlace.pooled);
    return linear(this.pool(hidden_NTD).dropout(p, seed, firstRow), this, 'classifier');
  }

  /** `tanh(W·x + b)` of the first token: [N, D]. */
  private pool(hidden_NTD: Tensor): Tensor {
    return linear(hidden_NTD.select(1, 0), this, 'bert.pooler.dense').tanh();
  }
}
