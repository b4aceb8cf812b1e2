import type { Tensor } from '../tensor/index.ts';
import { DropoutPlace, dropout, layerNorm, linear, switchableBlock, type TrainingPass } from './block.ts';
import { type ModelConfig, tiedDecoder, type Weights, wordEmbeddings } from './parameters.ts';

// Legend: N sequences, T positions, D model width, V vocabulary, M masked tokens.

/** What BERT reads. */
export interface BertInputs {
  /** [N, T] token ids, int32 or int64. */
  inputIds: Tensor;
  /** [N, T] 0 for the first segment, 1 for the second. */
  tokenTypeIds: Tensor;
  /** [N, 1, 1, T] added to attention scores: 0 where there is text, very negative at padding; absent without padding. */
  attentionBias?: Tensor;
}

/**
 * BERT with switchable blocks and its two pre-training heads (Devlin et al. 2019), over weights with Hugging Face's
 * names: `megatron-bert` for PreLN, `bert` for PostLN. Matrix products run in the precision of the weights that are
 * given; the residual stream and the norms are float32.
 */
export class Bert {
  readonly config: ModelConfig;
  readonly weights: Weights;

  constructor(config: ModelConfig, weights: Weights) {
    this.config = config;
    this.weights = weights;
  }

  /** The hidden states after the last block: [N, T, D] float32. */
  encode(inputs: BertInputs, pass?: TrainingPass): Tensor {
    const { layers, norm } = this.config;
    let x_NTD = this.embed(inputs, pass);
    for (let l = 0; l < layers; l++) {
      x_NTD = switchableBlock(x_NTD, l, this.config, this.weights, inputs.attentionBias, pass);
    }
    return norm === 'pre' ? layerNorm(x_NTD, this.weights, 'bert.encoder.ln') : x_NTD;
  }

  private embed({ inputIds, tokenTypeIds }: BertInputs, pass?: TrainingPass): Tensor {
    const { norm, dropout: rate, layers } = this.config;
    const T = inputIds.shape[1]!;
    const words_NTD = this.weights.get(wordEmbeddings)!.embedding(inputIds);
    const positions_TD = this.weights.get('bert.embeddings.position_embeddings.weight')!.narrow(0, 0, T);
    const types_NTD = this.weights.get('bert.embeddings.token_type_embeddings.weight')!.embedding(tokenTypeIds);
    const sum_NTD = words_NTD.add(types_NTD).add(positions_TD);
    const x_NTD = norm === 'pre' ? sum_NTD : layerNorm(sum_NTD, this.weights, 'bert.embeddings.LayerNorm');
    return dropout(x_NTD, rate, pass, layers, DropoutPlace.embeddings);
  }

  /** The MLM head on chosen tokens only: logits [M, V] at `positions` [M], flat indices into N·T. */
  maskedLogits(hidden_NTD: Tensor, positions: Tensor): Tensor {
    const { weights } = this;
    const picked_MD = hidden_NTD.reshape([-1, this.config.hiddenSize]).indexSelect(0, positions);
    const inner_MD = linear(picked_MD, weights, 'cls.predictions.transform.dense').gelu();
    const normed_MD = layerNorm(inner_MD, weights, 'cls.predictions.transform.LayerNorm');
    const decoder_VD = weights.get(tiedDecoder) ?? weights.get(wordEmbeddings)!;
    return normed_MD.to(decoder_VD.dtype).linear(decoder_VD, weights.get('cls.predictions.bias'));
  }

  /** The next-sentence head: logits [N, 2]; class 0 says that the second segment follows the first. */
  nextSentenceLogits(hidden_NTD: Tensor): Tensor {
    const pooled_ND = linear(hidden_NTD.select(1, 0), this.weights, 'bert.pooler.dense').tanh();
    return linear(pooled_ND, this.weights, 'cls.seq_relationship');
  }
}
