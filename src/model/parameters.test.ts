// cspell:ignore modeling
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scope } from '../tensor/index.ts';
import { familyOf, initialise, parameterSpecs, partsOf } from './families.ts';
import { type ModelConfig, numParameters } from './parameters.ts';

const bertBase: ModelConfig = {
  kind: 'bert',
  layers: 12,
  hiddenSize: 768,
  heads: 12,
  ffnSize: 3072,
  vocabSize: 30522,
  maxPositions: 512,
  norm: 'post',
  activation: 'gelu',
  layerNormEpsilon: 1e-12,
  dropout: 0.1,
  embeddingStd: 0.02,
  attentionDropout: 0.1,
};
const small: ModelConfig = { ...bertBase, layers: 2, hiddenSize: 128, heads: 2, ffnSize: 512, vocabSize: 1000 };

const shapes = (config: ModelConfig) =>
  Object.fromEntries(parameterSpecs(config).map((spec) => [spec.name, spec.shape]));

/** `name.weight` and `name.bias` of a linear layer or a norm. */
const pair = (name: string, weight: number[]) => ({ [`${name}.weight`]: weight, [`${name}.bias`]: [weight[0]!] });

// What follows is written down from transformers' modeling_bert.py and modeling_megatron_bert.py: the named parameters of
// BertForPreTraining and MegatronBertForPreTraining (a tied decoder is listed once, as the word embeddings and as
// cls.predictions.bias).
const [L, D, F, V] = [2, 128, 512, 1000];

function common(): Record<string, number[]> {
  const layers = Array.from({ length: L }, (_, l) => ({
    ...pair(`bert.encoder.layer.${l}.attention.self.query`, [D, D]),
    ...pair(`bert.encoder.layer.${l}.attention.self.key`, [D, D]),
    ...pair(`bert.encoder.layer.${l}.attention.self.value`, [D, D]),
    ...pair(`bert.encoder.layer.${l}.attention.output.dense`, [D, D]),
    ...pair(`bert.encoder.layer.${l}.intermediate.dense`, [F, D]),
    ...pair(`bert.encoder.layer.${l}.output.dense`, [D, F]),
  }));
  return Object.assign(
    {
      'bert.embeddings.word_embeddings.weight': [V, D],
      'bert.embeddings.position_embeddings.weight': [512, D],
      'bert.embeddings.token_type_embeddings.weight': [2, D],
      ...pair('bert.pooler.dense', [D, D]),
      'cls.predictions.bias': [V],
      ...pair('cls.predictions.transform.dense', [D, D]),
      ...pair('cls.predictions.transform.LayerNorm', [D]),
      ...pair('cls.seq_relationship', [2, D]),
    },
    ...layers,
  );
}

test('PostLN parameters are those of BertForPreTraining', () => {
  const norms = Array.from({ length: L }, (_, l) => ({
    ...pair(`bert.encoder.layer.${l}.attention.output.LayerNorm`, [D]),
    ...pair(`bert.encoder.layer.${l}.output.LayerNorm`, [D]),
  }));
  const expected = Object.assign(common(), pair('bert.embeddings.LayerNorm', [D]), ...norms);
  assert.deepEqual(shapes(small), expected);
});

test('PreLN parameters are those of MegatronBertForPreTraining', () => {
  const norms = Array.from({ length: L }, (_, l) => ({
    ...pair(`bert.encoder.layer.${l}.attention.ln`, [D]),
    ...pair(`bert.encoder.layer.${l}.ln`, [D]),
  }));
  const expected = Object.assign(common(), pair('bert.encoder.ln', [D]), ...norms);
  assert.deepEqual(shapes({ ...small, norm: 'pre' }), expected);
});

test('bert-base has the published 110,106,428 parameters in both forms, 7,087,872 in a block', () => {
  for (const norm of ['pre', 'post'] as const) {
    const specs = parameterSpecs({ ...bertBase, norm });
    assert.equal(numParameters(specs), 110_106_428);
    assert.equal(numParameters(partsOf(bertBase, specs).blocks[0]!), 7_087_872);
  }
});

