import { type Dtype, Tensor } from './tensor.ts';

// For tests: each operation that has a fused kernel, with shapes that fill no vector. Kernels are compared with the same operation
// made of libtorch's plain ones, which are checked against finite differences in gradients.test.ts.

export interface KernelCase {
  /** The shapes of the inputs, which are normally distributed. */
  shapes: number[][];
  /** Which of them are weights, and stay float32. */
  weights?: number[];
  f: (...inputs: Tensor[]) => Tensor;
  /** What a bfloat16 result may differ by, in parts of the largest element. */
  tolerance?: number;
  /** Whether it drops attention weights: on a GPU the mask is libtorch's own. */
  dropsAttention?: boolean;
}

/** Class numbers beside `x`. */
export const ints = (x: Tensor, below: number) => {
  const [count] = x.shape as [number];
  return Tensor.from(
    BigInt64Array.from({ length: count }, (_, i) => BigInt((i * 7 + 3) % below)),
    [count],
    { device: x.device },
  );
};

/** The last positions of every second sequence are padding. */
const paddingBias = ({ shape: [N, T], device }: { shape: number[]; device: string }) =>
  Tensor.from(
    Float32Array.from({ length: N! * T! }, (_, i) => (Math.floor(i / T!) % 2 === 1 && i % T! > T! / 2 ? -1e9 : 0)),
    [N!, 1, 1, T!],
    { device },
  );

export const kernelCases: Record<string, KernelCase> = {};
for (const shape of [[1], [3, 5], [7, 131], [2, 3, 257], [64, 1024]]) {
  kernelCases[`gelu ${shape}`] = { shapes: [shape], f: (x) => x!.mul(3).gelu() };
  kernelCases[`gelu by tanh ${shape}`] = { shapes: [shape], f: (x) => x!.mul(3).gelu('tanh'), tolerance: 0.1 };
  kernelCases[`dropout ${shape}`] = { shapes: [shape], f: (x) => x!.dropout(0.2, 5) };
  kernelCases[`addDropout ${shape}`] = {
    shapes: [shape, shape],
    weights: [0],
    f: (x, branch) => x!.addDropout(branch!, { scale: 1.4, p: 0.2, seed: 6 }),
  };
  kernelCases[`addDropout without dropout ${shape}`] = {
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
  kernelCases[`layerNorm ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!], [width!]],
    weights: [0, 1, 2],
    f: (x, weight, bias) => x!.layerNorm(weight!, bias!, 1e-5),
  };
  kernelCases[`layerNorm to bfloat16 ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!], [width!]],
    weights: [0, 1, 2],
    f: (x, weight, bias) => x!.layerNorm(weight!, bias!, 1e-5, 'bfloat16'),
    tolerance: 0.02,
  };
  kernelCases[`linear ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [33, width!], [33]],
    weights: [1, 2],
    f: (x, weight, bias) => x!.linear(weight!, bias!),
    tolerance: 0.02,
  };
  kernelCases[`linear of three, without bias ${rows} × ${width}`] = {
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
  kernelCases[`attention ${[N, T, heads, headSize]}`] = { shapes, f: (qkv) => qkv!.attention(heads), tolerance: 0.04 };
  kernelCases[`attention with padding and dropout ${[N, T, heads, headSize]}`] = {
    shapes,
    dropsAttention: true,
    f: (qkv) => qkv!.attention(heads, { bias: paddingBias(qkv!), p: 0.2, seed: 7 }),
    tolerance: 0.04,
  };
  kernelCases[`attention with padding ${[N, T, heads, headSize]}`] = {
    shapes,
    f: (qkv) => qkv!.attention(heads, { bias: paddingBias(qkv!) }),
    tolerance: 0.04,
  };
  kernelCases[`causal attention ${[N, T, heads, headSize]}`] = {
    shapes,
    f: (qkv) => qkv!.attention(heads, { causal: true }),
    tolerance: 0.04,
  };
  kernelCases[`causal attention with padding ${[N, T, heads, headSize]}`] = {
    shapes,
    f: (qkv) => qkv!.attention(heads, { causal: true, bias: paddingBias(qkv!) }),
    tolerance: 0.04,
  };
  kernelCases[`causal attention with dropout ${[N, T, heads, headSize]}`] = {
    shapes,
    dropsAttention: true,
    f: (qkv) => qkv!.attention(heads, { causal: true, p: 0.2, seed: 9 }),
    tolerance: 0.04,
  };
}
for (const [M, D, V] of [
  [1, 3, 2],
  [5, 7, 65],
  [1300, 16, 1030], // more than one block of rows
] as const) {
  kernelCases[`linearCrossEntropy ${[M, D, V]}`] = {
    shapes: [[M, D], [V, D], [V]],
    weights: [1, 2],
    f: (x, weight, bias) => x!.linearCrossEntropy(weight!, bias!, ints(x!, V)).loss,
    tolerance: 0.04,
  };
  kernelCases[`linearCrossEntropy without bias ${[M, D, V]}`] = {
    shapes: [
      [M, D],
      [V, D],
    ],
    weights: [1],
    f: (x, weight) => x!.linearCrossEntropy(weight!, undefined, ints(x!, V)).loss,
    tolerance: 0.04,
  };
}
for (const [N, width] of [
  [1, 1],
  [5, 7],
  [6, 64], // rows of whole vectors
  [3, 5000], // rows that several blocks of a GPU share
  [3, 5001],
] as const) {
  kernelCases[`mapRows ${[N, width]}`] = {
    shapes: [[N, width]],
    f: (x) =>
      x!.mapRows(
        Tensor.from(BigInt64Array.of(BigInt(N - 1), 0n).slice(0, N), [Math.min(N, 2)], { device: x!.device }),
        (rows) => rows.mul(3),
      ),
  };
}

/**
 * The result of a case, and the gradients of its sum weighted irregularly. The inputs, in `dtype`, are numbers that `rounded`
 * has, which is `dtype` unless something else is said.
 */
export function runCase(
  { shapes, weights = [], f }: KernelCase,
  {
    dtype,
    rounded = dtype,
    device = 'cpu',
    first,
  }: {
    dtype: Dtype;
    rounded?: Dtype;
    device?: string;
    /** The first number of the first input, in place of the one drawn. */
    first?: number | undefined;
  },
): Tensor[] {
  const leaves = shapes.map((shape, i) => {
    let numbers = Tensor.normal(shape, { std: 1, seed: 10 + i });
    if (first !== undefined && i === 0) numbers = Tensor.from(numbers.toFloats().with(0, first), shape);
    const given = weights.includes(i) ? numbers : numbers.to(rounded).to(dtype);
    return given.toDevice(device).detach().requiresGrad();
  });
  const y = f(...leaves);
  const cotangent = Tensor.normal(y.shape, { std: 1, seed: 99 }).to(rounded).to(y.dtype).toDevice(device);
  return [y, ...y.grad(leaves, cotangent).map((gradient) => gradient!)];
}

/** In parts of the largest element of `b`; NaN where one is NaN. */
export function largestDifference(a: Tensor, b: Tensor): number {
  const [x, y] = [a.toFloats(), b.toFloats()];
  const largest = y.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-6);
  return x.reduce((max, value, i) => Math.max(max, Math.abs(value - y[i]!)), 0) / largest;
}
