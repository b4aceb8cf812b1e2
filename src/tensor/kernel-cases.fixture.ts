import { type AttentionOptions, type Dtype, Tensor } from './tensor.ts';

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
  /** What a float32 result may differ by, where it sums up thousands of products and plain operations are off as well. */
  floatTolerance?: number;
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

/** Every second sequence is two documents with padding behind them. */
const packed = ({ shape: [N, T] }: Tensor) =>
  Array.from({ length: N! }, (_, n) => (n % 2 === 0 || T! < 4 ? [T!] : [2, Math.floor(T! / 2) - 1]));

/** Angles of heads of some size. */
const angles = (headSize: number) => Array.from({ length: headSize / 2 }, (_, i) => 100 ** ((-2 * i) / headSize));

export const kernelCases: Record<string, KernelCase> = {};
for (const shape of [[1], [3, 5], [7, 131], [2, 3, 257], [64, 1024]]) {
  kernelCases[`gelu ${shape}`] = { shapes: [shape], f: (x) => x!.mul(3).gelu() };
  kernelCases[`gelu by tanh ${shape}`] = { shapes: [shape], f: (x) => x!.mul(3).gelu('tanh'), tolerance: 0.1 };
  for (const activation of ['gelu', 'geluTanh', 'silu'] as const) {
    const doubled = shape.with(-1, 2 * shape.at(-1)!);
    const tolerance = 0.1;
    kernelCases[`gated ${activation} ${shape}`] = {
      shapes: [doubled],
      f: (x) => x!.mul(3).gated(activation),
      tolerance,
    };
  }
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
  [9, 640], // whole packs of a GPU's lanes, and more than one
  [3, 1100], // more than a GPU's warp holds
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
  kernelCases[`layerNorm without bias ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!]],
    weights: [0, 1],
    f: (x, weight) => x!.layerNorm(weight!, undefined, 1e-5),
  };
  kernelCases[`rmsNorm ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!]],
    weights: [0, 1],
    f: (x, weight) => x!.rmsNorm(weight!, 1e-5),
  };
  kernelCases[`rmsNorm to bfloat16 ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!]],
    weights: [0, 1],
    f: (x, weight) => x!.rmsNorm(weight!, 1e-5, 'bfloat16'),
    tolerance: 0.02,
  };
  kernelCases[`layerNorm beside the stream ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!], [width!]],
    weights: [0, 1, 2],
    f: (x, weight, bias) => {
      const [normed, stream] = x!.layerNormBeside(weight!, bias!, 1e-5);
      return normed.add(stream.mul(stream));
    },
  };
  kernelCases[`rmsNorm beside the stream ${rows} × ${width}`] = {
    shapes: [[rows!, width!], [width!]],
    weights: [0, 1],
    f: (x, weight) => {
      const [normed, stream] = x!.rmsNormBeside(weight!, 1e-5);
      return normed.add(stream.mul(stream));
    },
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
  const kinds: Record<string, AttentionOptions> = {
    attention: {},
    'causal attention': { causal: true },
    'attention with dropout': { p: 0.2, seed: 7 },
    'causal attention with dropout': { causal: true, p: 0.2, seed: 9 },
  };
  for (const [name, options] of Object.entries(kinds)) {
    for (const isPacked of [false, true]) {
      kernelCases[`${name}${isPacked ? ' of documents' : ''} ${[N, T, heads, headSize]}`] = {
        shapes,
        dropsAttention: 'p' in options,
        f: (qkv) => qkv!.attention(heads, { ...options, ...(isPacked && { documents: packed(qkv!) }) }),
        tolerance: 0.04,
      };
    }
  }
}
for (const [N, T, heads, keyValueHeads, headSize, window] of [
  [2, 5, 2, 1, 2, 1],
  [2, 37, 3, 3, 6, 4],
  [3, 200, 6, 2, 16, 20], // several tiles of a window
  [2, 600, 2, 1, 8, -1], // and of a long text
] as const) {
  const shape = [N, T, (heads + 2 * keyValueHeads) * headSize];
  for (const causal of [false, true]) {
    for (const isPacked of [false, true]) {
      for (const p of [0, 0.2]) {
        const name = `rotary ${causal ? 'causal ' : ''}attention${isPacked ? ' of documents' : ''}${p > 0 ? ' with dropout' : ''}`;
        kernelCases[`${name} ${[N, T, heads, keyValueHeads, headSize, window]}`] = {
          shapes: [shape],
          dropsAttention: p > 0,
          f: (qkv) => {
            const documents = isPacked ? packed(qkv!) : undefined;
            const rotary = angles(headSize);
            return qkv!.attention(heads, { keyValueHeads, causal, window, documents, rotary, p, seed: 3 });
          },
          tolerance: 0.04,
        };
      }
    }
  }
}
kernelCases['attention within a window, without rotary positions'] = {
  shapes: [[2, 300, 3 * 2 * 5]],
  f: (qkv) => qkv!.attention(2, { window: 9 }),
  tolerance: 0.04,
};
kernelCases['attention with shared keys and values, without rotary positions'] = {
  shapes: [[2, 30, 8 * 5]],
  f: (qkv) => qkv!.attention(6, { keyValueHeads: 1 }),
  tolerance: 0.04,
};
for (const [M, D, V] of [
  [1, 3, 2],
  [5, 7, 65],
  [1300, 16, 1030], // more than one block of rows
  [4, 8, 48_000], // more classes than a GPU's block holds
] as const) {
  const floatTolerance = V > 10_000 ? 3e-5 : 1e-5;
  kernelCases[`linearCrossEntropy ${[M, D, V]}`] = {
    shapes: [[M, D], [V, D], [V]],
    weights: [1, 2],
    f: (x, weight, bias) => x!.linearCrossEntropy(weight!, bias!, ints(x!, V)).loss,
    tolerance: 0.04,
    floatTolerance,
  };
  kernelCases[`linearCrossEntropy without bias ${[M, D, V]}`] = {
    shapes: [
      [M, D],
      [V, D],
    ],
    weights: [1],
    f: (x, weight) => x!.linearCrossEntropy(weight!, undefined, ints(x!, V)).loss,
    tolerance: 0.04,
    floatTolerance,
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
 * has, which is `dtype` unless given.
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
    /** The first number of the first input, instead of the one drawn. */
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
