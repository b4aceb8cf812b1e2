import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, loadConfig, type PartialConfig } from '../src/config/index.ts';
import { freePort } from '../src/distributed/launch.ts';
import { initialise } from '../src/model/index.ts';
import {
  type AttentionOptions,
  allReduce,
  broadcast,
  type Dtype,
  groupOfProcess,
  isCuda,
  liveTensors,
  type Precision,
  runtime,
  scope,
  Tensor,
} from '../src/tensor/index.ts';
import { kernelCases, largestDifference, runCase } from '../src/tensor/kernel-cases.fixture.ts';
import { setKernels } from '../src/tensor/native.ts';
import { pretrain, trainingState, trainStep } from '../src/train/index.ts';
import { tinyBatch, tinyConfig } from '../src/train/tiny.fixture.ts';

// Whether a GPU computes what the CPU does. The reference is the CPU with libtorch's plain operations in float32. The device
// `cpu` is for an addon in which the GPU's kernels run on the CPU (TAPER_EMULATED_GPU in native/CMakeLists.txt).

/** One comparison. */
interface Comparison {
  name: string;
  /** What was found, and what it may be at most; equal is asked where that is 0. */
  found: number;
  most: number;
}

/** A comparison and what came of it; JSON has no NaN, so that `found` is null where it is not finite. */
export interface Check extends Omit<Comparison, 'found'> {
  found: number | null;
  isMet: boolean;
}

/** Everything that is compared, in order. */
async function comparisons(device: string): Promise<Comparison[]> {
  return [
    ...operations(device),
    ...attentionDropout(device),
    ...training(device),
    ...precisions(device),
    ...repeated(device),
    await resumed(device, 'bf16'),
    ...(isCuda(device) ? [await resumed(device, 'fp16')] : []),
    ...(groupOfProcess.isThere('nccl') && isCuda(device) ? [await oneRankOfNccl(device)] : []),
  ];
}

/** On the CPU, of plain operations. */
function asReference<T>(body: () => T): T {
  setKernels(false);
  try {
    return body();
  } finally {
    setKernels(true);
  }
}

const isLibtorch2 = Number.parseInt(runtime().torchVersion, 10) >= 2;
/** On a GPU, attention is libtorch's, which draws masks of its own. */
const hasOwnMasks = isCuda;
/** Where the kernels are emulated, libtorch's own operations are the CPU's, and those of 1.13 know no float16. */
const hasFloat16 = (device: string) => isCuda(device) || isLibtorch2;

const dtypes = ['float32', 'bfloat16', 'float16'] as const;

/** In parts of the largest element. */
function toleranceOf(name: string, dtype: Dtype): number {
  // The CPU of libtorch 1.13 adds up products of bfloat16 in bfloat16.
  if (dtype === 'bfloat16') return isLibtorch2 ? 0.04 : 0.1;
  return name.includes('to bfloat16') ? 0.01 : dtype === 'float16' ? 0.008 : 4e-5;
}

/** The most that the result and the gradients of each operation are off, in parts of their largest element. */
function operations(device: string): Comparison[] {
  return dtypes
    .filter((dtype) => dtype !== 'float16' || hasFloat16(device))
    .flatMap((dtype) =>
      Object.entries(kernelCases)
        .filter(([, { dropsAttention }]) => !(dropsAttention && hasOwnMasks(device)))
        .map(([name, kernelCase]): Comparison => {
          const found = scope(() => {
            const expected = asReference(() => runCase(kernelCase, { dtype: 'float32', rounded: dtype }));
            const all = runCase(kernelCase, { dtype, device });
            return Math.max(...all.map((x, i) => largestDifference(x, expected[i]!)));
          });
          return { name: `${name}, ${dtype}`, found, most: toleranceOf(name, dtype) };
        }),
    );
}

/** Attention of different kernels on a GPU: of whole sequences, and of documents within a window, in both precisions. */
function attentionDropout(device: string): Comparison[] {
  const within = { documents: [[20, 44], [64]], window: 9, rotary: [1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.001] };
  return (['float32', 'bfloat16'] as const).flatMap((dtype) => [
    ...dropoutOfAttention(device, dtype, 'attention dropout', {}),
    ...dropoutOfAttention(device, dtype, 'attention dropout of documents within a window', within),
  ]);
}

