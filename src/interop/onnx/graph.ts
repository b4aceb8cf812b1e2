import type { Weights } from '../../model/index.ts';
import { scope, Tensor } from '../../tensor/index.ts';
import { type Constant, type ElementType, elementTypes, type Node, type OnnxGraph, type Port } from './file.ts';
import type { Precision } from './precision.ts';

interface QuantisedRows {
  numbers: Uint8Array;
  scales: Float32Array;
}

/** The name of a value in a graph. */
export type Value = string;

/** Zero point of uint8 weights. With both operands unsigned, no processor's integer product saturates. */
const zeroPoint = 128;
const largest = 127;
/** How many 4-bit weights of a row share a scale. */
const blockSize = 32;

/**
 * Builds an ONNX graph over the weights of a model. With 8 bits, linear layers and word embeddings are stored as 8-bit numbers,
 * with a scale for each output or token, and activations are quantised on the fly (dynamic quantisation). With 4 bits, linear
 * layers are stored as 4-bit numbers with a scale for every 32, and word embeddings as with 8 bits.
 */
export class GraphBuilder {
  readonly #precision: Precision;
  readonly #weights: Weights;
  readonly #nodes: Node[] = [];
  readonly #constants = new Map<string, Constant>();
  readonly #quantisedByName = new Map<string, QuantisedRows>();
  #count = 0;

  constructor(weights: Weights, precision: Precision) {
    this.#weights = weights;
    this.#precision = precision;
  }

