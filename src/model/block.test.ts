import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Documents, liveTensors, scope, setNumThreads, Tensor } from '../tensor/index.ts';
import { type BlockModel, DropoutPlace, type Pass, switchableBlock } from './block.ts';
import { familyOf, makeIdentity, parameterSpecs } from './families.ts';
import type { ModelConfig, Weights } from './parameters.ts';

setNumThreads(1); // these tensors are too small for two

type Matrix = number[][];

const config: ModelConfig = {
  kind: 'bert',
  layers: 2,
  hiddenSize: 6,
  heads: 2,
  ffnSize: 8,
  vocabSize: 11,
  maxPositions: 8,
  norm: 'pre',
  activation: 'gelu',
  layerNormEpsilon: 1e-12,
  dropout: 0,
  embeddingStd: 0.02,
  attentionDropout: 0,
};
const numbersOf = (x: Tensor) => Array.from(x.toFloats());

/** Every parameter from N(0, 0.5²), so that biases and norms count as well. */
function weightsFor(model: ModelConfig): Map<string, Tensor> {
  return new Map(
    parameterSpecs(model).map(({ name, shape }, i) => [name, Tensor.normal(shape, { std: 0.5, seed: i })]),
  );
}

function over(weights: Weights, model = config): BlockModel {
  return familyOf(model).create(model, weights);
}

function pass(scale: number, gates: Pass['gates'] = [true, true]): Pass {
  return { gates, branchScales: gates.map(() => scale), dropoutSeed: () => assert.fail('no dropout was asked for') };
}

function rows(x: Tensor, columns = x.shape.at(-1)!): Matrix {
  const flat = numbersOf(x);
  return Array.from({ length: flat.length / columns }, (_, i) => flat.slice(i * columns, (i + 1) * columns));
}

function assertClose(found: Tensor, expected: Matrix, tolerance = 1e-5): void {
  numbersOf(found).forEach((value, i) => {
    const wanted = expected.flat()[i]!;
    assert.ok(Math.abs(value - wanted) < tolerance * Math.max(1, Math.abs(wanted)), `${i}: ${value} is not ${wanted}`);
  });
}

// The block in float64, written out from its formulas, for one sequence x [T, D] with `length` rows of text.

/** `erf(x) = 2/√π · Σ (−1)ⁿ x^(2n+1) / (n! (2n+1))` */
function erf(x: number): number {
  let sum = 0;
  for (let n = 0, power = x; n < 120; n++, power *= (-x * x) / n) sum += power / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const gelu = (x: number) => (x * (1 + erf(x / Math.SQRT2))) / 2;
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const addScaled = (a: Matrix, b: Matrix, scale: number) => a.map((row, t) => row.map((x, i) => x + scale * b[t]![i]!));

function reference(
  x: Matrix,
  weights: Weights,
  l: number,
  norm: 'pre' | 'post',
  scale: number,
  length: number,
): Matrix {
  const prefix = `bert.encoder.layer.${l}.`;
  const biasOf = (name: string) => numbersOf(weights.get(`${prefix}${name}.bias`)!);
  const linear = (input: Matrix, name: string) => {
    const [weight, bias] = [rows(weights.get(`${prefix}${name}.weight`)!), biasOf(name)];
    return input.map((row) => weight.map((out, i) => dot(out, row) + bias[i]!));
  };
  const layerNorm = (input: Matrix, name: string) => {
    const [weight, bias] = [numbersOf(weights.get(`${prefix}${name}.weight`)!), biasOf(name)];
    return input.map((row) => {
      const mean = row.reduce((a, b) => a + b) / row.length;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
      return row.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-12)) * weight[i]! + bias[i]!);
    });
  };
  const attention = (input: Matrix) => {
    const [q, k, v] = ['query', 'key', 'value'].map((part) => linear(input, `attention.self.${part}`)) as [
      Matrix,
      Matrix,
      Matrix,
    ];
    const context = input.map((_, t) => {
      return [0, 3].flatMap((from) => {
        const head = (row: number[]) => row.slice(from, from + 3);
        const powers = k.slice(0, length).map((key) => Math.exp(dot(head(q[t]!), head(key)) / Math.sqrt(3)));
        const total = powers.reduce((a, b) => a + b);
        if (t >= length) return [0, 0, 0];
        return [0, 1, 2].map((i) => powers.reduce((sum, power, s) => sum + (power / total) * head(v[s]!)[i]!, 0));
      });
    });
    return linear(context, 'attention.output.dense');
  };
  const feedForward = (input: Matrix) => {
    const inner = linear(input, 'intermediate.dense').map((row) => row.map(gelu));
    return linear(inner, 'output.dense');
  };
  if (norm === 'pre') {
    const h = addScaled(x, attention(layerNorm(x, 'attention.ln')), scale);
    return addScaled(h, feedForward(layerNorm(h, 'ln')), scale);
  }
  const h = layerNorm(addScaled(x, attention(x), scale), 'attention.output.LayerNorm');
  return layerNorm(addScaled(h, feedForward(h), scale), 'output.LayerNorm');
}

