import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setNumThreads } from './native.ts';
import { scope } from './scope.ts';
import { Tensor } from './tensor.ts';

setNumThreads(1); // these tensors are too small for two

// Every operation has a float64 path, so differences of ±1e-5 give gradients to about nine digits.
const step = 1e-5;
const tolerance = 1e-7;

interface Case {
  operation: Exclude<keyof Tensor, symbol> | 'cat';
  shapes: number[][];
  f: (...inputs: Tensor[]) => Tensor;
  /** Shifts the inputs, which are within ±2, to where the operation is defined. */
  shift?: number;
}

const ints = (values: number[], shape = [values.length]) => Tensor.from(BigInt64Array.from(values, BigInt), shape);
const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

/** Irregular numbers within ±2. */
function numbers(count: number, seed: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => 2 * Math.sin(1 + 1.7 * i * (1 + 0.01 * i) + 31.3 * seed));
}

/** Compares d(Σ weight·f)/d(input) with central differences, element by element, for each input. */
function checkGradients({ f, shapes, shift = 0 }: Case): void {
  const values = shapes.map((shape, i) => numbers(size(shape), i).map((x) => x + shift));
  const run = (inputs: Tensor[]) => {
    const y = f(...inputs);
    return y.mul(Tensor.from(numbers(size(y.shape), 99), y.shape)).sum();
  };
  const tensors = () => values.map((array, i) => Tensor.from(array, shapes[i]!));
  const gradients = scope(() => {
    const leaves = tensors().map((tensor) => tensor.requiresGrad());
    return run(leaves)
      .grad(leaves)
      .map((gradient) => gradient!.toArray() as Float64Array);
  });
  const objective = () => scope(() => run(tensors()).item());
  values.forEach((array, input) => {
    array.forEach((x, i) => {
      array[i] = x + step;
      const above = objective();
      array[i] = x - step;
      const below = objective();
      array[i] = x;
      const expected = (above - below) / (2 * step);
      const found = gradients[input]![i]!;
      const isClose = Math.abs(found - expected) < tolerance * Math.max(1, Math.abs(expected));
      assert.ok(isClose, `input ${input}, element ${i}: ${found}, by differences ${expected}`);
    });
  });
}

