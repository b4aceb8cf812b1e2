import { median } from '../averages.ts';
import { percent, table } from '../report/format.ts';
import { adamw, type Dtype, dtypeOf, scope, setNumThreads, synchronize, Tensor } from '../tensor/index.ts';
import type { BenchOptions } from './bench-options.ts';
import { benchStep } from './bench-step.ts';

/** The fraction of tokens that are predicted, as in BERT. */
const maskRate = 0.15;

/** The time of one operation of a step on this machine. */
interface OpTime {
  operation: string;
  /** How often a dense step runs it. */
  times: number;
  forward: Pass;
  /** Absent for the optimizer update. */
  backward?: Pass;
  /** The fraction of the time of a dense step. */
  share: number;
}

/** One run of an operation in one direction. */
interface Pass {
  ms: number;
  /** For matrix products. */
  gflopsPerSecond?: number;
  /** For memory-bound operations: the bytes that must be read and written, per second. */
  gbPerSecond?: number;
}

/** The work of one direction: FLOPs if matrix products dominate, else bytes. */
type Work = { flops: number } | { bytes: number };

interface Operation {
  name: string;
  times: number;
  inputs: () => Tensor[];
  run: (...inputs: Tensor[]) => Tensor;
  forward: Work;
  backward: Work;
}

const rounds = 7;

export interface OpTimes {
  /** The median of whole dense steps. */
  stepSeconds: number;
  operations: OpTime[];
}

/** Times each operation of a step on its own, forward and backward, and a whole dense step. */
export function benchOps(options: BenchOptions): OpTimes {
  setNumThreads(options.threads);
  const step = () => benchStep({ ...options, theta: 1 });
  const before = step();
  const times = operationsOf(options).map((operation) => ({ operation, ...timed(operation, options.device) }));
  const update = {
    operation: { name: 'adamw', times: 1 },
    forward: timedUpdate(before.params_m * 1e6, options.device),
  };
  // Half of the steps before and half after: other work on the machine slows both sides alike.
  const stepSeconds = median([...before.step_s, ...step().step_s]);
  const all: { operation: { name: string; times: number }; forward: Pass; backward?: Pass }[] = [...times, update];
  const operations = all.map(({ operation: { name, times }, ...passes }): OpTime => {
    const ms = passes.forward.ms + (passes.backward?.ms ?? 0);
    return { operation: name, times, ...passes, share: (times * ms) / 1000 / stepSeconds };
  });
  return { stepSeconds, operations };
}

// Legend: N sequences, T positions, D model width, F feed-forward width, V vocabulary, M masked tokens, L blocks.
function operationsOf({
  layers: L,
  batch: N,
  seq: T,
  hidden: D,
  heads,
  ffn,
  vocab: V,
  dropout: p,
  dtype,
  device,
}: BenchOptions) {
  const F = ffn || 4 * D;
  const [rows, M] = [N * T, Math.floor(N * T * maskRate)];
  const low: Dtype = dtypeOf[dtype];
  const size = low === 'float32' ? 4 : 2;
  let seed = 0;
  const random = (shape: number[], as: Dtype = 'float32') =>
    Tensor.normal(shape, { std: 0.02, seed: seed++, device }).to(as);
  const ids = (count: number) =>
    Tensor.from(
      Int32Array.from({ length: count }, (_, i) => (i * 7919) % V),
      [count],
      { device },
    ).to('int64');
  const linear = (name: string, inputs: number, outputs: number, times: number): Operation => ({
    name: `linear ${name}`,
    times,
    inputs: () => [random([rows, inputs], low), random([outputs, inputs]), random([outputs])],
    run: (x, weight, bias) => x!.linear(weight!, bias!),
    forward: { flops: 2 * rows * inputs * outputs },
    backward: { flops: 4 * rows * inputs * outputs },
  });
  const elements = (count: number, each: number): Work => ({ bytes: count * each });
  const operations: Operation[] = [
    linear('query, key, value', D, 3 * D, L),
    linear('attention output', D, D, L),
    linear('feed-forward up', D, F, L),
    linear('feed-forward down', F, D, L),
    {
      name: 'attention',
      times: L,
      inputs: () => [random([N, T, 3 * D], low)],
      run: (qkv) => qkv!.attention(heads, { p, seed: 1 }),
      forward: { flops: 4 * rows * T * D },
      backward: { flops: 8 * rows * T * D },
    },
    {
      name: 'gelu',
      times: L,
      inputs: () => [random([rows, F], low)],
      run: (x) => x!.gelu(),
      forward: elements(rows * F, 2 * size),
      backward: elements(rows * F, 3 * size),
    },
    {
      name: 'layerNorm',
      times: 2 * L + 1,
      inputs: () => [random([rows, D]), random([D]), random([D])],
      run: (x, weight, bias) => x!.layerNorm(weight!, bias!, 1e-12, low),
      forward: elements(rows * D, 4 + size),
      backward: elements(rows * D, 8 + size),
    },
    {
      name: 'addDropout',
      times: 2 * L,
      inputs: () => [random([rows, D]), random([rows, D], low)],
      run: (x, branch) => x!.addDropout(branch!, { p, seed: 1 }),
      forward: elements(rows * D, 8 + size),
      backward: elements(rows * D, 4 + size),
    },
    {
      name: 'embedding',
      times: 1,
      inputs: () => [random([V, D])],
      run: (weight) => weight!.embedding(ids(rows)),
      forward: elements(rows * D, 8),
      backward: elements((rows + V) * D, 4),
    },
    {
      name: 'linearCrossEntropy', // its products of the gradient are done on the way forward
      times: 1,
      inputs: () => [random([M, D], low), random([V, D]), random([V])],
      run: (x, weight, bias) => x!.linearCrossEntropy(weight!, bias!, ids(M)).loss,
      forward: { flops: 6 * M * D * V },
      backward: elements(V * D, 8),
    },
  ];
  return operations;
}

