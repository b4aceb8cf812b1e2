import type { Weights } from '../../model/index.ts';
import { scope } from '../../tensor/index.ts';
import type { Constant, ElementType, Node, OnnxGraph, Port } from './file.ts';

interface QuantisedRows {
  numbers: Uint8Array;
  scales: Float32Array;
}

/** The name of a value in a graph. */
export type Value = string;

/** Bytes of uint8 weights that stand for 0: with unsigned numbers on both sides no processor's products saturate. */
const zeroPoint = 128;
const largest = 127;

/**
 * An ONNX graph in the making, over the weights of a model. With `quantised`, linear layers and word embeddings are held as
 * 8-bit numbers, a scale for each output or piece, and what goes into a layer is made 8-bit as it comes (dynamic quantisation).
 */
export class GraphBuilder {
  readonly quantised: boolean;
  readonly #weights: Weights;
  readonly #nodes: Node[] = [];
  readonly #constants = new Map<string, Constant>();
  readonly #quantisedByName = new Map<string, QuantisedRows>();
  #count = 0;

  constructor(weights: Weights, quantised: boolean) {
    this.#weights = weights;
    this.quantised = quantised;
  }

  /** The graph of all operations up to now. */
  finish(ports: { name: string; inputs: readonly Port[]; outputs: readonly (Port & { value: Value })[] }): OnnxGraph {
    for (const { name, value } of ports.outputs) this.#add('Identity', [value], {}, [name]);
    return { ...ports, nodes: this.#nodes, constants: [...this.#constants.values()] };
  }

  /** The first output of a new node. */
  op(operation: string, inputs: readonly Value[], attributes: Node['attributes'] = {}): Value {
    return this.#add(operation, inputs, attributes, [this.#name(operation)])[0]!;
  }

  /** A parameter as it is. */
  weight(name: string): Value {
    const tensor = this.#weights.get(name)!;
    return this.#constant(name, 'float', tensor.shape, () => tensor.toFloats());
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

  floats(shape: readonly number[], values: readonly number[]): Value {
    return this.#constant(`floats_${values.join('_')}`, 'float', shape, () => Float32Array.from(values));
  }

  float(value: number): Value {
    return this.#constant(`float_${value}`, 'float', [], () => Float32Array.of(value));
  }

  /** `x·Wᵀ + b` of a linear layer, without b where it has none. */
  linear(x: Value, name: string): Value {
    const product = this.#product(x, name);
    return this.#weights.has(`${name}.bias`) ? this.op('Add', [product, this.weight(`${name}.bias`)]) : product;
  }

  #product(x: Value, name: string): Value {
    const { shape } = this.#weights.get(`${name}.weight`)!;
    if (this.quantised) {
      const { numbers, scales } = this.#quantisedRows(`${name}.weight`);
      return this.#integerProduct(x, this.#turned(`${name}.weight`, shape, numbers), scales);
    }
    const turned = this.#constant(`${name}.weight.transposed`, 'float', shape.toReversed(), () =>
      scope(() => this.#weights.get(`${name}.weight`)!.transpose(0, 1).reshape([-1]).toFloats()),
    );
    return this.op('MatMul', [x, turned]);
  }

  /** Rows of an embedding. */
  embedding(name: string, ids: Value): Value {
    if (!this.quantised) return this.op('Gather', [this.weight(name), ids]);
    const { rows, rowScales } = this.#quantisedTable(name);
    const centred = this.op('Sub', [
      this.op('Cast', [this.op('Gather', [rows, ids])], { to: 1 }),
      this.float(zeroPoint),
    ]);
    return this.op('Mul', [centred, this.op('Gather', [rowScales, ids])]);
  }

  /** `x·Eᵀ + b`: the output layer that is tied to an embedding. */
  tied(x: Value, name: string, bias: string): Value {
    if (!this.quantised) {
      const turned = this.op('Transpose', [this.weight(name)], { perm: [1, 0] });
      return this.op('Add', [this.op('MatMul', [x, turned]), this.weight(bias)]);
    }
    const { rows } = this.#quantisedTable(name);
    const { scales } = this.#quantisedRows(name);
    const turned = this.op('Transpose', [rows], { perm: [1, 0] });
    return this.op('Add', [this.#integerProduct(x, turned, scales), this.weight(bias)]);
  }

  layerNorm(x: Value, name: string, epsilon: number): Value {
    const parts = ['weight', 'bias'].map((part) => `${name}.${part}`).filter((part) => this.#weights.has(part));
    const inputs = [x, ...parts.map((part) => this.weight(part))];
    return this.op('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } });
  }

  /** `x·W` with W in 8 bits and x made so: the integer product, times both scales. */
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
    return this.op('Mul', [this.op('Cast', [product], { to: 1 }), this.op('Mul', [scale!, scaleOfWeights])]);
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
  #turned(name: string, [rows, columns]: readonly number[], numbers: Uint8Array): Value {
    return this.#constant(`${name}.bytes`, 'uint8', [columns!, rows!], () =>
      Uint8Array.from(numbers, (_, i) => numbers[(i % rows!) * columns! + Math.floor(i / rows!)]!),
    );
  }

  #add(operation: string, inputs: readonly Value[], attributes: Node['attributes'], outputs: readonly Value[]) {
    this.#nodes.push({ operation, inputs, outputs, attributes });
    return outputs;
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
