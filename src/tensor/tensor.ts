/// <reference lib="esnext.disposable" preserve="true" />
import { type Handle, NativeError, native, type TypedArray } from './native.ts';
import { register, release } from './scope.ts';

/** Element types, named as PyTorch names them. */
export type Dtype = 'float32' | 'bfloat16' | 'float16' | 'float64' | 'int32' | 'int64' | 'uint8' | 'bool';

/** Where a tensor lives: `cpu`, `cuda`, `cuda:1`, `mps`. */
export type Device = string;

export function bytesPerElement(dtype: Dtype): number {
  const sizes: Partial<Record<Dtype, number>> = { float64: 8, int64: 8, float32: 4, int32: 4, uint8: 1, bool: 1 };
  return sizes[dtype] ?? 2;
}

/** The dtype and the device of a new tensor; the default device is `cpu`. */
export interface Placement {
  dtype?: Dtype;
  device?: Device;
}

/** Dropout within another operation, as in `Tensor.dropout`. */
export interface DropoutOptions {
  p?: number;
  seed?: number;
  firstRow?: number;
}

/** Options of attention: which tokens see which, and rotary positions. */
export interface AttentionOptions extends DropoutOptions {
  /** K, which divides the number of heads: each head of keys and values serves H/K heads of queries. Default: H. */
  keyValueHeads?: number;
  /** For each sequence, the lengths of its documents in order; the rest is padding. By default each sequence is one document. */
  documents?: Documents | undefined;
  /** Whether a token sees only itself and those before it. */
  causal?: boolean;
  /** How many tokens before and after itself a token sees. Default: all. */
  window?: number;
  /**
   * Rotary positions: the angle by which the pairs (i, i + d/2) of a head's queries and keys are rotated per position in their
   * document, [d/2].
   * Source: Su et al. 2021 (arXiv 2104.09864).
   */
  rotary?: readonly number[];
}

/** Keys and values of tokens already read, [N, K, capacity, d]: the first `length` of each. */
export interface AttentionCache {
  keys: Tensor;
  values: Tensor;
  length: number;
}

/** For each sequence the lengths of the documents in it, one after the other. */
export type Documents = readonly (readonly number[])[];

/** Sequence, start and length of each document. */
function spansOf(documents: Documents): number[] {
  const spans: number[] = [];
  for (const [sequence, lengths] of documents.entries()) {
    let start = 0;
    for (const length of lengths) {
      spans.push(sequence, start, length);
      start += length;
    }
  }
  return spans;
}

/** The possible dtypes of a typed array's elements; the first is the default. */
function dtypesOf(data: TypedArray): readonly [Dtype, ...Dtype[]] {
  if (data instanceof Float32Array) return ['float32'];
  if (data instanceof Float64Array) return ['float64'];
  if (data instanceof Int32Array) return ['int32'];
  if (data instanceof BigInt64Array) return ['int64'];
  if (data instanceof Uint16Array) return ['bfloat16', 'float16'];
  return ['uint8', 'bool'];
}

function handlesOf(tensors: Tensor | readonly Tensor[]): Handle[] {
  return (tensors instanceof Tensor ? [tensors] : tensors).map((tensor) => tensor.handle);
}

/**
 * A tensor of libtorch. Operations have PyTorch's names and argument order and make new tensors; those ending in `_`
 * change the tensor in place and are not recorded for gradients. A tensor made inside `scope` is freed at its end;
 * `using` frees at the end of its block.
 *
 * Operations throw NativeError (named after the operation, with the shapes) and UseAfterFreeError.
 */
export class Tensor implements Disposable {
  readonly handle: Handle;

