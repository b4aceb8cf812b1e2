// cspell:ignore bavx
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { SetupError } from '../errors/index.ts';
import { isCheckout, numProcessors, taperFolder } from '../machine/index.ts';

/** An operation failed in libtorch; the message names it and the shapes that it was given. */
export class NativeError extends Error {
  override readonly name: string = 'NativeError';
}

/** A tensor was used after its scope had ended, or after it was freed. */
export class UseAfterFreeError extends NativeError {
  override readonly name = 'UseAfterFreeError';
}

/** A tensor in the addon. 0 means "no tensor"; a handle is never reused. */
export type Handle = number;
/** The arrays that tensors are made of and copied out to. */
export type TypedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Uint16Array;

/** The library that ranks communicate through: Gloo for tensors on the CPU, NCCL for tensors on GPUs. */
export type GroupLibrary = 'gloo' | 'nccl';

/**
 * The addon (native/): libtorch as plain functions over handles. It knows nothing about models or training. The function that gets a handle
 * owns it and frees it; scope.ts does so for all callers. Arguments are positional, all required, and not checked here: Tensor is
 * the interface for people.
 */
export interface Native {
  useErrorClasses(native: typeof NativeError, useAfterFree: typeof UseAfterFreeError): void;
  setNumThreads(threads: number): void;
  getNumThreads(): number;
  torchVersion(): string;
  matmulLibrary(): string;
  setKernels(on: boolean): void;

  /**
   * The number of CUDA GPUs that libtorch sees; 0 if it was built without CUDA. The other GPU functions may be called only if
   * there is one.
   */
  numGpus(): number;
  /** Makes a GPU the device `cuda` of this process. */
  useGpu(index: number): void;
  gpuName(): string;
  /** The peak memory of tensors on it. */
  gpuPeakBytes(): number;
  /** Waits until the GPU has finished all its work. */
  synchronize(): void;
  setTf32(on: boolean): void;

  fromArray(data: TypedArray, shape: readonly number[], dtype: string, device: string): Handle;
  toArray(x: Handle): TypedArray;
  copyBytes(x: Handle, start: number, into: Uint8Array): void;
  free(handles: readonly Handle[]): void;
  liveTensors(): number;
  full(shape: readonly number[], value: number, dtype: string, device: string): Handle;
  normal(shape: readonly number[], mean: number, std: number, seed: number, device: string): Handle;

  shape(x: Handle): number[];
  dtype(x: Handle): string;
  device(x: Handle): string;
  item(x: Handle): number;
  to(x: Handle, dtype: string): Handle;
  toDevice(x: Handle, device: string): Handle;
  detach(x: Handle): Handle;
  clone(x: Handle): Handle;
  copy_(x: Handle, source: Handle): void;
  add_(x: Handle, y: Handle, alpha: number): void;
  mul_(x: Handle, factor: number): void;

  requiresGrad(x: Handle, on: boolean): void;
  setGradEnabled(on: boolean): void;
  isGradEnabled(): boolean;
  grad(y: Handle, leaves: readonly Handle[], gradient: Handle | undefined): Handle[];

  add(x: Handle, y: Handle, alpha: number): Handle;
  mul(x: Handle, y: Handle): Handle;
  div(x: Handle, y: Handle): Handle;
  addScalar(x: Handle, y: number): Handle;
  mulScalar(x: Handle, y: number): Handle;
  sqrt(x: Handle): Handle;
  tanh(x: Handle): Handle;
  softmax(x: Handle, dim: number): Handle;
  sum(x: Handle, dims: readonly number[]): Handle;
  norm(x: Handle): Handle;
  embedding(weight: Handle, indices: Handle): Handle;
  crossEntropy(logits: Handle, target: Handle, reduction: string): Handle;
  reshape(x: Handle, shape: readonly number[]): Handle;
  transpose(x: Handle, dim0: number, dim1: number): Handle;
  select(x: Handle, dim: number, index: number): Handle;
  narrow(x: Handle, dim: number, start: number, length: number): Handle;
  indexSelect(x: Handle, dim: number, index: Handle): Handle;
  cat(tensors: readonly Handle[], dim: number): Handle;
  argmax(x: Handle, dim: number): Handle;
  topk(x: Handle, k: number, dim: number): Handle[];

