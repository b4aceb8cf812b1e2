// A RoBERTa and a DistilBERT, made of a BERT by their names for its tensors.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openCheckpoint } from '../checkpoints/index.ts';
import { ConfigError } from '../errors/index.ts';
import { initialise } from '../model/index.ts';
import { readSafetensors, scope, Tensor, writeSafetensors } from '../tensor/index.ts';
import { tinyConfig } from '../train/tiny.fixture.ts';
import { importHuggingFace } from './import.ts';
import { readConfig } from './read-config.ts';

type Json = Record<string, unknown>;

const fixture = new URL('../../../tests/fixtures/hugging-face/published.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  cases: { name: string; files: Record<string, object>; size: number }[];
};
const root = mkdtempSync(join(tmpdir(), 'taper-relatives-'));
after(() => rmSync(root, { recursive: true, force: true }));

const [positions, types] = ['position', 'token_type'].map((kind) => `bert.embeddings.${kind}_embeddings.weight`);
const robertaConfig = {
  model_type: 'roberta',
  hidden_size: 16,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  intermediate_size: 32,
  max_position_embeddings: 18,
  type_vocab_size: 1,
  pad_token_id: 1,
  layer_norm_eps: 1e-5,
};
const distilbertConfig = {
  model_type: 'distilbert',
  dim: 16,
  n_layers: 3,
  n_heads: 2,
  hidden_dim: 32,
  max_position_embeddings: 16,
};

/** A BERT whose embeddings are a RoBERTa's or a DistilBERT's, by its own names. */
function bertOf(vocabSize: number, typeRow: number): Map<string, Tensor> {
  const { model } = tinyConfig({ model: { kind: 'bert', norm: 'post', vocabSize }, data: { objective: 'mlm' } });
  const weights = initialise(model, 1);
  return weights.set(types!, Tensor.full([2, 16], typeRow));
}

/** Writes a folder with these weights by their names there, and imports it. */
function imported(name: string, config: Json, weights: Map<string, Tensor>): string {
  const { files, size } = cases.find((each) => each.name === name)!;
  const folder = join(root, name);
  mkdirSync(folder);
  const all = { ...files, 'config.json': { ...config, vocab_size: size } };
  for (const [file, content] of Object.entries(all)) writeFileSync(join(folder, file), JSON.stringify(content));
  writeSafetensors(join(folder, 'model.safetensors'), weights);
  importHuggingFace(folder, join(root, `${name}-in`), () => {});
  return join(root, `${name}-in`);
}

function assertSame(path: string, expected: Map<string, Tensor>): void {
  const found = readSafetensors(join(path, 'model.safetensors'));
  for (const [name, tensor] of expected) {
    if (!/pooler|seq_relationship/.test(name)) assert.deepEqual(found.get(name)!.toArray(), tensor.toArray(), name);
  }
  assert.equal(JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')).model_type, 'bert');
  assert.equal(openCheckpoint(path, assert.fail).config.model.maxPositions, 16);
}

test('a RoBERTa is a bert with its positions from behind the padding, and one type for both texts', () =>
  scope(() => {
    const bert = bertOf(cases.find(({ name }) => name === 'RoBERTa')!.size, 0.5);
    const theirs = new Map<string, Tensor>();
    for (const [name, tensor] of bert) {
      if (/pooler|seq_relationship/.test(name)) continue;
      const renamed = name
        .replace(/^bert\./, 'roberta.')
        .replace('cls.predictions.transform.dense', 'lm_head.dense')
        .replace('cls.predictions.transform.LayerNorm', 'lm_head.layer_norm')
        .replace('cls.predictions.bias', 'lm_head.bias');
      theirs.set(renamed, tensor);
    }
    const rows = bert.get(positions!)!.toFloats();
    const shifted = Float32Array.of(...new Array<number>(2 * 16).fill(9), ...rows);
    theirs.set('roberta.embeddings.position_embeddings.weight', Tensor.from(shifted, [18, 16]));
    theirs.set('roberta.embeddings.token_type_embeddings.weight', Tensor.full([1, 16], 0.5));
    assertSame(imported('RoBERTa', robertaConfig, theirs), bert);
  }));

test('a DistilBERT is a bert without token types', () =>
  scope(() => {
    const bert = bertOf(cases.find(({ name }) => name === 'DistilBERT')!.size, 0);
    const theirs = new Map<string, Tensor>();
    for (const [name, tensor] of bert) {
      if (/pooler|seq_relationship|token_type/.test(name)) continue;
      const renamed = name
        .replace(/^bert\./, 'distilbert.')
        .replace('encoder.layer', 'transformer.layer')
        .replace('attention.self.query', 'attention.q_lin')
        .replace('attention.self.key', 'attention.k_lin')
        .replace('attention.self.value', 'attention.v_lin')
        .replace('attention.output.dense', 'attention.out_lin')
        .replace('attention.output.LayerNorm', 'sa_layer_norm')
        .replace('intermediate.dense', 'ffn.lin1')
        .replace('.output.dense', '.ffn.lin2')
        .replace('.output.LayerNorm', '.output_layer_norm')
        .replace('cls.predictions.transform.dense', 'vocab_transform')
        .replace('cls.predictions.transform.LayerNorm', 'vocab_layer_norm')
        .replace('cls.predictions.bias', 'vocab_projector.bias');
      theirs.set(renamed, tensor);
    }
    theirs.set('vocab_projector.weight', bert.get('bert.embeddings.word_embeddings.weight')!);
    assertSame(imported('DistilBERT', distilbertConfig, theirs), bert);
  }));

test('a classifier of distilbert, which differs from that of bert, is refused', () => {
  const folder = join(root, 'classifier');
  mkdirSync(folder);
  const config = { ...distilbertConfig, vocab_size: 30, architectures: ['DistilBertForSequenceClassification'] };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  assert.throws(
    () => readConfig(folder, assert.fail),
    (error) =>
      error instanceof ConfigError &&
      /config\.json: a distilbert classifier uses ReLU.* import the pre-trained model and fine-tune it here$/.test(
        error.message,
      ),
  );
});