for (const norm of ['pre', 'post'] as const) {
  test(`a ${norm}LN block equals its formula, with scale 1 and another, with and without padding`, () => {
    scope(() => {
      const weights = weightsFor({ ...config, norm });
      const [N, T] = [2, 3];
      const x = Tensor.normal([N, T, 6], { std: 1, seed: 100 });
      const sequences = [rows(x).slice(0, T), rows(x).slice(T)];
      const padding = [[3], [2]];
      for (const scale of [1, 1.6]) {
        for (const l of [0, 1]) {
          const block = (documents?: Documents) =>
            switchableBlock(x, l, over(weights, { ...config, norm }), documents && { documents }, pass(scale));
          const expected = (lengths: number[]) =>
            sequences.flatMap((sequence, n) => reference(sequence, weights, l, norm, scale, lengths[n]!));
          assert.deepEqual(block().shape, [N, T, 6]);
          assertClose(block(), expected([3, 3]));
          assertClose(block(padding), expected([3, 2]));
        }
      }
    });
  });
}

test('without a training pass the block is that of scale 1 with its gate on, and dropout is off', () => {
  scope(() => {
    const weights = weightsFor(config);
    const x = Tensor.normal([2, 3, 6], { std: 1, seed: 100 });
    const withDropout = { ...config, dropout: 0.5, attentionDropout: 0.5 };
    const expected = switchableBlock(x, 0, over(weights), undefined, pass(1));
    assert.deepEqual(switchableBlock(x, 0, over(weights, withDropout)).toArray(), expected.toArray());
  });
});

test('each branch alone is multiplied by the scale: y − x = s·(y − x at scale 1)', () => {
  scope(() => {
    const x = Tensor.normal([2, 3, 6], { std: 1, seed: 100 });
    for (const off of ['output.dense', 'attention.output.dense']) {
      const weights = weightsFor(config);
      for (const part of ['weight', 'bias']) weights.get(`bert.encoder.layer.0.${off}.${part}`)!.mul_(0);
      const change = (scale: number) => switchableBlock(x, 0, over(weights), undefined, pass(scale)).add(x, -1);
      assert.ok(change(1).norm().item() > 1);
      assertClose(change(2.5), rows(change(1).mul(2.5)));
    }
  });
});

test('a gate that is off gives the very same tensor, and makes none', () => {
  scope(() => {
    const weights = weightsFor(config);
    const x = Tensor.normal([2, 3, 6], { std: 1, seed: 100 });
    const before = liveTensors();
    assert.equal(switchableBlock(x, 1, over(weights), undefined, pass(2, [true, false])), x);
    assert.equal(liveTensors(), before);
  });
});