  linear(x: Handle, weights: readonly Handle[], biases: readonly Handle[]): Handle;
  attention(
    qkv: Handle,
    heads: number,
    keyValueHeads: number,
    documents: readonly number[],
    causal: boolean,
    window: number,
    frequencies: readonly number[],
    p: number,
    seed: number,
    firstRow: number,
  ): Handle;
  cachedAttention(
    qkv: Handle,
    keys: Handle,
    values: Handle,
    length: number,
    heads: number,
    frequencies: readonly number[],
  ): Handle;
  layerNorm(x: Handle, weight: Handle, bias: Handle | undefined, eps: number, dtype: string): Handle;
  rmsNorm(x: Handle, weight: Handle, eps: number, dtype: string): Handle;
  layerNormBeside(x: Handle, weight: Handle, bias: Handle | undefined, eps: number, dtype: string): Handle[];
  rmsNormBeside(x: Handle, weight: Handle, eps: number, dtype: string): Handle[];
  gelu(x: Handle, approximate: string): Handle;
  gated(x: Handle, activation: string): Handle;
  dropout(x: Handle, p: number, seed: number, firstRow: number): Handle;
  addDropout(x: Handle, branch: Handle, scale: number, p: number, seed: number, firstRow: number): Handle;
  takeRows(x: Handle, index: Handle): Handle[];
  putRows(rest: Handle, index: Handle, rows: Handle): Handle;
  linearCrossEntropy(x: Handle, weight: Handle, bias: Handle | undefined, target: Handle): Handle[];

  /** Whether the addon was built with c10d and a library; without both, the functions below are missing. */
  hasGroups(library: GroupLibrary): boolean;
  openStore(host: string, port: number, isServer: boolean, timeoutMs: number): Promise<void>;
  storeSet(key: string, text: string): Promise<void>;
  /** The value that was set, or undefined. */
  storeGet(key: string): Promise<string | undefined>;
  joinGroup(
    rank: number,
    size: number,
    address: string,
    prefix: string,
    timeoutMs: number,
    library: GroupLibrary,
  ): Promise<void>;
  /** These three only start; the tensor changes in place until `waitForRanks` with the returned number returns. */
  allReduce(x: Handle): number;
  reduce(x: Handle, root: number): number;
  broadcast(x: Handle, root: number): number;
  waitForRanks(pending: number): void;
  /** Closes the connections to all other ranks, which then fail instead of waiting. */
  hangUp(): void;

  adamw_(
    parameters: readonly Handle[],
    gradients: readonly Handle[],
    moments: readonly Handle[],
    variances: readonly Handle[],
    learningRate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    weightDecay: readonly number[],
    biasCorrection1: readonly number[],
    biasCorrection2: readonly number[],
    gradientScale: number,
  ): void;
  muon_(
    parameters: readonly Handle[],
    gradients: readonly Handle[],
    momenta: readonly Handle[],
    matrices: readonly number[],
    learningRate: number,
    momentum: number,
    scale: number,
    weightDecay: readonly number[],
    gradientScale: number,
    dtype: string,
  ): void;
  globalNorm(tensors: readonly Handle[]): Handle;
  trustRatio(weightNorm: Handle, stepNorm: Handle): Handle;
}

/**
 * The path of the addon. TAPER_ADDON names another build, for tests; a checkout has its own; for a package that npm installed,
 * the set-up builds it in the user's cache at the first use.
 */