test("a forward pass through BERT-base's blocks is two FLOPs a weight and token, and the attention's products", () => {
  const { block, output, pair } = familyOf(bertBase).forwardFlops(bertBase, 128);
  const numWeights = 84_934_656; // 12·(4·768² + 2·768·3072), the "85M" without biases and norms
  const attention = 12 * 4 * 128 * 128 * 768;
  assert.equal(12 * block, 2 * numWeights * 128 + attention);
  assert.equal(12 * block, 22_347_251_712);
  // By hand, for 19 tokens and one sequence: MLM 2·19·768² + 2·19·768·30522; pooler and NSP.
  assert.equal(19 * output, 913_167_360);
  assert.equal(pair, 1_182_720);
});

test('matrices, biases and norms are told apart: by how they start', () => {
  for (const { name, start } of parameterSpecs({ ...small, norm: 'pre' })) {
    const isNorm = /(\.ln|LayerNorm)\.(weight|bias)$/.test(name);
    const expected = name.endsWith('bias') ? 'zeros' : isNorm ? 'ones' : 'normal';
    assert.equal(start, expected, name);
  }
});

test('weight decay applies to matrices and embeddings, not to biases and norms', () => {
  for (const { name, shape, decays } of parameterSpecs(small)) assert.equal(decays, shape.length === 2, name);
});

test('initial matrices have mean 0 and deviation 0.02 within four standard errors, biases are 0 and norms 1', () => {
  scope(() => {
    const weights = initialise(small, 1);
    for (const { name, start, shape } of parameterSpecs(small)) {
      const values = weights.get(name)!.toFloats();
      assert.deepEqual(weights.get(name)!.shape, shape, name);
      assert.equal(weights.get(name)!.dtype, 'float32', name);
      if (start !== 'normal') {
        assert.ok(
          values.every((value) => value === (start === 'ones' ? 1 : 0)),
          name,
        );
        continue;
      }
      const count = values.length;
      const mean = values.reduce((sum, value) => sum + value, 0) / count;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
      assert.ok(Math.abs(mean) < (4 * 0.02) / Math.sqrt(count), `${name}: mean ${mean}`);
      assert.ok(Math.abs(deviation - 0.02) < (4 * 0.02) / Math.sqrt(2 * count), `${name}: deviation ${deviation}`);
    }
  });
});

test('embeddings start as configured, and under PreLN the last layer of each branch is smaller the more blocks there are', () => {
  const config: ModelConfig = { ...small, norm: 'pre', layers: 8, embeddingStd: 0.1 };
  const lastOfBranch = /\d\.(attention\.)?output\.dense\.weight$/;
  scope(() => {
    const weights = initialise(config, 1);
    for (const { name, start } of parameterSpecs(config)) {
      if (start !== 'normal') continue;
      const expected = name.includes('embeddings') ? 0.1 : lastOfBranch.test(name) ? 0.02 / 4 : 0.02;
      const values = weights.get(name)!.toFloats();
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
      assert.ok(
        Math.abs(deviation / expected - 1) < 4 / Math.sqrt(2 * values.length),
        `${name}: deviation ${deviation}`,
      );
    }
  });
});

test('initial weights are a pure function of the seed, and no two matrices share their numbers', () => {
  scope(() => {
    const [first, again, other] = [initialise(small, 1), initialise(small, 1), initialise(small, 2)];
    const starts = new Set<number>();
    const matrices = parameterSpecs(small).filter(({ start }) => start === 'normal');
    for (const { name } of matrices) {
      const values = first.get(name)!.toFloats();
      assert.deepEqual(again.get(name)!.toFloats(), values, name);
      assert.notDeepEqual(other.get(name)!.toFloats(), values, name);
      starts.add(values[0]!);
    }
    assert.equal(starts.size, matrices.length);
  });
});