test('dropout is in three places, each with its own seed, and nowhere in a skipped block', () => {
  scope(() => {
    const weights = weightsFor(config);
    const x = Tensor.normal([2, 3, 6], { std: 1, seed: 100 });
    const asked: [number, DropoutPlace][] = [];
    const run = (dropout: number, attentionDropout: number, seed = 1) => {
      const dropoutSeed = (block: number, place: DropoutPlace) => {
        asked.push([block, place]);
        return 1000 * seed + 10 * block + place;
      };
      const gates = { gates: [false, true], branchScales: [1, 1], dropoutSeed };
      const model = { ...config, dropout, attentionDropout };
      const below = switchableBlock(x, 0, over(weights, model), undefined, gates);
      return switchableBlock(below, 1, over(weights, model), undefined, gates).toArray();
    };
    const dropped = run(0.5, 0.5);
    assert.deepEqual(asked.splice(0), [
      [1, DropoutPlace.attention],
      [1, DropoutPlace.attentionOutput],
      [1, DropoutPlace.ffnOutput],
    ]);
    assert.deepEqual(run(0.5, 0.5), dropped);
    assert.notDeepEqual(run(0.5, 0.5, 2), dropped);
    asked.splice(0);
    const attentionOnly = run(0, 0.5);
    assert.deepEqual(asked.splice(0), [[1, DropoutPlace.attention]]);
    assert.notDeepEqual(attentionOnly, dropped);
    assert.notDeepEqual(attentionOnly, run(0, 0));
    assert.deepEqual(asked, []);
  });
});

for (const norm of ['pre', 'post'] as const) {
  test(`a ${norm}LN gate for each sequence is the block on only those sequences, forward and backward`, () => {
    scope(() => {
      const model = { ...config, norm };
      const weights = weightsFor(model);
      const leaves = [...weights.values()].map((weight) => weight.requiresGrad());
      const [N, T] = [4, 3];
      const x = Tensor.normal([N, T, 6], { std: 1, seed: 100 }).requiresGrad();
      const padding = [[T], [T - 1], [T], [T - 1]];
      const weigh = Tensor.normal([N, T, 6], { std: 1, seed: 7 });
      const run = (y: Tensor) => [
        y,
        ...y
          .mul(weigh)
          .sum()
          .grad([x, ...leaves]),
      ];
      for (const kept of [[1], [0, 3], [0, 1, 2]]) {
        const found = run(switchableBlock(x, 1, over(weights, model), { documents: padding }, pass(1.6, [true, kept])));
        // The same, sequence by sequence.
        const one = (n: number) => {
          const gate = pass(1.6, [true, kept.includes(n)]);
          return switchableBlock(
            x.narrow(0, n, 1),
            1,
            over(weights, model),
            { documents: padding.slice(n, n + 1) },
            gate,
          );
        };
        const apart = Array.from({ length: N }, (_, n) => one(n));
        const sum = apart.map((y, n) => y.mul(weigh.narrow(0, n, 1)).sum()).reduce((a, b) => a.add(b));
        const gradients = sum.grad([x, ...leaves]);
        assertClose(
          found[0]!,
          apart.flatMap((y) => rows(y)),
        );
        gradients.forEach((gradient, i) => {
          assert.equal(found[i + 1] === undefined, gradient === undefined);
          if (gradient) assertClose(found[i + 1]!, rows(gradient, 1), 1e-4);
        });
        const outside = [0, 1, 2, 3].filter((n) => !kept.includes(n));
        for (const n of outside) assert.deepEqual(numbersOf(found[0]!.select(0, n)), numbersOf(x.select(0, n)));
      }
    });
  });
}

test('a PreLN block that is made the identity returns its input', () => {
  scope(() => {
    const weights = weightsFor(config);
    const x = Tensor.normal([2, 3, 6], { std: 1, seed: 100 });
    assert.notDeepEqual(numbersOf(switchableBlock(x, 1, over(weights))), numbersOf(x));
    makeIdentity(config, weights, 1);
    assert.deepEqual(numbersOf(switchableBlock(x, 1, over(weights))), numbersOf(x));
    assert.notDeepEqual(numbersOf(switchableBlock(x, 0, over(weights))), numbersOf(x));
  });
});