/** What can be known of dropout in attention whatever the mask is: with one seed it is linear in the values. */
function dropoutOfAttention(device: string, dtype: Dtype, name: string, how: AttentionOptions): Comparison[] {
  const [N, T, heads, D] = [2, 64, 2, 32];
  const rounds = dtype === 'bfloat16';
  return scope(() => {
    const [queries, keys, a, b, weights] = [1, 2, 3, 4, 5].map((seed) => normal([N * T, D], seed, device));
    const attend = (values: Tensor, seed: number) => {
      const leaf = values.detach().requiresGrad();
      // Side by side: queries, keys and values.
      const place = (x: Tensor, i: number) => x.linear(sideBySide(D, i, device));
      const qkv = place(queries!, 0)
        .add(place(keys!, 1))
        .add(place(leaf, 2))
        .reshape([N, T, 3 * D])
        .to(dtype);
      const y = qkv
        .attention(heads, { ...how, p: 0.25, seed })
        .to('float32')
        .reshape([N * T, D]);
      return { y, gradient: y.grad([leaf], weights)[0]! };
    };
    const [first, again, other, sum] = [attend(a!, 7), attend(a!, 7), attend(b!, 7), attend(a!.add(b!), 7)];
    const dot = (x: Tensor, y: Tensor) => x.mul(y).sum().item();
    const ones = attend(Tensor.full([N * T, D], 1, { device }), 7).y;
    const isOther = largestDifference(attend(a!, 8).y, first!.y) > 0.01;
    return [
      { name: `${name}, the same seed, in ${dtype}`, found: largestDifference(again!.y, first!.y), most: 0 },
      { name: `${name}, another seed is another mask, in ${dtype}`, found: isOther ? 0 : 1, most: 0 },
      {
        name: `${name} is linear in the values, in ${dtype}`,
        found: largestDifference(first!.y.add(other!.y), sum!.y),
        most: rounds ? 0.03 : 1e-4,
      },
      {
        name: `${name}, the gradient has the mask of the result, in ${dtype}`,
        // In parts of what such a product of independent numbers would be.
        found:
          (Math.abs(dot(first!.gradient, a!) - dot(first!.y, weights!)) * Math.sqrt(N * T * D)) /
          Math.sqrt(dot(first!.y, first!.y) * dot(weights!, weights!)),
        most: rounds ? 0.05 : 1e-3,
      },
      {
        name: `${name} keeps the mean of the weights, in ${dtype}`,
        found: Math.abs(ones.sum().item() / (N * T * D) - 1),
        most: 0.05,
      },
    ];
  });
}

const normal = (shape: number[], seed: number, device: string) => Tensor.normal(shape, { std: 1, seed, device });

/** [3·D, D] that puts D numbers in the i-th of three places. */
function sideBySide(D: number, i: number, device: string): Tensor {
  const numbers = new Float32Array(3 * D * D);
  for (let d = 0; d < D; d++) numbers[(i * D + d) * D + d] = 1;
  return Tensor.from(numbers, [3 * D, D], { device });
}

/** Settings that differ in what a step does. */
const kinds: Record<string, PartialConfig> = {
  dense: {},
  'PLD, gates for micro-batches': { depth: { method: 'pld', gamma: 0.2 } },
  'PLD, gates for sequences': { depth: { method: 'pld', gamma: 0.2, granularity: 'sequence' } },
  PostLN: { model: { norm: 'post' } },
  LAMB: { train: { optimizer: 'lamb' } },
  Muon: { train: { optimizer: 'muon' } },
  GPT: { model: { kind: 'gpt2', vocabSize: 300 }, data: { objective: 'clm' } },
  ModernBERT: { model: { kind: 'modernbert', window: 4, globalBlocks: 2 }, data: { objective: 'mlm' } },
  Llama: { model: { kind: 'llama', vocabSize: 300, keyValueHeads: 1 }, data: { objective: 'clm' } },
};

function configOf(kind: PartialConfig, device: string, precision: Precision, attentionDropout: number): Config {
  const config = tinyConfig({
    ...kind,
    model: { dropout: 0.1, attentionDropout, ...kind.model },
    train: { peakLearningRate: 0.01, clipNorm: 1, device, ...kind.train },
  });
  return { ...config, train: { ...config.train, precision } }; // a GPU that is emulated takes what a CPU does not
}

const numSteps = 6;

/** Losses and gradient norms of some steps of three micro-batches, the second with padding, the third of several documents a sequence. */
function steps(config: Config, { lossScale = 1 } = {}): number[] {
  return scope(() => {
    const { device, seed } = config.train;
    const state = trainingState(config, initialise(config.model, seed, device));
    return Array.from({ length: numSteps }, (_, step) => {
      const packed = {
        ...tinyBatch(step + 200, [8, 8]),
        documents: [
          [3, 5],
          [2, 4],
        ],
      };
      const batches = [tinyBatch(step, [8, 8]), tinyBatch(step + 100, [8, 6]), packed];
      const { loss, gradientNorm } = trainStep(state, step, batches, { lossScale });
      return [loss, gradientNorm];
    }).flat();
  });
}

const largestRatio = (found: number[], expected: number[]) =>
  Math.max(...found.map((x, i) => Math.abs(x / expected[i]! - 1)));

