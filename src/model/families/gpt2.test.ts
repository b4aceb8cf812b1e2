// cspell:ignore modeling
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scope, setNumThreads, Tensor } from '../../tensor/index.ts';
import { initialise, parameterSpecs } from '../families.ts';
import type { ModelConfig } from '../parameters.ts';
import { Gpt } from './gpt2.ts';

setNumThreads(1);

const config: ModelConfig = {
  kind: 'gpt2',
  layers: 3,
  hiddenSize: 16,
  heads: 2,
  ffnSize: 48,
  vocabSize: 50,
  maxPositions: 12,
  norm: 'pre',
  activation: 'gelu_new',
  layerNormEpsilon: 1e-5,
  dropout: 0,
  embeddingStd: 0.02,
  attentionDropout: 0,
};
const [N, T] = [2, 8];
const scoped = (name: string, body: () => void) => test(name, () => scope(body));

function inputs(ids: readonly number[]) {
  const inputIds = Tensor.from(Int32Array.from(ids), [N, T]);
  return { inputIds, tokenTypeIds: Tensor.zeros([N, T], { dtype: 'int32' }) };
}
const ids = Array.from({ length: N * T }, (_, i) => (7 * i + 3) % 50);

function weightsFor(model: ModelConfig): Map<string, Tensor> {
  const specs = parameterSpecs(model);
  return new Map(specs.map(({ name, shape }, i) => [name, Tensor.normal(shape, { std: 0.3, seed: i }).requiresGrad()]));
}

test('the parameters are those of GPT2LMHeadModel in transformers, whose linear layers are [inputs, outputs]', () => {
  // transformers' modeling_gpt2.py: Conv1D(nf, nx) has weight [nx, nf]; lm_head is tied to wte.
  const small = {
    ...config,
    layers: 12,
    hiddenSize: 768,
    heads: 12,
    ffnSize: 3072,
    vocabSize: 50257,
    maxPositions: 1024,
  };
  const specs = parameterSpecs(small);
  const inFile = new Map(
    specs.map(({ name, shape, transposedInFiles }) => [name, transposedInFiles ? shape.toReversed() : shape]),
  );
  assert.equal(specs.length, 12 * 12 + 4);
  const expected = {
    'transformer.wte.weight': [50257, 768],
    'transformer.wpe.weight': [1024, 768],
    'transformer.h.11.ln_1.weight': [768],
    'transformer.h.11.attn.c_attn.weight': [768, 2304],
    'transformer.h.11.attn.c_attn.bias': [2304],
    'transformer.h.11.attn.c_proj.weight': [768, 768],
    'transformer.h.11.ln_2.bias': [768],
    'transformer.h.11.mlp.c_fc.weight': [768, 3072],
    'transformer.h.11.mlp.c_proj.weight': [3072, 768],
    'transformer.ln_f.weight': [768],
  };
  for (const [name, shape] of Object.entries(expected)) assert.deepEqual(inFile.get(name), shape, name);
  const numbers = specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assert.equal(numbers, 124_439_808); // as published of GPT-2 small
});

scoped('a token changes what comes at and after its position, and nothing before', () => {
  const model = new Gpt(config, weightsFor(config));
  const states = (tokens: readonly number[]) => model.encode(inputs(tokens)).toFloats();
  const before = states(ids);
  const after = states(ids.map((id, i) => (i === 5 ? (id + 1) % 50 : id)));
  const changed = [...before.keys()].filter((i) => before[i] !== after[i]);
  const positions = new Set(changed.map((i) => Math.floor(i / config.hiddenSize)));
  assert.deepEqual([...positions], [5, 6, 7]); // of the first sequence
});

scoped('the loss is the cross-entropy of the logits, from the word embeddings without a bias', () => {
  const weights = weightsFor(config);
  const model = new Gpt(config, weights);
  const hidden = model.encode(inputs(ids));
  const positions = Tensor.from(BigInt64Array.of(0n, 3n, 9n), [3]);
  const labels = [4, 0, 49];
  const logits = hidden.reshape([-1, 16]).indexSelect(0, positions).linear(weights.get('transformer.wte.weight')!);
  const found = model.tokenLogits(hidden, positions).toFloats();
  for (const [i, logit] of logits.toFloats().entries()) assert.ok(Math.abs(logit - found[i]!) < 1e-4);
  const expected = labels.reduce((sum, label, m) => {
    const row = Array.from(found.subarray(50 * m, 50 * (m + 1)));
    return sum + Math.log(row.reduce((total, x) => total + Math.exp(x), 0)) - row[label]!;
  }, 0);
  const { loss } = model.tokenLoss(hidden, positions, Tensor.from(BigInt64Array.from(labels, BigInt), [3]));
  assert.ok(Math.abs(loss.item() - expected) < 1e-4);
});

scoped('a block that is skipped is passed by, and has no gradient', () => {
  const weights = weightsFor(config);
  const pass = { gates: [true, false, true], branchScales: [1, 2, 1] };
  const kept = new Gpt(config, weights).encode(inputs(ids), pass);
  // Without the second block the third is the second.
  const others = [...weights].filter(([name]) => !name.startsWith('transformer.h.1.'));
  const without = new Map(others.map(([name, weight]) => [name.replace('h.2.', 'h.1.'), weight]));
  const shorter = new Gpt({ ...config, layers: 2 }, without).encode(inputs(ids));
  assert.deepEqual(kept.toFloats(), shorter.toFloats());
  const gradients = kept.sum().grad([...weights.values()]);
  const missing = [...weights.keys()].filter((_, i) => gradients[i] === undefined);
  assert.deepEqual(
    missing,
    [...weights.keys()].filter((name) => name.startsWith('transformer.h.1.')),
  );
});

scoped('a new model has a loss near log V', () => {
  const model = new Gpt(config, initialise(config, 1));
  const positions = Tensor.from(BigInt64Array.from([...Array(T - 1).keys()], BigInt), [T - 1]);
  const labels = Tensor.from(BigInt64Array.from(ids.slice(1, T), BigInt), [T - 1]);
  const { loss } = model.tokenLoss(model.encode(inputs(ids)), positions, labels);
  assert.ok(Math.abs(loss.item() / (T - 1) - Math.log(50)) < 0.1);
});