function timed({ inputs, run, forward, backward }: Operation, device: string): { forward: Pass; backward: Pass } {
  return scope(() => {
    const leaves = inputs().map((input) => input.detach().requiresGrad());
    const gradient = scope(() => {
      const y = run(...leaves);
      return y.shape.length === 0
        ? undefined
        : Tensor.normal(y.shape, { std: 1, seed: 1, device: y.device }).to(y.dtype);
    });
    const seconds = Array.from({ length: rounds }, () =>
      scope(() => {
        synchronize(device);
        const started = performance.now();
        const y = run(...leaves);
        synchronize(device);
        const between = performance.now();
        y.grad(leaves, gradient);
        synchronize(device);
        return [between - started, performance.now() - between] as const;
      }),
    );
    const pass = (index: 0 | 1, work: Work): Pass => {
      const ms = median(seconds.map((pair) => pair[index]));
      return 'flops' in work
        ? { ms, gflopsPerSecond: work.flops / ms / 1e6 }
        : { ms, gbPerSecond: work.bytes / ms / 1e6 };
    };
    return { forward: pass(0, forward), backward: pass(1, backward) };
  });
}

/** AdamW over all parameters of the model: four numbers per parameter are read and three written. */
function timedUpdate(parameters: number, device: string): Pass {
  return scope(() => {
    const count = Math.round(parameters);
    const [parameter, gradient, moment, variance] = [1, 2, 3, 4].map(() => Tensor.full([count], 1e-3, { device }));
    const numbers = { learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-6, gradientScale: 1 };
    const own = { weightDecay: 0.01, correction1: 1, correction2: 1 };
    const ms = median(
      Array.from({ length: rounds }, () => {
        const started = performance.now();
        adamw([{ parameter: parameter!, gradient: gradient!, moment: moment!, variance: variance!, ...own }], numbers);
        synchronize(device);
        return performance.now() - started;
      }),
    );
    return { ms, gbPerSecond: (count * 7 * 4) / ms / 1e6 };
  });
}

/** The times as a table. */
export function opsText({ stepSeconds, operations }: OpTimes): string {
  const speed = ({ gflopsPerSecond, gbPerSecond }: Pass) =>
    gflopsPerSecond === undefined ? `${gbPerSecond!.toFixed(1)} GB/s` : `${gflopsPerSecond.toFixed(0)} GFLOP/s`;
  const rows = operations.map(({ operation, times, forward, backward, share }) => [
    operation,
    `${times}`,
    ...[forward, backward].flatMap((pass) => (pass ? [`${pass.ms.toFixed(2)} ms`, speed(pass)] : ['', ''])),
    percent(share),
  ]);
  const sum = operations.reduce((total, { share }) => total + share, 0);
  return table([
    ['operation', 'times', 'forward', '', 'backward', '', 'share of step'],
    ...rows,
    ['everything else', '', '', '', '', '', percent(1 - sum)],
    ['a step', '', `${(1000 * stepSeconds).toFixed(0)} ms`, '', '', '', ''],
  ]);
}