  /** The graph of all operations so far. */
  finish(ports: { name: string; inputs: readonly Port[]; outputs: readonly (Port & { value: Value })[] }): OnnxGraph {
    for (const { name, type, value } of ports.outputs) this.#add('Cast', [value], { to: elementTypes[type] }, [name]);
    return { ...ports, nodes: this.#nodes, constants: [...this.#constants.values()] };
  }

  /** The first output of a new node. */
  op(operation: string, inputs: readonly Value[], attributes: Node['attributes'] = {}): Value {
    return this.#add(operation, inputs, attributes, [this.#name(operation)])[0]!;
  }

  cast(x: Value, type: ElementType): Value {
    return this.op('Cast', [x], { to: elementTypes[type] });
  }

  /** Casts float32 to the float type of the graph. */
  narrow(x: Value): Value {
    return this.#precision.floats === 'float' ? x : this.cast(x, this.#precision.floats);
  }

  /** Casts the float type of the graph to float32. */
  wide(x: Value): Value {
    return this.#precision.floats === 'float' ? x : this.cast(x, 'float');
  }

  /** The size of `x` along `axis`, as a list of one. */
  dimension(x: Value, axis: number): Value {
    return this.op('Shape', [x], { start: axis, end: axis + 1 });
  }

  /** The integers from `start` up to `end`, exclusive; both are lists of one. */
  range(start: Value, end: Value): Value {
    return this.op('Range', [this.op('Squeeze', [start]), this.op('Squeeze', [end]), this.int(1)]);
  }

  /** Elements `start` up to `end` of the last dimension. */
  part(x: Value, start: number, end: number): Value {
    return this.op('Slice', [x, this.ints(start), this.ints(end), this.ints(-1)]);
  }

  /** A mask to add: `value` where `holds` is true, 0 elsewhere. */
  maskBias(holds: Value, value: number): Value {
    return this.op('Mul', [this.cast(holds, this.#precision.floats), this.float(value)]);
  }

  /** Whether the model has a parameter. */
  has(name: string): boolean {
    return this.#weights.has(name);
  }

  /** A parameter as it is. */
  weight(name: string): Value {
    const tensor = this.#weights.get(name)!;
    return this.#floats(name, tensor.shape, () => tensor.toFloats());
  }

  ints(...values: number[]): Value {
    return this.#constant(`ints_${values.join('_')}`, 'int64', [values.length], () =>
      BigInt64Array.from(values, BigInt),
    );
  }

  /** A number, not a list of one. */
  int(value: number): Value {
    return this.#constant(`int_${value}`, 'int64', [], () => BigInt64Array.of(BigInt(value)));
  }

  float(value: number): Value {
    return this.#floats(`float_${value}`, [], () => Float32Array.of(value));
  }

  /** A constant that is float32 even in a float16 graph. */
  float32s(shape: readonly number[], values: readonly number[]): Value {
    return this.#constant(`float32s_${values.join('_')}`, 'float', shape, () => Float32Array.from(values));
  }

  /** `x·Wᵀ + b` of a linear layer, without b if it has none. */
  linear(x: Value, name: string): Value {
    const product = this.#product(x, name);
    return this.#weights.has(`${name}.bias`) ? this.op('Add', [product, this.weight(`${name}.bias`)]) : product;
  }

  #product(x: Value, name: string): Value {
    const { shape } = this.#weights.get(`${name}.weight`)!;
    if (this.#precision.bits === 4) return this.#blockProduct(x, `${name}.weight`);
    if (this.#precision.bits === 8) {
      const { numbers, scales } = this.#quantisedRows(`${name}.weight`);
      return this.#integerProduct(x, this.#transposed(`${name}.weight`, shape, numbers), scales);
    }
    const transposed = this.#floats(`${name}.weight.transposed`, shape.toReversed(), () =>
      scope(() => this.#weights.get(`${name}.weight`)!.transpose(0, 1).reshape([-1]).toFloats()),
    );
    return this.op('MatMul', [x, transposed]);
  }

  /** Rows of an embedding. */
  embedding(name: string, ids: Value): Value {
    if (!this.#precision.bits) return this.op('Gather', [this.weight(name), ids]);
    const { rows, rowScales } = this.#quantisedTable(name);
    const centred = this.op('Sub', [this.cast(this.op('Gather', [rows, ids]), 'float'), this.float(zeroPoint)]);
    return this.op('Mul', [centred, this.op('Gather', [rowScales, ids])]);
  }

  /** `x·Eᵀ`, and `+ b` if there is one: the output layer that is tied to an embedding. */
  tied(x: Value, name: string, bias?: string): Value {
    const transposed = (table: Value) => this.op('Transpose', [table], { perm: [1, 0] });
    const product = this.#precision.bits
      ? this.#integerProduct(x, transposed(this.#quantisedTable(name).rows), this.#quantisedRows(name).scales)
      : this.op('MatMul', [x, transposed(this.weight(name))]);
    return bias === undefined ? product : this.op('Add', [product, this.weight(bias)]);
  }

  layerNorm(x: Value, name: string, epsilon: number): Value {
    const parts = ['weight', 'bias'].map((part) => `${name}.${part}`).filter((part) => this.#weights.has(part));
    const inputs = [x, ...parts.map((part) => this.weight(part))];
    return this.op('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } });
  }

  /** `x/√(mean(x²) + ε)·w` over the last dimension; all but the weights in float32. */
  rmsNorm(x: Value, name: string, epsilon: number): Value {
    const wide = this.wide(x);
    const mean = this.op('ReduceMean', [this.op('Mul', [wide, wide])], { axes: [-1], keepdims: 1 });
    const root = this.op('Sqrt', [this.op('Add', [mean, this.float32s([], [epsilon])])]);
    return this.op('Mul', [this.narrow(this.op('Div', [wide, root])), this.weight(`${name}.weight`)]);
  }

  /** `x·Wᵀ` with W in 4 bits: onnxruntime's own operation, which takes two numbers per byte, the first in the low half. */
  #blockProduct(x: Value, name: string): Value {
    const tensor = this.#weights.get(name)!;
    const [N, K] = tensor.shape as [number, number];
    const numBlocks = Math.ceil(K / blockSize);
    const made = inBlocks(tensor.toFloats(), N, K);
    const bytes = this.#constant(`${name}.nibbles`, 'uint8', [N, numBlocks, blockSize / 2], () => made.bytes);
    const scales = this.#constant(`${name}.block_scales`, 'float', [N * numBlocks], () => made.scales);
    const attributes = { K, N, bits: 4, block_size: blockSize };
    const [product] = this.#add(
      'MatMulNBits',
      [x, bytes, scales],
      attributes,
      [this.#name('MatMulNBits')],
      'com.microsoft',
    );
    return product!;
  }

  /** `x·W` with W in 8 bits and x quantised to 8 bits: the integer product, times both scales. */
  #integerProduct(x: Value, weight: Value, scales: Float32Array): Value {
    const [numbers, scale, zero] = this.#add(
      'DynamicQuantizeLinear',
      [x],
      {},
      ['bytes', 'scale', 'zero'].map((part) => this.#name(part)),
    );
    const zeroOfWeights = this.#constant('zero_of_weights', 'uint8', [], () => Uint8Array.of(zeroPoint));
    const product = this.op('MatMulInteger', [numbers!, weight, zero!, zeroOfWeights]);
    const scaleOfWeights = this.#constant(`${weight}.scales`, 'float', [scales.length], () => scales);
    return this.op('Mul', [this.cast(product, 'float'), this.op('Mul', [scale!, scaleOfWeights])]);
  }

  /** A matrix in 8 bits, with a scale for each row: `W ≈ scale·(number − 128)`. */
  #quantisedRows(name: string): QuantisedRows {
    const known = this.#quantisedByName.get(name);
    if (known) return known;
    const tensor = this.#weights.get(name)!;
    const [rows, columns] = tensor.shape as [number, number];
    const floats = tensor.toFloats();
    const scales = Float32Array.from({ length: rows }, (_, row) => {
      const most = floats
        .subarray(row * columns, (row + 1) * columns)
        .reduce((top, x) => Math.max(top, Math.abs(x)), 0);
      return most === 0 ? 1 : most / largest;
    });
    const numbers = Uint8Array.from(floats, (x, i) => Math.round(x / scales[Math.floor(i / columns)]!) + zeroPoint);
    this.#quantisedByName.set(name, { numbers, scales });
    return { numbers, scales };
  }

  /** The rows of an embedding in 8 bits, and their scales. */
  #quantisedTable(name: string): { rows: Value; rowScales: Value } {
    const { shape } = this.#weights.get(name)!;
    const rows = this.#constant(`${name}.bytes`, 'uint8', shape, () => this.#quantisedRows(name).numbers);
    const scaleShape = [shape[0]!, 1];
    const rowScales = this.#constant(`${name}.row_scales`, 'float', scaleShape, () => this.#quantisedRows(name).scales);
    return { rows, rowScales };
  }

  /** The transpose of a matrix in 8 bits, as a constant. */
  #transposed(name: string, [rows, columns]: readonly number[], numbers: Uint8Array): Value {
    return this.#constant(`${name}.bytes`, 'uint8', [columns!, rows!], () =>
      Uint8Array.from(numbers, (_, i) => numbers[(i % rows!) * columns! + Math.floor(i / rows!)]!),
    );
  }