const cases: Record<string, Case> = {
  'add with alpha, broadcast both ways': {
    operation: 'add',
    shapes: [
      [3, 1, 5],
      [4, 1],
    ],
    f: (x, y) => x!.add(y!, -1.7),
  },
  'add of a number': { operation: 'add', shapes: [[3, 5]], f: (x) => x!.add(0.3, 2).mul(x!) },
  'mul, broadcast both ways': {
    operation: 'mul',
    shapes: [
      [3, 1, 5],
      [4, 1],
    ],
    f: (x, y) => x!.mul(y!),
  },
  'mul with a number': { operation: 'mul', shapes: [[3, 5]], f: (x) => x!.mul(-0.7) },
  'mul with itself': { operation: 'mul', shapes: [[7]], f: (x) => x!.mul(x!) },
  'div, broadcast': { operation: 'div', shapes: [[3, 5], [5]], f: (x, y) => x!.div(y!), shift: 3 },
  sqrt: { operation: 'sqrt', shapes: [[3, 5]], f: (x) => x!.sqrt(), shift: 3 },
  tanh: { operation: 'tanh', shapes: [[3, 5]], f: (x) => x!.tanh() },
  gelu: { operation: 'gelu', shapes: [[3, 7]], f: (x) => x!.gelu() },
  'gelu by tanh': { operation: 'gelu', shapes: [[3, 7]], f: (x) => x!.gelu('tanh') },
  'tensors side by side, one of them twice': {
    operation: 'cat',
    shapes: [
      [2, 3],
      [2, 5],
    ],
    f: (x, y) => Tensor.cat([x!, y!, x!], -1),
  },
  'softmax over the last dimension': { operation: 'softmax', shapes: [[2, 3, 5]], f: (x) => x!.softmax(-1) },
  'softmax over a middle dimension': { operation: 'softmax', shapes: [[2, 3, 5]], f: (x) => x!.softmax(1) },
  sum: { operation: 'sum', shapes: [[3, 5]], f: (x) => x!.sum() },
  'sum along a dimension': { operation: 'sum', shapes: [[3, 4, 5]], f: (x) => x!.sum(1) },
  norm: { operation: 'norm', shapes: [[3, 5]], f: (x) => x!.norm() },
  'linear with bias': {
    operation: 'linear',
    shapes: [[2, 3, 5], [7, 5], [7]],
    f: (x, weight, bias) => x!.linear(weight!, bias!),
  },
  'linear without bias': {
    operation: 'linear',
    shapes: [
      [3, 5],
      [7, 5],
    ],
    f: (x, weight) => x!.linear(weight!),
  },
  'linear of two layers side by side': {
    operation: 'linear',
    shapes: [[3, 5], [7, 5], [2, 5], [7], [2]],
    f: (x, weight1, weight2, bias1, bias2) => x!.linear([weight1!, weight2!], [bias1!, bias2!]),
  },
  attention: { operation: 'attention', shapes: [[2, 3, 12]], f: (qkv) => qkv!.attention(2) },
  'causal attention': { operation: 'attention', shapes: [[2, 3, 12]], f: (qkv) => qkv!.attention(2, { causal: true }) },
  'attention of documents and dropout': {
    operation: 'attention',
    shapes: [[2, 3, 12]],
    f: (qkv) => qkv!.attention(2, { documents: [[1], [1, 2]], p: 0.3, seed: 8 }),
  },
  'causal attention within a window, of shared keys and values at rotary positions': {
    operation: 'attention',
    shapes: [[2, 5, 16]],
    f: (qkv) =>
      qkv!.attention(2, { keyValueHeads: 1, causal: true, window: 2, rotary: [1, 0.1], documents: [[5], [2, 3]] }),
  },
  'gated by GELU': { operation: 'gated', shapes: [[3, 8]], f: (x) => x!.gated('gelu') },
  'gated by GELU by tanh': { operation: 'gated', shapes: [[3, 8]], f: (x) => x!.gated('geluTanh') },
  'gated by SiLU': { operation: 'gated', shapes: [[3, 8]], f: (x) => x!.gated('silu') },
  rmsNorm: {
    operation: 'rmsNorm',
    shapes: [[2, 3, 7], [7]],
    f: (x, weight) => x!.rmsNorm(weight!, 1e-5),
  },
  'layerNorm without bias': {
    operation: 'layerNorm',
    shapes: [[2, 3, 7], [7]],
    f: (x, weight) => x!.layerNorm(weight!, undefined, 1e-5),
  },
  layerNorm: {
    operation: 'layerNorm',
    shapes: [[2, 3, 7], [7], [7]],
    f: (x, weight, bias) => x!.layerNorm(weight!, bias!, 1e-5),
  },
  layerNormBeside: {
    operation: 'layerNormBeside',
    shapes: [[2, 3, 7], [7], [7]],
    f: (x, weight, bias) => {
      const [normed, stream] = x!.layerNormBeside(weight!, bias!, 1e-5);
      return normed.mul(2).add(stream.mul(stream));
    },
  },
  rmsNormBeside: {
    operation: 'rmsNormBeside',
    shapes: [[2, 3, 7], [7]],
    f: (x, weight) => {
      const [normed, stream] = x!.rmsNormBeside(weight!, 1e-5);
      return normed.mul(2).add(stream.mul(stream));
    },
  },
  'embedding with repeated rows': {
    operation: 'embedding',
    shapes: [[7, 3]],
    f: (weight) => weight!.embedding(ints([0, 6, 2, 2, 5, 2], [2, 3])),
  },
  'crossEntropy, summed': {
    operation: 'crossEntropy',
    shapes: [[5, 7]],
    f: (logits) => logits!.crossEntropy(ints([0, 6, 3, 3, 1]), 'sum'),
  },
  'crossEntropy, averaged': {
    operation: 'crossEntropy',
    shapes: [[5, 7]],
    f: (logits) => logits!.crossEntropy(ints([0, 6, 3, 3, 1])),
  },
  'crossEntropy of each row': {
    operation: 'crossEntropy',
    shapes: [[5, 7]],
    f: (logits) => logits!.crossEntropy(ints([0, 6, 3, 3, 1]), 'none'),
  },
  'addDropout with a scale': {
    operation: 'addDropout',
    shapes: [
      [3, 67],
      [3, 67],
    ],
    f: (x, branch) => x!.addDropout(branch!, { scale: 1.7, p: 0.3, seed: 12345 }),
  },
  linearCrossEntropy: {
    operation: 'linearCrossEntropy',
    shapes: [[5, 3], [7, 3], [7]],
    f: (x, weight, bias) => x!.linearCrossEntropy(weight!, bias!, ints([0, 6, 3, 3, 1])).loss,
  },
  'linearCrossEntropy without bias': {
    operation: 'linearCrossEntropy',
    shapes: [
      [5, 3],
      [7, 3],
    ],
    f: (x, weight) => x!.linearCrossEntropy(weight!, undefined, ints([0, 6, 3, 3, 1])).loss,
  },
  'dropout over more than one chunk of its stream': {
    operation: 'dropout',
    shapes: [[3, 67]],
    f: (x) => x!.dropout(0.3, 12345),
  },
  'dropout of a transposed tensor': {
    operation: 'dropout',
    shapes: [[3, 5]],
    f: (x) => x!.transpose(0, 1).dropout(0.3, 12345).transpose(0, 1),
  },
  reshape: { operation: 'reshape', shapes: [[3, 5, 2]], f: (x) => x!.reshape([-1, 6]) },
  transpose: { operation: 'transpose', shapes: [[3, 5, 2]], f: (x) => x!.transpose(0, 2) },
  select: { operation: 'select', shapes: [[3, 5, 2]], f: (x) => x!.select(1, 3) },
  narrow: { operation: 'narrow', shapes: [[3, 5, 2]], f: (x) => x!.narrow(1, 1, 3) },
  'indexSelect with a repeated index': {
    operation: 'indexSelect',
    shapes: [[5, 3]],
    f: (x) => x!.indexSelect(0, ints([4, 0, 4])),
  },
  mapRows: {
    operation: 'mapRows',
    shapes: [
      [4, 3],
      [2, 3],
    ],
    f: (x, y) => x!.mapRows(ints([3, 1]), (rows) => rows.mul(y!)),
  },
  'the values of topk': { operation: 'topk', shapes: [[3, 5]], f: (x) => x!.topk(2).values },
  clone: { operation: 'clone', shapes: [[3, 5]], f: (x) => x!.clone() },
  toDevice: { operation: 'toDevice', shapes: [[3, 5]], f: (x) => x!.toDevice('cpu') },
};