function addonPath(): string {
  if (process.env.TAPER_ADDON) return process.env.TAPER_ADDON;
  if (isCheckout) return join(taperFolder, 'build/native/taper.node');
  const setup = spawnSync(process.execPath, [join(taperFolder, 'setup/setup.mjs'), '--addon'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (setup.status === 0) return setup.stdout;
  throw new SetupError(
    'the native addon could not be built for this machine: fix what the lines above report, then run npx taper-lm setup',
  );
}

/**
 * What libtorch's libraries read from the environment when they are loaded, unless the user has set it. OpenBLAS 0.3.21 mistakes
 * recent AVX-512 CPUs for old ones, and is then up to four times slower in float32. OpenMP's threads wait by spinning for
 * milliseconds, which starves every other program (and a second run) on the same CPU. c10d's sockets log each attempt to connect;
 * an error reports the outcome anyway. NCCL reports a lost rank only to those that it lets wait. UCX, which Debian's libtorch
 * brings with OpenMPI, tests its memory hooks with sbrk(4096) and sbrk(-4096); if the first fails, as it does when V8's code is
 * right after the heap, the second releases a page of the heap that is in use, and Node crashes.
 */
function prepareEnvironment(): void {
  process.env.GOMP_SPINCOUNT ??= '10000';
  process.env.GLOG_minloglevel ??= '3';
  process.env.TORCH_NCCL_BLOCKING_WAIT ??= '1';
  process.env.TORCH_CPP_LOG_LEVEL ??= 'ERROR';
  process.env.UCX_MEM_EVENTS ??= 'n';
  const cpuInfo = '/proc/cpuinfo';
  if (existsSync(cpuInfo) && /\bavx512bw\b/.test(readFileSync(cpuInfo, 'utf8')))
    process.env.OPENBLAS_CORETYPE ??= 'SKYLAKEX';
}

function load(): Native {
  const path = addonPath();
  const advice = isCheckout ? `run \`npm run build\` in ${taperFolder}` : 'run npx taper-lm setup';
  if (!existsSync(path)) throw new SetupError(`the native addon is not built (${path} is missing): ${advice}`);
  prepareEnvironment();
  let addon: Native;
  try {
    addon = createRequire(import.meta.url)(path) as Native;
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0];
    throw new SetupError(`the native addon does not load (${reason}): ${advice}; see docs/setup.md`, { cause });
  }
  addon.useErrorClasses(NativeError, UseAfterFreeError);
  addon.setNumThreads(numProcessors());
  return addon;
}

let loaded: Native | undefined;

/**
 * The addon, and libtorch with it: loaded on first use, because a program may need neither.
 *
 * @throws SetupError if it is not built, or does not load.
 */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

/** Sets the number of CPU threads that tensor operations use; 0, the default, is one per core that this process may use. */
export function setNumThreads(threads: number): void {
  native().setNumThreads(threads || numProcessors());
}

/** Sets whether operations use their fused kernels (the default) or libtorch's plain operations, to compare the two. */
export function setKernels(on: boolean): void {
  native().setKernels(on);
}

/** Whether a device is a CUDA GPU. */
export function isCuda(device: string): boolean {
  return /^cuda(:\d+)?$/.test(device);
}

/** Waits until a device has finished all its work, for timing. A CPU never has work queued. */
export function synchronize(device: string): void {
  if (isCuda(device)) native().synchronize();
}

/** The GPUs of this process: the CUDA GPUs that libtorch sees. */
export const gpus = {
  count: () => native().numGpus(),
  /** NVIDIA's name for the GPU that `cuda` means. */
  name: () => native().gpuName(),
  /** Makes the GPU with this number, from 0, the one that `cuda` means. */
  use: (index: number) => native().useGpu(index),
  /** The peak bytes of tensors on it. */
  peakBytes: () => native().gpuPeakBytes(),
  /** Whether products of float32 matrices may round their factors to TF32's 10 bits. */
  setTf32: (on: boolean) => native().setTf32(on),
};

/** The number of CPU threads in use, libtorch's version, and the library that multiplies matrices. */
export function runtime(): { numThreads: number; torchVersion: string; matmulLibrary: string } {
  return {
    numThreads: native().getNumThreads(),
    torchVersion: native().torchVersion(),
    matmulLibrary: native().matmulLibrary(),
  };
}