  #add(
    operation: string,
    inputs: readonly Value[],
    attributes: Node['attributes'],
    outputs: readonly Value[],
    domain?: string,
  ) {
    this.#nodes.push({ operation, inputs, outputs, attributes, ...(domain !== undefined && { domain }) });
    return outputs;
  }

  /** A constant in the float type of the graph. */
  #floats(name: string, shape: readonly number[], values: () => Float32Array): Value {
    const { floats } = this.#precision;
    return this.#constant(name, floats, shape, () => (floats === 'float' ? values() : float16Of(values())));
  }

  #constant(name: string, type: ElementType, shape: readonly number[], values: () => ArrayBufferView): Value {
    if (!this.#constants.has(name)) {
      const { buffer, byteOffset, byteLength } = values();
      this.#constants.set(name, { name, type, shape, bytes: new Uint8Array(buffer, byteOffset, byteLength) });
    }
    return name;
  }

  #name(what: string): Value {
    this.#count += 1;
    return `${what}_${this.#count}`;
  }
}

/** The bits of the nearest float16 numbers. */
function float16Of(values: Float32Array): Uint16Array {
  return scope(() => Tensor.from(values, [values.length]).to('float16').toArray() as Uint16Array);
}

/**
 * The rows of a matrix [N, K] in blocks of 32, the last one padded: `w ≈ scale·(number − 8)`, with the scale that maps the weight of the
 * largest magnitude to −8.
 */
function inBlocks(values: Float32Array, N: number, K: number): { bytes: Uint8Array; scales: Float32Array } {
  const numBlocks = Math.ceil(K / blockSize);
  const scales = new Float32Array(N * numBlocks);
  const bytes = new Uint8Array((N * numBlocks * blockSize) / 2);
  for (let block = 0; block < N * numBlocks; block++) {
    const row = Math.floor(block / numBlocks);
    const start = row * K + (block % numBlocks) * blockSize;
    const own = values.subarray(start, Math.min(start + blockSize, (row + 1) * K));
    const furthest = own.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0);
    const scale = furthest === 0 ? 1 : furthest / -8;
    scales[block] = scale;
    own.forEach((x, i) => {
      const number = Math.min(15, Math.round(x / scale) + 8);
      bytes[(block * blockSize + i) >> 1]! |= number << (i % 2 === 0 ? 0 : 4);
    });
  }
  return { bytes, scales };
}
