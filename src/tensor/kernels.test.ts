import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setKernels, setNumThreads } from './native.ts';
import { scope } from './scope.ts';
import { type Dtype, Tensor } from './tensor.ts';

// Each operation with a fused kernel against itself made of libtorch's plain operations: results and gradients, for
// shapes that fill no vector, with one thread and two. The plain ones are checked against finite differences in
// gradients.test.ts.

interface Case {
  /** The shapes of the inputs, which are normally distributed. */
  shapes: number[][];
  /** Which of them are weights, and stay float32. */
  weights?: number[];
  f: (...inputs: Tensor[]) => Tensor;
  /** What a bfloat16 result may differ by, in parts of the largest element. */
  tolerance?: number;
}

const ints = (count: number, below: number) =>
  Tensor.from(
    BigInt64Array.from({ length: count }, (_, i) => BigInt((i * 7 + 3) % below)),
    [count],
  );

/** The last positions of every second sequence are padding. */
const paddingBias = (N: number, T: number) =>
  Tensor.from(
    Float32Array.from({ length: N * T }, (_, i) => (Math.floor(i / T) % 2 === 1 && i % T > T / 2 ? -1e9 : 0)),
    [N, 1, 1, T],
  );

const cases: Record<string, Case> = {};
for (const shape of [[1], [3, 5], [7, 131], [2, 3, 257], [64, 1024]]) {
  cases[`gelu ${shape}`] = { shapes: [shape], f: (x) => x!.mul(3).gelu() };
  cases[`gelu by tanh ${shape}`] = { shapes: [shape], f: (x) => x!.mul(3).gelu('tanh'), tolerance: 0.1 };
  cases[`dropout ${shape}`] = { shapes: [shape], f: (x) => x!.dropout(0.2, 5) };
  cases[`addDropout ${shape}`] = {
    shapes: [shape, shape],
    weights: [0],
    f: (x, branch) => x!.addDropout(branch!, { scale: 1.4, p: 0.2, seed: 6 }),
  };
  cases[`addDropout without dropout ${shape}`] = {
    shapes: [shape, shape],
    weights: [0],
    f: (x, branch) => x!.addDropout(branch!, { scale: 1.4 }),
  };
}
for (const [rows, width] of [
  [1, 3],
  [5, 7],
  [37, 257],
  [700, 96], // enough rows for weights in a layout of their own
]) {
  cases[`layerNorm ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!], [width!]],
    weights: [0, 1, 2],
    f: (x, weight, bias) => x!.layerNorm(weight!, bias!, 1e-5),
  };
  cases[`layerNorm to bfloat16 ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!], [width!]],
    weights: [0, 1, 2],
    f: (x, weight, bias) => x!.layerNorm(weight!, bias!, 1e-5, 'bfloat16'),
    tolerance: 0.02,
  };
  cases[`linear ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [33, width!], [33]],
    weights: [1, 2],
    f: (x, weight, bias) => x!.linear(weight!, bias!),
    tolerance: 0.02,
  };
  cases[`linear of three, without bias ${rows} × ${width}`] = {
    shapes: [
      [rows!, width!],
      [3, width!],
      [70, width!],
      [1, width!],
    ],
    weights: [1, 2, 3],
    f: (x, ...weights) => x!.linear(weights),
    tolerance: 0.02,
  };
}
for (const [N, T, heads, headSize] of [
  [1, 1, 1, 1],
  [2, 5, 3, 7],
  [3, 33, 2, 16],
  [2, 128, 4, 64],
] as const) {
  const shapes = [[N, T, 3 * heads * headSize]];
  cases[`attention ${[N, T, heads, headSize]}`] = { shapes, f: (qkv) => qkv!.attention(heads), tolerance: 0.04 };
  cases[`attention with padding and dropout ${[N, T, heads, headSize]}`] = {
    shapes,
    f: (qkv) => qkv!.attention(heads, { bias: paddingBias(N, T), p: 0.2, seed: 7 }),
    tolerance: 0.04,
  };
  cases[`causal attention with dropout ${[N, T, heads, headSize]}`] = {
    shapes,
    f: (qkv) => qkv!.attention(heads, { causal: true, p: 0.2, seed: 9 }),
    tolerance: 0.04,
  };
}
for (const [M, D, V] of [
  [1, 3, 2],
  [5, 7, 65],
  [1300, 16, 1030], // more than one block of rows
] as const) {
  cases[`linearCrossEntropy ${[M, D, V]}`] = {
    shapes: [[M, D], [V, D], [V]],
    weights: [1, 2],
    f: (x, weight, bias) => x!.linearCrossEntropy(weight!, bias!, ints(M, V)).loss,
    tolerance: 0.04,
  };
  cases[`linearCrossEntropy without bias ${[M, D, V]}`] = {
    shapes: [
      [M, D],
      [V, D],
    ],
    weights: [1],
    f: (x, weight) => x!.linearCrossEntropy(weight!, undefined, ints(M, V)).loss,
    tolerance: 0.04,
  };
}

/** The result, and the gradients of its sum weighted irregularly. */
function run({ shapes, weights = [], f }: Case, dtype: Dtype, kernels: boolean): Tensor[] {
  setKernels(kernels);
  try {
    const leaves = shapes.map((shape, i) => {
      const leaf = Tensor.normal(shape, { std: 1, seed: 10 + i }).to(weights.includes(i) ? 'float32' : dtype);
      return leaf.detach().requiresGrad();
    });
    const y = f(...leaves);
    const gradients = y
      .mul(Tensor.normal(y.shape, { std: 1, seed: 99 }).to(y.dtype))
      .sum()
      .grad(leaves);
    return [y, ...gradients.map((gradient) => gradient!)];
  } finally {
    setKernels(true);
  }
}

function largestDifference(a: Tensor, b: Tensor): number {
  const [x, y] = [a.toFloats(), b.toFloats()];
  const largest = y.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-6);
  return x.reduce((max, value, i) => Math.max(max, Math.abs(value - y[i]!)), 0) / largest;
}

for (const [name, kernelCase] of Object.entries(cases)) {
  for (const dtype of ['float32', 'bfloat16'] as const) {
    test(`${name}, ${dtype}: the kernel agrees with plain operations, forward and backward`, () => {
      scope(() => {
        const expected = run(kernelCase, dtype, false);
        const found = [1, 2].map((threads) => {
          setNumThreads(threads);
          return run(kernelCase, dtype, true);
        });
        const bf16 = dtype === 'bfloat16' || found[0]![0]!.dtype === 'bfloat16';
        const tolerance = bf16 ? (kernelCase.tolerance ?? 0.01) : 1e-5;
        for (const tensors of found) {
          tensors.forEach((tensor, i) => {
            assert.deepEqual([tensor.shape, tensor.dtype], [expected[i]!.shape, expected[i]!.dtype]);
            const difference = largestDifference(tensor, expected[i]!);
            assert.ok(difference < tolerance, `${i === 0 ? 'result' : `gradient ${i}`}: off by ${difference}`);
          });
        }
      });
    });
  }
}

test('the hits of linearCrossEntropy are the targets with the largest logit', () => {
  scope(() => {
    const [x, weight, bias] = [[40, 8], [11, 8], [11]].map((shape, i) => Tensor.normal(shape, { std: 1, seed: i }));
    const target = ints(40, 11);
    const expected = x!.linear(weight!, bias!).argmax(-1).eq(target).sum().item();
    assert.ok(expected > 0);
    assert.equal(x!.linearCrossEntropy(weight!, bias!, target).hits.item(), expected);
  });
});

test('the kernels are another computation than the plain operations, and the switch chooses between them', () => {
  scope(() => {
    const x = Tensor.normal([64, 96], { std: 1, seed: 1 });
    const results = (kernels: boolean) => {
      setKernels(kernels);
      return [x.gelu(), x.reshape([2, 32, 96]).attention(2)].map((y) => y.toFloats());
    };
    const plain = results(false);
    for (const [i, found] of results(true).entries()) assert.notDeepEqual(found, plain[i]);
  });
});
