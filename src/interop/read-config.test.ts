import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../errors/index.ts';
import type { Json, LabelHead } from '../model/index.ts';
import { readConfig } from './read-config.ts';

/** `BertConfig()`, `MegatronBertConfig()` and `GPT2Config()`, and labels (tests/fixtures/hugging_face_reads.py). */
interface Defaults {
  configs: Record<'bert' | 'megatron-bert' | 'gpt2', Json>;
  labels: Record<'nothing' | 'three' | 'named', string[]>;
}

const fixture = fileURLToPath(new URL('../../../tests/fixtures/hugging-face/reads.json', import.meta.url));
const { configs, labels } = JSON.parse(readFileSync(fixture, 'utf8')) as Defaults;
const root = mkdtempSync(join(tmpdir(), 'taper-read-config-'));
let numFolders = 0;

after(() => rmSync(root, { recursive: true, force: true }));

function read(json: Json, warned: string[] = []) {
  const folder = join(root, `${numFolders++}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(json));
  return readConfig(folder, (message) => warned.push(message));
}

const refused = (json: Json, message: RegExp) =>
  assert.throws(
    () => read(json),
    (error) => error instanceof ConfigError && message.test(error.message),
    String(message),
  );

/** Other values than the defaults, as far as taper has them. */
const others: Record<'bert' | 'gpt2', Json> = {
  bert: {
    vocab_size: 100,
    hidden_size: 48,
    num_hidden_layers: 3,
    num_attention_heads: 2,
    intermediate_size: 90,
    max_position_embeddings: 60,
    hidden_act: 'gelu_new',
    hidden_dropout_prob: 0.2,
    attention_probs_dropout_prob: 0.3,
    layer_norm_eps: 1e-6,
    initializer_range: 0.05,
  },
  gpt2: {
    vocab_size: 100,
    n_embd: 48,
    n_layer: 3,
    n_head: 2,
    n_inner: 90,
    n_positions: 60,
    activation_function: 'gelu',
    resid_pdrop: 0.2,
    attn_pdrop: 0.3,
    layer_norm_epsilon: 1e-6,
    initializer_range: 0.05,
  },
};

for (const kind of ['bert', 'megatron-bert', 'gpt2'] as const) {
  const given = { model_type: kind, ...others[kind === 'gpt2' ? 'gpt2' : 'bert'] };

  test(`${kind}: each key that config.json leaves out has the default of transformers`, () => {
    assert.deepEqual(read({ model_type: kind }).model, read(configs[kind]).model);
    for (const key of Object.keys(given).filter((name) => !/model_type|head/.test(name))) {
      const { [key as 'model_type']: _, ...rest } = given;
      const filled = read({ ...given, [key]: configs[kind][key] }).model;
      assert.deepEqual(read(rest).model, filled, key);
      assert.notDeepEqual(filled, read(given).model, key);
    }
  });

  test(`${kind}: omitted sizes are reported, and heads need the default width`, () => {
    const warned: string[] = [];
    read({ model_type: kind }, warned);
    assert.equal(warned.length, 1);
    assert.match(warned[0]!, new RegExp(`config\\.json: sizes are missing.*vocab_size ${configs[kind].vocab_size},`));
    read(given, warned);
    assert.equal(warned.length, 1);
    const [heads, width] = kind === 'gpt2' ? ['n_head', 'n_embd'] : ['num_attention_heads', 'hidden_size'];
    refused(
      { ...given, [heads!]: undefined },
      new RegExp(`config\\.json: ${heads} is missing and cannot be inferred from the weights`),
    );
    const usual = read({ ...given, [heads!]: undefined, [width!]: configs[kind][width!] }).model;
    assert.equal(usual.heads, configs[kind][heads!]);
  });
}

test('a GPT-2 may have the names of other models for its sizes', () => {
  const { n_embd, n_layer, n_head, n_positions, ...rest } = others.gpt2;
  const named = { hidden_size: n_embd, num_hidden_layers: n_layer, num_attention_heads: n_head };
  const other = { ...rest, ...named, max_position_embeddings: n_positions, n_embd: 12, model_type: 'gpt2' };
  assert.deepEqual(read(other).model, read({ ...others.gpt2, model_type: 'gpt2' }).model);
});

test('labels without names are those of transformers', () => {
  const classifier = (more: Json) =>
    read({ ...others.bert, model_type: 'bert', architectures: ['BertForSequenceClassification'], ...more })
      .head as LabelHead;
  assert.deepEqual(classifier({}).labels, labels.nothing);
  assert.deepEqual(classifier({ num_labels: 3 }).labels, labels.three);
  assert.deepEqual(classifier({ id2label: { 1: 'b', 0: 'a' } }).labels, [...labels.named].sort());
  assert.deepEqual(classifier({ id2label: { 1: 'b', 0: 'a' }, num_labels: 2 }).labels, ['a', 'b']);
  assert.deepEqual(classifier({ num_labels: 1 }), { kind: 'regression', labels: ['LABEL_0'] });
  const refusedLabels = (more: Json, message: RegExp) =>
    refused({ ...others.bert, model_type: 'bert', architectures: ['BertForSequenceClassification'], ...more }, message);
  refusedLabels(
    { id2label: { 0: 'a', 2: 'b' } },
    /config\.json: id2label has the ids 0, 2; number its labels from 0 up/,
  );
  refusedLabels({ id2label: {} }, /config\.json: id2label has the ids/);
  refusedLabels({ id2label: { 0: 'a', 1: 'b' }, num_labels: 3 }, /config\.json: num_labels is 3, but id2label has 2/);
  refusedLabels({ num_labels: 0 }, /config\.json: num_labels 0 is not a whole number/);
});

const modern = {
  vocab_size: 300,
  hidden_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  intermediate_size: 90,
  max_position_embeddings: 64,
};
const modernBert: Json = { ...modern, model_type: 'modernbert', local_attention: 16 };
const llama: Json = { ...modern, model_type: 'llama', num_key_value_heads: 2 };

test('rotary positions are the same as transformers 5 and those before it write them', () => {
  const full = { rope_type: 'linear', factor: 2, rope_theta: 500 };
  const [older, newer] = [
    { global_rope_theta: 500, local_rope_theta: 20, rope_scaling: { type: 'linear', factor: 2 } },
    { rope_parameters: { full_attention: full, sliding_attention: { ...full, rope_theta: 20 } } },
  ].map((rope) => read({ ...modernBert, ...rope }).model);
  assert.deepEqual(older, newer);
  assert.deepEqual(
    [older!.ropeTheta, older!.localRopeTheta, older!.ropeScaling],
    [500, 20, { type: 'linear', factor: 2 }],
  );
  const scaling = { rope_type: 'llama3', factor: 4, low_freq_factor: 1, high_freq_factor: 4 };
  assert.deepEqual(
    read({ ...llama, rope_theta: 300, rope_scaling: scaling }).model,
    read({ ...llama, rope_parameters: { rope_theta: 300, ...scaling } }).model,
  );
});

test('blocks that see the whole text are read from a number and from a list', () => {
  const types = (...isFull: number[]) => isFull.map((is) => (is ? 'full_attention' : 'sliding_attention'));
  const blocks = (more: Json) => read({ ...modernBert, ...more }).model.globalBlocks;
  assert.equal(blocks({}), 3);
  assert.equal(blocks({ global_attn_every_n_layers: 2 }), 2);
  assert.equal(blocks({ layer_types: types(1, 0, 1, 0) }), 2);
  assert.deepEqual(blocks({ layer_types: types(0, 1, 1, 0) }), [1, 2]);
  refused({ ...modernBert, layer_types: types(1, 0) }, /layer_types must be a list of 4 entries/);
});

test('what a family of today does not express is refused by its name', () => {
  const linear = { rope_type: 'linear', factor: 2 };
  refused(
    { ...llama, rope_scaling: { rope_type: 'yarn', factor: 2 } },
    /rope_type "yarn" is not one of default, linear, llama3$/,
  );
  refused(
    { ...llama, rope_scaling: { rope_type: 'linear' } },
    /rotary positions: factor is missing, is not a number above 0/,
  );
  refused({ ...llama, mlp_bias: true }, /mlp_bias true is not supported; taper supports only false/);
  refused({ ...llama, hidden_act: 'relu' }, /hidden_act "relu" is not one of silu, gelu, gelu_new/);
  refused({ ...modernBert, norm_bias: true }, /norm_bias true is not supported; taper supports only false/);
  refused({ ...modernBert, local_attention: 0 }, /local_attention 0 is not a whole number from 1/);
  refused({ ...modernBert, rope_parameters: { full_attention: linear } }, /scale local and global blocks differently/);
  refused({ ...llama, model_type: 'qwen3', use_sliding_window: true }, /use_sliding_window true is not supported/);
});

test('a config.json without model_type is refused', () => {
  refused(
    { hidden_size: 16 },
    /config\.json: model_type is missing; it must be one of modernbert, llama, qwen3, bert, megatron-bert, gpt2, roberta, distilbert/,
  );
});

test('what a classifier of a ModernBERT pools is read as transformers reads it', () => {
  const pooling = (more: Json) => read({ ...modernBert, ...more }).model.classifierPooling;
  assert.equal(pooling({}), 'cls');
  assert.equal(pooling({ classifier_pooling: 'cls' }), 'cls');
  assert.equal(pooling({ classifier_pooling: 'mean' }), 'mean');
  refused({ ...modernBert, classifier_pooling: 'max' }, /classifier_pooling "max" must be "mean" or "cls"$/);
});

// What the config.json of published models has besides the keys that every model has; each could be one that is refused.
const published: Record<string, Json> = {
  'answerdotai/ModernBERT-base': {
    ...modernBert,
    architectures: ['ModernBertForMaskedLM'],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 50_281,
    classifier_activation: 'gelu',
    classifier_bias: false,
    classifier_dropout: 0,
    classifier_pooling: 'mean',
    cls_token_id: 50_281,
    decoder_bias: true,
    deterministic_flash_attn: false,
    embedding_dropout: 0,
    eos_token_id: 50_282,
    global_attn_every_n_layers: 3,
    global_rope_theta: 160_000,
    gradient_checkpointing: false,
    hidden_activation: 'gelu',
    initializer_cutoff_factor: 2,
    initializer_range: 0.02,
    layer_norm_eps: 1e-5,
    local_rope_theta: 10_000,
    mlp_bias: false,
    mlp_dropout: 0,
    norm_bias: false,
    norm_eps: 1e-5,
    pad_token_id: 50_283,
    position_embedding_type: 'absolute',
    reference_compile: true,
    sep_token_id: 50_282,
    sparse_pred_ignore_index: -100,
    sparse_prediction: false,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
  },
  'meta-llama/Llama-3.2-1B': {
    ...llama,
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 128_000,
    eos_token_id: 128_001,
    head_dim: 12,
    hidden_act: 'silu',
    initializer_range: 0.02,
    mlp_bias: false,
    pretraining_tp: 1,
    rms_norm_eps: 1e-5,
    rope_scaling: {
      factor: 32,
      high_freq_factor: 4,
      low_freq_factor: 1,
      original_max_position_embeddings: 8192,
      rope_type: 'llama3',
    },
    rope_theta: 500_000,
    tie_word_embeddings: true,
    torch_dtype: 'bfloat16',
    use_cache: true,
  },
  'HuggingFaceTB/SmolLM2-135M': {
    ...llama,
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 0,
    eos_token_id: 0,
    hidden_act: 'silu',
    initializer_range: 0.041666666666666664,
    is_llama_config: true,
    mlp_bias: false,
    pad_token_id: null,
    pretraining_tp: 1,
    rms_norm_eps: 1e-5,
    rope_interleaved: false,
    rope_scaling: null,
    rope_theta: 100_000,
    tie_word_embeddings: true,
    use_cache: true,
  },
  'Qwen/Qwen3-0.6B': {
    ...llama,
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 151_643,
    eos_token_id: 151_645,
    head_dim: 16,
    hidden_act: 'silu',
    initializer_range: 0.02,
    max_window_layers: 28,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 1_000_000,
    sliding_window: null,
    tie_word_embeddings: true,
    use_cache: true,
    use_sliding_window: false,
  },
  'google-bert/bert-base-uncased': {
    ...others.bert,
    model_type: 'bert',
    architectures: ['BertForMaskedLM'],
    gradient_checkpointing: false,
    pad_token_id: 0,
    position_embedding_type: 'absolute',
    type_vocab_size: 2,
    use_cache: true,
  },
  'openai-community/gpt2': {
    ...others.gpt2,
    model_type: 'gpt2',
    architectures: ['GPT2LMHeadModel'],
    bos_token_id: 50_256,
    eos_token_id: 50_256,
    n_ctx: 60,
    resid_pdrop: 0.1,
    embd_pdrop: 0.1,
    attn_pdrop: 0.1,
    summary_activation: null,
    summary_first_dropout: 0.1,
    summary_proj_to_labels: true,
    summary_type: 'cls_index',
    summary_use_proj: true,
    task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
  },
};

for (const [name, json] of Object.entries(published)) {
  test(`no key of the published ${name} is refused`, () => {
    assert.equal(read(json).model.layers, json.num_hidden_layers ?? json.n_layer);
  });
}