for (const [name, gradientCase] of Object.entries(cases)) {
  test(`the gradient of ${name} is what finite differences say`, () => checkGradients(gradientCase));
}

test('a cast passes the gradient through, in the dtype of the leaf', () => {
  scope(() => {
    for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
      const x = Tensor.from(numbers(15, 0), [3, 5]).requiresGrad();
      const weights = Tensor.from(
        Float64Array.from({ length: 15 }, (_, i) => i - 7),
        [3, 5],
      ).to(dtype);
      const [gradient] = x.to(dtype).mul(weights).sum().grad([x]);
      assert.equal(gradient!.dtype, 'float64');
      assert.deepEqual(
        Array.from(gradient!.toFloats()),
        Array.from({ length: 15 }, (_, i) => i - 7),
      );
    }
  });
});

test('every operation of Tensor is checked here, or makes nothing that has a gradient', () => {
  const withoutGradient = [
    'constructor',
    'shape',
    'dtype',
    'bytes',
    'device',
    'toArray',
    'copyBytes',
    'toFloats',
    'item',
    'free',
    'grad',
  ];
  const cut = ['detach', 'requiresGrad', 'copy_', 'add_', 'mul_', 'argmax', 'trustRatio', 'cachedAttention'];
  const checked = new Set<string>(Object.values(cases).map(({ operation }) => operation));
  const left = Object.getOwnPropertyNames(Tensor.prototype).filter(
    (name) => !checked.has(name) && name !== 'to' && !withoutGradient.includes(name) && !cut.includes(name),
  );
  assert.deepEqual(left, []);
});

test('a leaf that the loss does not depend on has no gradient, and detach cuts the dependence', () => {
  scope(() => {
    const [x, y, z] = [1, 2, 3].map((value) => Tensor.full([2], value).requiresGrad());
    const loss = x!.mul(z!.detach()).sum();
    const [dx, dy, dz] = loss.grad([x!, y!, z!]);
    assert.deepEqual(Array.from(dx!.toFloats()), [3, 3]);
    assert.equal(dy, undefined);
    assert.equal(dz, undefined);
  });
});
