import { closeSync, openSync, writeFileSync } from 'node:fs';

// GGUF files, version 3, in little-endian order. The library for it, @huggingface/gguf, writes the fields but not the list of tensors.
// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

/** GGUF's numbers for field types. */
const valueTypes = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

/** The tensor types: their number, the elements of a block and its bytes. */
export const tensorTypes = {
  F32: { number: 0, elements: 1, bytes: 4 },
  F16: { number: 1, elements: 1, bytes: 2 },
  Q8_0: { number: 8, elements: 32, bytes: 34 },
} as const;
export type TensorType = keyof typeof tensorTypes;

const version = 3;
/** Tensors begin at multiples of it. */
const alignment = 32;

/** A field: a number is a 32-bit unsigned integer, a `{ float }` a float32. */
export type Field = string | boolean | number | { float: number } | readonly string[] | Int32Array;

/** A tensor of a file, whose rows are its last dimension; `write` makes its bytes and passes them on, chunk by chunk. */
export interface GgufTensor {
  name: string;
  shape: readonly number[];
  type: TensorType;
  write(put: (bytes: Uint8Array) => void): void;
}

/** Writes a GGUF file, one tensor at a time, so that no second copy of the model is made. */
export function writeGguf(path: string, fields: Readonly<Record<string, Field>>, tensors: readonly GgufTensor[]): void {
  const file = openSync(path, 'w');
  try {
    const pad = (bytes: number) => writeFileSync(file, Buffer.alloc(aligned(bytes) - bytes));
    const head = header(fields, tensors);
    writeFileSync(file, head);
    pad(head.length);
    for (const tensor of tensors) {
      tensor.write((bytes) => writeFileSync(file, bytes));
      pad(bytesOf(tensor));
    }
  } finally {
    closeSync(file);
  }
}

function header(fields: Readonly<Record<string, Field>>, tensors: readonly GgufTensor[]): Buffer {
  const entries = Object.entries(fields);
  let offset = 0;
  const infos = tensors.map((tensor) => {
    const dimensions = tensor.shape.toReversed();
    const { number } = tensorTypes[tensor.type];
    const info = [
      text(tensor.name),
      uint32(dimensions.length),
      ...dimensions.map(uint64),
      uint32(number),
      uint64(offset),
    ];
    offset += aligned(bytesOf(tensor));
    return Buffer.concat(info);
  });
  return Buffer.concat([
    Buffer.from('GGUF'),
    uint32(version),
    uint64(tensors.length),
    uint64(entries.length),
    ...entries.map(([key, field]) => Buffer.concat([text(key), value(field)])),
    ...infos,
  ]);
}

/** A field's type and value. */
function value(field: Field): Buffer {
  const typed = (type: keyof typeof valueTypes, ...bytes: Buffer[]) =>
    Buffer.concat([uint32(valueTypes[type]), ...bytes]);
  const list = (type: keyof typeof valueTypes, items: readonly Buffer[]) =>
    typed('array', uint32(valueTypes[type]), uint64(items.length), ...items);
  if (typeof field === 'string') return typed('string', text(field));
  if (typeof field === 'boolean') return typed('bool', Buffer.of(field ? 1 : 0));
  if (typeof field === 'number') return typed('uint32', uint32(field));
  if (field instanceof Int32Array) return list('int32', Array.from(field, int32));
  if ('float' in field) return typed('float32', float32(field.float));
  return list('string', field.map(text));
}

function bytesOf({ shape, type }: GgufTensor): number {
  const { elements, bytes } = tensorTypes[type];
  return (shape.reduce((product, n) => product * n, 1) / elements) * bytes;
}

const aligned = (bytes: number) => Math.ceil(bytes / alignment) * alignment;

function text(string: string): Buffer {
  const bytes = Buffer.from(string);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function packed(size: number, write: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(size);
  write(bytes);
  return bytes;
}

const uint32 = (number: number) => packed(4, (bytes) => bytes.writeUInt32LE(number));
const int32 = (number: number) => packed(4, (bytes) => bytes.writeInt32LE(number));
const float32 = (number: number) => packed(4, (bytes) => bytes.writeFloatLE(number));
const uint64 = (number: number) => packed(8, (bytes) => bytes.writeBigUInt64LE(BigInt(number)));