/** How far the losses and gradient norms of a training are off, in float32. */
function training(device: string): Comparison[] {
  return Object.entries(kinds).map(([name, kind]) => {
    const attentionDropout = hasOwnMasks(device) ? 0 : 0.1;
    const expected = asReference(() => steps(configOf(kind, 'cpu', 'fp32', attentionDropout)));
    const found = steps(configOf(kind, device, 'fp32', attentionDropout));
    return { name: `${numSteps} steps, ${name}`, found: largestRatio(found, expected), most: 1e-3 };
  });
}

/** The same in half precision, with only the losses compared; the loss scale of float16 goes in and out again. */
function precisions(device: string): Comparison[] {
  const losses = (numbers: number[]) => numbers.filter((_, i) => i % 2 === 0);
  const half = hasFloat16(device) ? [['fp16', 1] as const, ['fp16', 1024] as const] : [];
  return ['PLD, gates for micro-batches', 'GPT', 'ModernBERT', 'Llama'].flatMap((kind) => {
    const config = (on: string, precision: Precision) => configOf(kinds[kind]!, on, precision, 0);
    const expected = losses(asReference(() => steps(config('cpu', 'fp32'))));
    return [['bf16', 1] as const, ...half].map(([precision, lossScale]) => {
      const found = losses(steps(config(device, precision), { lossScale }));
      const scaled = lossScale > 1 ? `, loss scale ${lossScale}` : '';
      const name = `losses of ${numSteps} steps, ${kind}, ${precision}${scaled}`;
      return { name, found: largestRatio(found, expected), most: precision === 'bf16' ? 0.02 : 0.005 };
    });
  });
}

/** Two trainings with one seed are equal bit for bit, dropout everywhere, and leave nothing behind. */
function repeated(device: string): Comparison[] {
  const before = liveTensors();
  const precision = 'bf16';
  const found = Object.entries(kinds).map(([name, kind]) => {
    const [first, second] = [1, 2].map(() => steps(configOf(kind, device, precision, 0.1)));
    const differing = first!.filter((x, i) => x !== second![i]).length;
    return { name: `numbers that differ between two trainings, ${name}`, found: differing, most: 0 };
  });
  return [...found, { name: 'tensors left behind', found: liveTensors() - before, most: 0 }];
}

/** How many bytes of weights and moments differ between a run and one that was resumed in its middle. */
async function resumed(device: string, precision: Precision): Promise<Comparison> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-gpu-'));
  try {
    const text = fileURLToPath(new URL('../../docs/log.md', import.meta.url));
    const { config } = loadConfig({
      overrides: {
        model: { layers: 4, hiddenSize: 64, heads: 2, vocabSize: 500, maxPositions: 32 },
        depth: { method: 'pld' },
        data: { train: [text], sequenceLength: 32, cache: join(folder, 'cache') },
        train: {
          steps: 12,
          batchSize: 8,
          microBatchSize: 4,
          saveEvery: 6,
          evalEvery: 0,
          evalSamples: 8,
          precision,
          device,
        },
      },
    });
    const [whole, cut] = [join(folder, 'whole'), join(folder, 'cut')];
    await pretrain(config, { out: whole, report: { note: () => {}, warn: () => {} } });
    cpSync(whole, cut, { recursive: true });
    rmSync(join(cut, 'checkpoints/step-12'), { recursive: true });
    writeFileSync(join(cut, 'checkpoints/latest'), 'step-6\n');
    await pretrain(config, { out: cut, resume: true, report: { note: () => {}, warn: () => {} } });
    const differing = ['model.safetensors', 'optimizer.safetensors'].map((file) => {
      const [a, b] = [whole, cut].map((run) => readFileSync(join(run, 'checkpoints/step-12', file)));
      return a!.length === b!.length ? a!.reduce((count, byte, i) => count + Number(byte !== b![i]), 0) : a!.length;
    });
    return { name: `bytes that differ after a resume, ${precision}`, found: differing[0]! + differing[1]!, most: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** NCCL with one rank: a sum and a copy give back what went in. */
async function oneRankOfNccl(device: string): Promise<Comparison> {
  const port = await freePort();
  const host = '127.0.0.1';
  const alive = setInterval(() => {}, 1000); // the promises do not keep the process alive
  await groupOfProcess.openStore({ host, port, serves: true, timeoutMs: 30_000 });
  await groupOfProcess.join({ rank: 0, size: 1, address: host, name: 'check', timeoutMs: 30_000, library: 'nccl' });
  clearInterval(alive);
  return scope(() => {
    const x = normal([1000], 1, device);
    const before = x.clone();
    allReduce(x).wait();
    broadcast(x, 0).wait();
    return { name: 'NCCL, one rank', found: largestDifference(x, before), most: 0 };
  });
}

const checks = (await comparisons(process.argv[2] ?? 'cuda')).map(
  ({ name, found, most }): Check => ({ name, found, most, isMet: found <= most }), // no NaN is
);
console.log(JSON.stringify(checks));