  static #pair(handles: readonly Handle[]): [Tensor, Tensor] {
    return [new Tensor(handles[0]!), new Tensor(handles[1]!)];
  }
  private constructor(handle: Handle) {
    this.handle = handle;
    register(this);
  }

  /**
   * A copy of `data` as a tensor of `shape`. A Uint16Array contains the raw bits of bfloat16, or of float16 if `dtype` says so; a
   * Uint8Array contains bytes, or bools.
   *
   * @throws NativeError for a dtype that such an array cannot contain, and if the number of elements does not match `shape`.
   */
  static from(
    data: TypedArray,
    shape: readonly number[],
    { dtype = dtypesOf(data)[0], device = 'cpu' }: Placement = {},
  ): Tensor {
    const dtypes = dtypesOf(data);
    if (!dtypes.includes(dtype)) {
      throw new NativeError(
        `from: a ${data.constructor.name} contains ${dtypes.join(' or ')}, not ${dtype}; give no dtype and use .to('${dtype}')`,
      );
    }
    return new Tensor(native().fromArray(data, shape, dtype, device));
  }

  /** A tensor of zeros. */
  static zeros(shape: readonly number[], placement: Placement = {}): Tensor {
    return Tensor.full(shape, 0, placement);
  }

  /** A tensor whose every element is `value`. */
  static full(shape: readonly number[], value: number, { dtype = 'float32', device = 'cpu' }: Placement = {}): Tensor {
    return new Tensor(native().full(shape, value, dtype, device));
  }

  /** Normally distributed float32 numbers, a pure function of `seed` (an integer from 0 to 2^53 − 1) on every device. */
  static normal(
    shape: readonly number[],
    options: { mean?: number; std: number; seed: number; device?: Device },
  ): Tensor {
    return new Tensor(native().normal(shape, options.mean ?? 0, options.std, options.seed, options.device ?? 'cpu'));
  }

  /** `√(Σ ‖x‖²)` over all elements of some tensors, a single float64 element. */
  static globalNorm(tensors: readonly Tensor[]): Tensor {
    return new Tensor(native().globalNorm(handlesOf(tensors)));
  }

  /** Tensors side by side along `dim`. */
  static cat(tensors: readonly Tensor[], dim: number): Tensor {
    return new Tensor(native().cat(handlesOf(tensors), dim));
  }

  /** The size of each dimension. */
  get shape(): number[] {
    return native().shape(this.handle);
  }
  /** The type of the elements. */
  get dtype(): Dtype {
    return native().dtype(this.handle) as Dtype;
  }
  /** Where the elements are. */
  get device(): Device {
    return native().device(this.handle);
  }

  /** The bytes of its elements. */
  get bytes(): number {
    return this.shape.reduce((product, size) => product * size, bytesPerElement(this.dtype));
  }

  /** A copy of the elements in row-major order; bfloat16 and float16 as their raw bits in a Uint16Array. */
  toArray(): TypedArray {
    return native().toArray(this.handle);
  }
  /** Fills `into` with this tensor's bytes from `start` on; it must be contiguous and on the CPU. */
  copyBytes(start: number, into: Uint8Array): void {
    native().copyBytes(this.handle, start, into);
  }
  /** The elements as float32 numbers, for any dtype. */
  toFloats(): Float32Array {
    if (this.dtype === 'float32') return this.toArray() as Float32Array;
    using floats = this.to('float32');
    return floats.toArray() as Float32Array;
  }
  /** The single element, as a number. */
  item(): number {
    return native().item(this.handle);
  }

  /** Frees the memory now instead of at the end of the scope. */
  free(): void {
    release(this);
  }
  [Symbol.dispose](): void {
    release(this);
  }

  /** The same numbers in another dtype; returns this tensor if it already has that dtype. */
  to(dtype: Dtype): Tensor {
    return new Tensor(native().to(this.handle, dtype));
  }
  /** The same numbers on another device; returns this tensor if it is already on that device. */
  toDevice(device: Device): Tensor {
    return new Tensor(native().toDevice(this.handle, device));
  }
  /** The same elements in the same memory, detached from the recorded graph. */
  detach(): Tensor {
    return new Tensor(native().detach(this.handle));
  }
  /** A copy in memory of its own; gradients flow through it. */
  clone(): Tensor {
    return new Tensor(native().clone(this.handle));
  }

  /** Marks a leaf that `grad` may ask for. */
  requiresGrad(on = true): this {
    native().requiresGrad(this.handle, on);
    return this;
  }
  /** `this = source`, element by element, in the dtype and on the device of this. */
  copy_(source: Tensor): this {
    native().copy_(this.handle, source.handle);
    return this;
  }
  /** `this += alpha · other` */
  add_(other: Tensor, alpha = 1): this {
    native().add_(this.handle, other.handle, alpha);
    return this;
  }
  /** `this *= factor` */
  mul_(factor: number): this {
    native().mul_(this.handle, factor);
    return this;
  }

  /** `this + alpha · other` */
  add(other: Tensor | number, alpha = 1): Tensor {
    if (typeof other === 'number') return new Tensor(native().addScalar(this.handle, other * alpha));
    return new Tensor(native().add(this.handle, other.handle, alpha));
  }
  /** `this · other`, element by element; shapes are broadcast. */
  mul(other: Tensor | number): Tensor {
    if (typeof other === 'number') return new Tensor(native().mulScalar(this.handle, other));
    return new Tensor(native().mul(this.handle, other.handle));
  }
  /** `this / other`, element by element; shapes are broadcast. */
  div(other: Tensor): Tensor {
    return new Tensor(native().div(this.handle, other.handle));
  }
  /** `√this`, element by element. */
  sqrt(): Tensor {
    return new Tensor(native().sqrt(this.handle));
  }
  /** `tanh(this)`, element by element. */
  tanh(): Tensor {
    return new Tensor(native().tanh(this.handle));
  }
  /** `x · Φ(x)`, exact (with erf) as in BERT, or by `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))` as in GPT-2. */
  gelu(approximate: 'none' | 'tanh' = 'none'): Tensor {
    return new Tensor(native().gelu(this.handle, approximate));
  }
  /**
   * `f(a) · b` of rows [..., 2·F], a and b their halves: [..., F]. With `silu(x) = x / (1 + e⁻ˣ)` it is SwiGLU.
   * Source: Shazeer 2020 (arXiv 2002.05202).
   */
  gated(activation: 'gelu' | 'geluTanh' | 'silu'): Tensor {
    return new Tensor(native().gated(this.handle, activation));
  }
  /** `exp(x_i) / Σ_j exp(x_j)` along `dim`. */
  softmax(dim: number): Tensor {
    return new Tensor(native().softmax(this.handle, dim));
  }
  /** The sum along these dimensions, which are removed; without any, over all elements. */
  sum(...dims: readonly number[]): Tensor {
    return new Tensor(native().sum(this.handle, dims));
  }
  /** The Euclidean norm of all elements. */
  norm(): Tensor {
    return new Tensor(native().norm(this.handle));
  }
  /** LAMB's `‖w‖/‖r‖` for this ‖w‖: 1 where one of them is 0. */
  trustRatio(stepNorm: Tensor): Tensor {
    return new Tensor(native().trustRatio(this.handle, stepNorm.handle));
  }
  /**
   * `this · weightᵀ + bias`, weight [out, in], in the precision of this: weights of another precision are cast, once until they
   * change. With several weights and biases, the results are side by side in the last dimension.
   */
  linear(weight: Tensor | readonly Tensor[], bias: Tensor | readonly Tensor[] = []): Tensor {
    return new Tensor(native().linear(this.handle, handlesOf(weight), handlesOf(bias)));
  }
  /**
   * Multi-head attention over queries, keys and values side by side, [N, T, (H + 2·K)·d] with H heads of queries and K of keys
   * and values: `dropout(softmax(q·kᵀ/√d))·v`, [N, T, H·d]. A token sees those of its own document; a token outside any document
   * gets 0.
   */
  attention(
    heads: number,
    {
      keyValueHeads = heads,
      documents = [],
      causal = false,
      window = -1,
      rotary = [],
      p = 0,
      seed = 0,
      firstRow = 0,
    }: AttentionOptions = {},
  ): Tensor {
    return new Tensor(
      native().attention(
        this.handle,
        heads,
        keyValueHeads,
        spansOf(documents),
        causal,
        window,
        rotary,
        p,
        seed,
        firstRow,
      ),
    );
  }
  /**
   * Causal attention of tokens that follow `length` others, whose keys and values [N, K, capacity, d] are already cached: those
   * of the new tokens are written after them. Nothing is recorded for gradients.
   */
  cachedAttention(heads: number, { keys, values, length }: AttentionCache, rotary: readonly number[] = []): Tensor {
    return new Tensor(native().cachedAttention(this.handle, keys.handle, values.handle, length, heads, rotary));
  }
  /**
   * Layer normalisation over the last dimension: `(x − mean) / √(variance + eps) · weight + bias`; float32 within, the
   * result in `dtype`.
   */
  layerNorm(weight: Tensor, bias: Tensor | undefined, eps: number, dtype = this.dtype): Tensor {
    return new Tensor(native().layerNorm(this.handle, weight.handle, bias?.handle, eps, dtype));
  }
  /**
   * RMSNorm over the last dimension: `x / √(mean(x²) + eps) · weight`; float32 within, the result in `dtype`.
   * Source: Zhang and Sennrich 2019 (arXiv 1910.07467).
   */
  rmsNorm(weight: Tensor, eps: number, dtype = this.dtype): Tensor {
    return new Tensor(native().rmsNorm(this.handle, weight.handle, eps, dtype));
  }
  /**
   * `layerNorm` of a stream that continues beside it: returns the norm, and this tensor to continue with. In the backward pass,
   * the gradients of both are summed while the norm's is computed.
   */
  layerNormBeside(weight: Tensor, bias: Tensor | undefined, eps: number, dtype = this.dtype): [Tensor, Tensor] {
    return Tensor.#pair(native().layerNormBeside(this.handle, weight.handle, bias?.handle, eps, dtype));
  }
  /** `rmsNorm` in the same way. */
  rmsNormBeside(weight: Tensor, eps: number, dtype = this.dtype): [Tensor, Tensor] {
    return Tensor.#pair(native().rmsNormBeside(this.handle, weight.handle, eps, dtype));
  }
  /** Rows of this [V, D] at `indices` (int32 or int64, any shape): [..., D]. */
  embedding(indices: Tensor): Tensor {
    return new Tensor(native().embedding(this.handle, indices.handle));
  }
  /** Softmax cross-entropy of these logits [M, C] with class numbers `target` [M] (int64). */
  crossEntropy(target: Tensor, reduction: 'sum' | 'mean' | 'none' = 'mean'): Tensor {
    return new Tensor(native().crossEntropy(this.handle, target.handle, reduction));
  }
  /**
   * Zeroes each element with probability `p` and divides the others by the fraction that is kept on average. The mask is a pure
   * function of `seed` (an integer from 0 to 2^53 − 1) and is drawn again, not stored, for the gradient; `p` is rounded to a
   * multiple of 1/65,536. For a part of a larger tensor, with `firstRow` rows before it, the mask is that part of the larger
   * tensor's mask (on the CPU; elsewhere a separate mask).
   */
  dropout(p: number, seed: number, firstRow = 0): Tensor {
    return new Tensor(native().dropout(this.handle, p, seed, firstRow));
  }
  /** `this + scale · dropout(branch)`, in the precision of this: a branch joins the residual stream. */
  addDropout(
    branch: Tensor,
    { scale = 1, p = 0, seed = 0, firstRow = 0 }: { scale?: number } & DropoutOptions = {},
  ): Tensor {
    return new Tensor(native().addDropout(this.handle, branch.handle, scale, p, seed, firstRow));
  }
  /**
   * `Σ −log softmax(this·weightᵀ + bias)[target]` in nats over the rows of this [M, D], with weight [V, D], bias [V] (or none)
   * and target [M] (int64); `hits` is how many targets have the largest logit. The full [M, V] logits are never stored.
   */
  linearCrossEntropy(weight: Tensor, bias: Tensor | undefined, target: Tensor): { loss: Tensor; hits: Tensor } {
    const [loss, hits] = native().linearCrossEntropy(this.handle, weight.handle, bias?.handle, target.handle);
    return { loss: new Tensor(loss!), hits: new Tensor(hits!) };
  }
  /** The same elements in another shape, in which one dimension may be −1. */
  reshape(shape: readonly number[]): Tensor {
    return new Tensor(native().reshape(this.handle, shape));
  }
  /** Two dimensions swapped: a view of the same memory. */
  transpose(dim0: number, dim1: number): Tensor {
    return new Tensor(native().transpose(this.handle, dim0, dim1));
  }
  /** The slice at `index` of a dimension, without that dimension: a view of the same memory. */
  select(dim: number, index: number): Tensor {
    return new Tensor(native().select(this.handle, dim, index));
  }
  /** `length` entries of a dimension from `start` on: a view of the same memory. */
  narrow(dim: number, start: number, length: number): Tensor {
    return new Tensor(native().narrow(this.handle, dim, start, length));
  }
  /** The entries of a dimension at `index` [n] (int32 or int64), copied. */
  indexSelect(dim: number, index: Tensor): Tensor {
    return new Tensor(native().indexSelect(this.handle, dim, index.handle));
  }
  /**
   * This with the rows (of the first dimension) at `index` [n] (int64, each at most once) replaced by the results of `f`; the
   * others stay. `f` gets the rows [n, ...] and returns as many.
   */
  mapRows(index: Tensor, f: (rows: Tensor) => Tensor): Tensor {
    const [rows, rest] = Tensor.#pair(native().takeRows(this.handle, index.handle));
    return new Tensor(native().putRows(rest.handle, index.handle, f(rows).handle));
  }
  /** The index of the largest element along `dim` (int64), without that dimension. */
  argmax(dim: number): Tensor {
    return new Tensor(native().argmax(this.handle, dim));
  }
  /** The k largest elements along `dim`, in descending order, and their indices. */
  topk(k: number, dim = -1): { values: Tensor; indices: Tensor } {
    const [values, indices] = native().topk(this.handle, k, dim);
    return { values: new Tensor(values!), indices: new Tensor(indices!) };
  }

  /**
   * d(this)/d(leaf) for each leaf, undefined if this does not depend on it; frees the recorded graph. A tensor of more than one
   * element needs `gradient`, of its shape, which the derivative is multiplied by.
   */
  grad(leaves: readonly Tensor[], gradient?: Tensor): (Tensor | undefined)[] {
    return native()
      .grad(this.handle, handlesOf(leaves), gradient?.handle)
      .map((handle) => (handle === 0 ? undefined : new Tensor(handle)));
  }
}
