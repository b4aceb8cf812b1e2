import { PbfWriter } from 'pbf';

// ONNX files, as far as needed here. The numbers are the field numbers in onnx.proto (IR version 8).
// Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

/** ONNX's numbers for element types. */
export const elementTypes = { float: 1, uint8: 2, int64: 7, float16: 10 } as const;
export type ElementType = keyof typeof elementTypes;

const irVersion = 8;
/** The first version that has LayerNormalization. */
const opsetVersion = 17;
const attributeTypes = { float: 1, int: 2, ints: 7 } as const;

/** A constant of a graph. */
export interface Constant {
  name: string;
  type: ElementType;
  shape: readonly number[];
  bytes: Uint8Array;
}

/** A node: an operation with its inputs and outputs by name; an attribute is an integer, a list of them, or a `{ float }`. */
export interface Node {
  operation: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, number | readonly number[] | { float: number }>>;
  /** The domain of the operation, if it is not ONNX's own. */
  domain?: string;
}

/** An input or output; a dimension is a number, or a name if it can have any size. */
export interface Port {
  name: string;
  type: ElementType;
  shape: readonly (number | string)[];
}

export interface OnnxGraph {
  name: string;
  nodes: readonly Node[];
  constants: readonly Constant[];
  inputs: readonly Port[];
  outputs: readonly Port[];
}

/** The bytes of an ONNX file. */
export function onnxFile(graph: OnnxGraph): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, irVersion);
  pbf.writeStringField(2, 'taper');
  pbf.writeMessage(7, writeGraph, graph);
  pbf.writeMessage(8, writeOperations, { version: opsetVersion });
  const domains = graph.nodes.flatMap(({ domain }) => domain ?? []);
  for (const domain of new Set(domains)) pbf.writeMessage(8, writeOperations, { domain, version: 1 });
  return pbf.finish();
}

function writeGraph({ name, nodes, constants, inputs, outputs }: OnnxGraph, pbf: PbfWriter): void {
  for (const node of nodes) pbf.writeMessage(1, writeNode, node);
  pbf.writeStringField(2, name);
  for (const constant of constants) pbf.writeMessage(5, writeConstant, constant);
  for (const port of inputs) pbf.writeMessage(11, writePort, port);
  for (const port of outputs) pbf.writeMessage(12, writePort, port);
}

function writeOperations({ domain, version }: { domain?: string; version: number }, pbf: PbfWriter): void {
  if (domain !== undefined) pbf.writeStringField(1, domain);
  pbf.writeVarintField(2, version);
}

function writeNode({ operation, inputs, outputs, attributes, domain }: Node, pbf: PbfWriter): void {
  for (const input of inputs) pbf.writeStringField(1, input);
  for (const output of outputs) pbf.writeStringField(2, output);
  pbf.writeStringField(3, outputs[0]!);
  pbf.writeStringField(4, operation);
  for (const attribute of Object.entries(attributes)) pbf.writeMessage(5, writeAttribute, attribute);
  if (domain !== undefined) pbf.writeStringField(7, domain);
}

function writeAttribute([name, value]: [string, Node['attributes'][string]], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if (typeof value === 'number') {
    pbf.writeVarintField(3, value);
    pbf.writeVarintField(20, attributeTypes.int);
  } else if ('float' in value) {
    pbf.writeFloatField(2, value.float);
    pbf.writeVarintField(20, attributeTypes.float);
  } else {
    for (const item of value) pbf.writeVarintField(8, item);
    pbf.writeVarintField(20, attributeTypes.ints);
  }
}

function writeConstant({ name, type, shape, bytes }: Constant, pbf: PbfWriter): void {
  for (const size of shape) pbf.writeVarintField(1, size);
  pbf.writeVarintField(2, elementTypes[type]);
  pbf.writeStringField(8, name);
  pbf.writeBytesField(9, bytes);
}

function writePort({ name, type, shape }: Port, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  const writeDimension = (size: number | string, dimension: PbfWriter) => {
    if (typeof size === 'number') dimension.writeVarintField(1, size);
    else dimension.writeStringField(2, size);
  };
  const writeShape = (_: undefined, sizes: PbfWriter) => {
    for (const size of shape) sizes.writeMessage(1, writeDimension, size);
  };
  const writeTensor = (_: undefined, tensor: PbfWriter) => {
    tensor.writeVarintField(1, elementTypes[type]);
    tensor.writeMessage(2, writeShape, undefined);
  };
  pbf.writeMessage(2, (_: undefined, typed: PbfWriter) => typed.writeMessage(1, writeTensor, undefined), undefined);
}
