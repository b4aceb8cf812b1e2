import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scope, setNumThreads, Tensor } from '../../tensor/index.ts';
import type { Pass } from '../block.ts';
import { initialise, parameterSpecs } from '../families.ts';
import type { ModelConfig } from '../parameters.ts';
import type { ModelInputs } from '../transformer.ts';
import { Bert, bertNames } from './bert.ts';

setNumThreads(1); // these tensors are too small for two

const config: ModelConfig = {
  kind: 'bert',
  layers: 3,
  hiddenSize: 16,
  heads: 2,
  ffnSize: 32,
  vocabSize: 50,
  maxPositions: 12,
  norm: 'pre',
  activation: 'gelu',
  layerNormEpsilon: 1e-12,
  dropout: 0.5,
  embeddingStd: 0.02,
  attentionDropout: 0.5,
};
const [N, T] = [2, 8];

const scoped = (name: string, body: () => void) => test(name, () => scope(body));

/** Every parameter from N(0, 0.3²) and requiring a gradient. */
function weightsFor(model: ModelConfig): Map<string, Tensor> {
  const specs = parameterSpecs(model);
  return new Map(specs.map(({ name, shape }, i) => [name, Tensor.normal(shape, { std: 0.3, seed: i }).requiresGrad()]));
}

function inputs(ids: readonly number[][], lengths?: readonly number[]): ModelInputs {
  const shape = [ids.length, ids[0]!.length];
  const text = {
    inputIds: Tensor.from(Int32Array.from(ids.flat()), shape),
    tokenTypeIds: Tensor.from(Int32Array.from(ids.flatMap((row) => row.map((_, t) => (t < 3 ? 0 : 1)))), shape),
  };
  if (lengths === undefined) return text;
  return { ...text, documents: lengths.map((length) => [length]) };
}

const ids = Array.from({ length: N }, (_, n) => Array.from({ length: T }, (_, t) => (7 * n + 5 * t + 3) % 50));

const training = (gates: boolean[], scale = 1): Pass => ({
  gates,
  branchScales: gates.map(() => scale),
  dropoutSeed: (block, place) => 10 * block + place,
});

for (const norm of ['pre', 'post'] as const) {
  scoped(
    `without blocks, ${norm}LN gives the normed sum of the word's, its position's and its segment's embedding`,
    () => {
      const model = { ...config, norm, layers: 0 };
      const weights = weightsFor(model);
      const found = new Bert(model, weights).encode(inputs(ids)).toFloats();
      const floats = (name: string) => weights.get(name)!.toFloats();
      const [words, positions, types] = ['word', 'position', 'token_type'].map((kind) =>
        floats(`bert.embeddings.${kind}_embeddings.weight`),
      );
      const layer = norm === 'pre' ? 'bert.encoder.ln' : 'bert.embeddings.LayerNorm';
      const [weight, bias] = [floats(`${layer}.weight`), floats(`${layer}.bias`)];
      ids.flat().forEach((id, token) => {
        const t = token % T;
        const at = (table: Float32Array, row: number, i: number) => table[row * 16 + i]!;
        const sum = Array.from({ length: 16 }, (_, i) => {
          return at(words!, id, i) + at(positions!, t, i) + at(types!, t < 3 ? 0 : 1, i);
        });
        const mean = sum.reduce((a, b) => a + b) / 16;
        const deviation = Math.sqrt(sum.reduce((a, b) => a + (b - mean) ** 2, 0) / 16);
        sum.forEach((value, i) => {
          const expected = ((value - mean) / deviation) * weight[i]! + bias[i]!;
          assert.ok(Math.abs(found[token * 16 + i]! - expected) < 1e-5);
        });
      });
    },
  );

  scoped(
    `a block whose gate is off is as good as absent, and none of its parameters has a gradient (${norm}LN)`,
    () => {
      const model = { ...config, norm, dropout: 0, attentionDropout: 0 };
      const weights = weightsFor(model);
      const hidden = new Bert(model, weights).encode(inputs(ids), training([true, false, true], 1.3));
      const shallow = new Map(Array.from(weights, ([name, tensor]) => [name.replace('layer.2.', 'layer.1.'), tensor]));
      const expected = new Bert({ ...model, layers: 2 }, shallow).encode(inputs(ids), training([true, true], 1.3));
      assert.deepEqual(hidden.toArray(), expected.toArray());

      const names = [...weights.keys()].filter((name) => !/^cls|pooler/.test(name)); // heads are not part of encode
      const gradients = hidden.norm().grad(names.map((name) => weights.get(name)!));
      names.forEach((name, i) => {
        const isOff = name.startsWith('bert.encoder.layer.1.');
        assert.equal(gradients[i] === undefined, isOff, name);
      });
      assert.equal(names.filter((name) => name.startsWith('bert.encoder.layer.1.')).length, 16);
    },
  );
}

