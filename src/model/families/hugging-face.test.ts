import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../config/index.ts';
import { bert } from './bert.ts';

const huggingFaceConfig = bert.huggingFace.write;

const specialIds = { pad: 0, cls: 0, sep: 0, bos: 0, end: 0 };
const model = (norm: 'pre' | 'post') => {
  return loadConfig({ overrides: { model: { preset: 'bert-base', norm }, train: { steps: 1 } } }).config.model;
};

test('the configuration of PostLN bert-base is that of bert-base-uncased', () => {
  // https://huggingface.co/bert-base-uncased/blob/main/config.json, without what only describes its files.
  const published = {
    hidden_act: 'gelu',
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
    hidden_size: 768,
    initializer_range: 0.02,
    intermediate_size: 3072,
    layer_norm_eps: 1e-12,
    max_position_embeddings: 512,
    model_type: 'bert',
    num_attention_heads: 12,
    num_hidden_layers: 12,
    pad_token_id: 0,
    type_vocab_size: 2,
    vocab_size: 30522,
  };
  assert.deepEqual(huggingFaceConfig(model('post'), { specialIds }), {
    ...published,
    architectures: ['BertForPreTraining'],
    tie_word_embeddings: true,
    torch_dtype: 'float32',
  });
});

test('PreLN is megatron-bert, of the same sizes', () => {
  const { architectures, model_type, ...sizes } = huggingFaceConfig(model('pre'), { specialIds });
  assert.deepEqual(architectures, ['MegatronBertForPreTraining']);
  assert.equal(model_type, 'megatron-bert');
  const { architectures: _, model_type: __, ...postSizes } = huggingFaceConfig(model('post'), { specialIds });
  assert.deepEqual(sizes, postSizes);
});
