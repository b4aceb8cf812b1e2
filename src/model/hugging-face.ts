import { type Classifier, initialStd, type ModelConfig, numTokenTypes } from './parameters.ts';

/** The numbers of the tokens that `transformers` looks up in `config.json`. */
export interface SpecialIds {
  /** [PAD], or <|endoftext|>. */
  pad: number;
  /** <|endoftext|> of a GPT. */
  end: number;
}

/**
 * The `config.json` with which Hugging Face's `transformers` opens the weights: `megatron-bert` for a PreLN BERT, `bert`
 * for a PostLN one, `gpt2` for GPT; with the pre-training heads, or a classifier.
 */
export function huggingFaceConfig(
  model: ModelConfig,
  { classifier, specialIds }: { classifier?: Classifier | undefined; specialIds: SpecialIds },
): Record<string, unknown> {
  if (model.kind === 'gpt2') return gptConfig(model, specialIds);
  const config = bertConfig(model, specialIds);
  if (!classifier) return config;
  const { labels, isRegression } = classifier;
  return {
    ...config,
    architectures: [`${familyOf(model).name}ForSequenceClassification`],
    id2label: Object.fromEntries(labels.map((label, id) => [id, label])),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
    problem_type: isRegression ? 'regression' : 'single_label_classification',
  };
}

const familyOf = ({ norm }: ModelConfig) =>
  norm === 'pre' ? { type: 'megatron-bert', name: 'MegatronBert' } : { type: 'bert', name: 'Bert' };

function bertConfig(model: ModelConfig, { pad }: SpecialIds): Record<string, unknown> {
  const family = familyOf(model);
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
    hidden_act: model.activation,
    hidden_dropout_prob: model.dropout,
    attention_probs_dropout_prob: model.attentionDropout,
    initializer_range: initialStd,
    layer_norm_eps: model.layerNormEpsilon,
    pad_token_id: pad,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
  };
}

function gptConfig(model: ModelConfig, { end }: SpecialIds): Record<string, unknown> {
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    vocab_size: model.vocabSize,
    n_embd: model.hiddenSize,
    n_layer: model.layers,
    n_head: model.heads,
    n_inner: model.ffnSize,
    n_positions: model.maxPositions,
    activation_function: model.activation,
    embd_pdrop: model.dropout,
    resid_pdrop: model.dropout,
    attn_pdrop: model.attentionDropout,
    initializer_range: initialStd,
    layer_norm_epsilon: model.layerNormEpsilon,
    bos_token_id: end,
    eos_token_id: end,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
  };
}