scoped('without a training pass every block runs, nothing is dropped out, and the result is the same each time', () => {
  const bert = new Bert(config, weightsFor(config));
  const evaluated = bert.encode(inputs(ids)).toArray();
  assert.deepEqual(bert.encode(inputs(ids)).toArray(), evaluated);
  const dense = new Bert({ ...config, dropout: 0, attentionDropout: 0 }, bert.weights);
  assert.deepEqual(dense.encode(inputs(ids), training([true, true, true])).toArray(), evaluated);
  assert.notDeepEqual(dense.encode(inputs(ids), training([true, true, false])).toArray(), evaluated);
  assert.notDeepEqual(bert.encode(inputs(ids), training([true, true, true])).toArray(), evaluated);
});

scoped('the padding does not change the states of the text', () => {
  const bert = new Bert(config, weightsFor(config));
  const textOf = (hidden: Tensor) => hidden.narrow(1, 0, 5).toFloats();
  const padded = textOf(bert.encode(inputs(ids, [5, 5])));
  const otherPadding = ids.map((row) => row.map((id, t) => (t < 5 ? id : (id + 11) % 50)));
  assert.deepEqual(textOf(bert.encode(inputs(otherPadding, [5, 5]))), padded);
  const cut = bert.encode(inputs(ids.map((row) => row.slice(0, 5)))).toFloats();
  padded.forEach((value, i) => {
    assert.ok(Math.abs(value - cut[i]!) < 1e-5);
  });
  assert.notDeepEqual(textOf(bert.encode(inputs(ids))), padded);
});

scoped('the masked-token head reads the states at flat positions, through the tied word embeddings', () => {
  const weights = weightsFor(config);
  const bert = new Bert(config, weights);
  const hidden = Tensor.normal([N, T, 16], { std: 1, seed: 5 });
  const positions = (list: number[]) => Tensor.from(BigInt64Array.from(list, BigInt), [list.length]);
  const all = bert.tokenLogits(hidden, positions(Array.from({ length: N * T }, (_, i) => i))).toFloats();
  const some = bert.tokenLogits(hidden, positions([3, 9]));
  assert.deepEqual(some.shape, [2, 50]);
  some.toFloats().forEach((logit, i) => {
    const expected = all[(i < 50 ? 3 : 9) * 50 + (i % 50)]!;
    assert.ok(Math.abs(logit - expected) < 1e-4, `${logit}, expected ${expected}`);
  });
  const [gradient] = some.sum().grad([weights.get(bertNames.words)!]);
  assert.ok(gradient!.norm().item() > 0);
});

scoped('the masked loss and its hits are those of the logits', () => {
  const weights = weightsFor(config);
  const bert = new Bert(config, weights);
  const hidden = Tensor.normal([N, T, 16], { std: 1, seed: 5 });
  const ints = (list: number[]) => Tensor.from(BigInt64Array.from(list, BigInt), [list.length]);
  const positions = ints([0, 3, 9]);
  const logits = bert.tokenLogits(hidden, positions);
  const best = Array.from(logits.argmax(-1).toFloats());
  const labels = ints([best[0]!, (best[1]! + 1) % 50, best[2]!]);
  const { loss, hits } = bert.tokenLoss(hidden, positions, labels);
  const expected = logits.crossEntropy(labels, 'sum').item();
  assert.ok(Math.abs(loss.item() - expected) < 1e-4, `${loss.item()}, expected ${expected}`);
  assert.equal(hits.item(), 2);
});

scoped('the next-sentence head is a linear layer over tanh of a linear layer over the first token', () => {
  const weights = weightsFor(config);
  const hidden = Tensor.normal([N, T, 16], { std: 1, seed: 5 });
  const logits = new Bert(config, weights).nextSentenceLogits(hidden);
  assert.deepEqual(logits.shape, [N, 2]);
  const floats = (name: string) => weights.get(name)!.toFloats();
  const layer = (x: number[], name: string, outputs: number) =>
    Array.from({ length: outputs }, (_, o) => {
      const weight = floats(`${name}.weight`).subarray(o * x.length, (o + 1) * x.length);
      return floats(`${name}.bias`)[o]! + x.reduce((sum, value, i) => sum + value * weight[i]!, 0);
    });
  const expected = Array.from({ length: N }, (_, n) => {
    const first = Array.from(hidden.toFloats().subarray(n * T * 16, n * T * 16 + 16));
    return layer(layer(first, 'bert.pooler.dense', 16).map(Math.tanh), 'cls.seq_relationship', 2);
  });
  logits.toFloats().forEach((logit, i) => {
    assert.ok(Math.abs(logit - expected.flat()[i]!) < 1e-5);
  });
});

scoped('a fresh model predicts every token alike: its masked loss is the logarithm of the vocabulary size', () => {
  const bert = new Bert(config, initialise(config, 1));
  const positions = Tensor.from(BigInt64Array.of(0n, 5n, 9n), [3]);
  const loss = bert
    .tokenLogits(bert.encode(inputs(ids)), positions)
    .crossEntropy(Tensor.from(BigInt64Array.of(1n, 2n, 3n), [3]));
  assert.ok(Math.abs(loss.item() - Math.log(50)) < 0.1, `${loss.item()}`);
});

scoped('a sequence longer than the model has positions for is an error that names both lengths', () => {
  const bert = new Bert(config, weightsFor(config));
  const long = [Array.from({ length: 13 }, () => 1)];
  assert.throws(() => bert.encode(inputs(long)), /^NativeError: narrow\(\[12, 16\] float32\).*13/);
});
