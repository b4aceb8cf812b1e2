import { layerNormEpsilon } from './block.ts';
import { initialStd, type ModelConfig, numTokenTypes } from './parameters.ts';

/** The `config.json` with which Hugging Face's `transformers` opens the weights: `megatron-bert` for PreLN, `bert` for PostLN. */
export function huggingFaceConfig(model: ModelConfig): Record<string, unknown> {
  const family =
    model.norm === 'pre' ? { type: 'megatron-bert', name: 'MegatronBert' } : { type: 'bert', name: 'Bert' };
  return {
    architectures: [`${family.name}ForPreTraining`],
    model_type: family.type,
    vocab_size: model.vocabSize,
    hidden_size: model.hiddenSize,
    num_hidden_layers: model.layers,
    num_attention_heads: model.heads,
    intermediate_size: model.ffnSize,
    max_position_embeddings: model.maxPositions,
    type_vocab_size: numTokenTypes,
    hidden_act: 'gelu',
    hidden_dropout_prob: model.dropout,
    attention_probs_dropout_prob: model.attentionDropout,
    initializer_range: initialStd,
    layer_norm_eps: layerNormEpsilon,
    pad_token_id: 0,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
  };
}
