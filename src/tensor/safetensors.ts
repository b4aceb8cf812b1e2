import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { CheckpointError, counted } from '../errors/index.ts';
import type { TypedArray } from './native.ts';
import { scope } from './scope.ts';
import { bytesPerElement, type Device, type Dtype, Tensor } from './tensor.ts';

/** safetensors' names of the dtypes. */
const dtypeNames: Record<Dtype, string> = {
  float32: 'F32',
  float64: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int32: 'I32',
  int64: 'I64',
  uint8: 'U8',
  bool: 'BOOL',
};

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** A longer header (the format's own limit) means a file of another kind. */
const longestHeader = 100_000_000;

/** Bytes copied out of a tensor at a time. */
const pieceBytes = 2 ** 20;

/** Node reads and writes less than 2 GiB in one call. */
const longestCall = 2 ** 30;

/**
 * Writes tensors to a safetensors file, one at a time, so that no second copy of the model is made.
 * Source of the format: https://github.com/huggingface/safetensors.
 */
export function writeSafetensors(path: string, tensors: ReadonlyMap<string, Tensor>): void {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const [name, tensor] of tensors) {
    const { shape, dtype } = tensor;
    header[name] = { dtype: dtypeNames[dtype], shape, data_offsets: [offset, offset + tensor.bytes] };
    offset += tensor.bytes;
  }
  const json = JSON.stringify(header);
  const text = Buffer.from(json.padEnd(json.length + ((8 - (Buffer.byteLength(json) % 8)) % 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(path, 'w');
  try {
    writeAll(file, length);
    writeAll(file, text);
    const piece = new Uint8Array(pieceBytes);
    for (const tensor of tensors.values()) scope(() => writeTensor(file, tensor.toDevice('cpu').reshape([-1]), piece));
  } finally {
    closeSync(file);
  }
}

/**
 * Reads every tensor of a safetensors file; they belong to the caller.
 *
 * @throws CheckpointError if the file is not of that format or is truncated.
 */
export function readSafetensors(path: string, device: Device = 'cpu'): Map<string, Tensor> {
  const file = openSync(path, 'r');
  try {
    const { entries, start } = readHeader(path, file);
    return new Map(
      Object.entries(entries).map(([name, entry]): [string, Tensor] => {
        const [begin, end] = entry.data_offsets;
        const bytes = readAll(path, file, start + begin, end - begin);
        const dtype = dtypeOf(path, name, entry);
        return [name, Tensor.from(asTyped(bytes, dtype), entry.shape, { dtype, device })];
      }),
    );
  } finally {
    closeSync(file);
  }
}

/**
 * The name of the first float32 tensor of a safetensors file that contains a NaN or an infinity.
 *
 * @throws CheckpointError if the file is not of that format or is truncated.
 */
export function firstNonFinite(path: string): string | undefined {
  const file = openSync(path, 'r');
  try {
    const { entries, start } = readHeader(path, file);
    const floats = Object.entries(entries).filter(([, { dtype }]) => dtype === dtypeNames.float32);
    return floats.find(
      ([
        ,
        {
          data_offsets: [begin, end],
        },
      ]) => {
        for (let at = begin; at < end; at += pieceBytes) {
          const piece = readAll(path, file, start + at, Math.min(pieceBytes, end - at));
          if (holdsNonFinite(new Uint32Array(piece.buffer))) return true;
        }
        return false;
      },
    )?.[0];
  } finally {
    closeSync(file);
  }
}

/** Whether a float32 among these, given by their bits, is a NaN or an infinity: every bit of its exponent is 1. */
function holdsNonFinite(bits: Uint32Array): boolean {
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7f800000) === 0x7f800000) return true; // some() takes 20 times as long
  return false;
}

function readHeader(path: string, file: number): { entries: Record<string, Entry>; start: number } {
  const size = fstatSync(file).size;
  const length = size < 8 ? 0 : Number(readAll(path, file, 0, 8).readBigUInt64LE());
  if (length < 2 || length > Math.min(size - 8, longestHeader))
    throw broken(path, 'its header is not a safetensors header');
  const entries = parseHeader(path, readAll(path, file, 8, length).toString('utf8'));
  // The format: tensors follow one another and fill the file, without gaps or overlaps.
  const inOrder = Object.entries(entries).sort(([, { data_offsets: a }], [, { data_offsets: b }]) => {
    return a[0] - b[0] || a[1] - b[1];
  });
  let filled = 0;
  for (const [name, entry] of inOrder) {
    const [begin, end] = entry.data_offsets;
    const bytes = entry.shape.reduce((product, n) => product * n, bytesPerElement(dtypeOf(path, name, entry)));
    if (begin !== filled || end - begin !== bytes) {
      throw broken(path, `tensor ${name} is at bytes ${begin} to ${end}, not at ${filled} to ${filled + bytes}`);
    }
    filled = end;
  }
  const found = size - 8 - length;
  if (filled !== found)
    throw broken(path, `its header describes ${counted(filled, 'byte')} of tensors, but it has ${found}`);
  return { entries, start: 8 + length };
}

function parseHeader(path: string, text: string): Record<string, Entry> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw broken(path, 'its header is not JSON', cause);
  }
  if (typeof header !== 'object' || header === null) throw broken(path, 'its header is not a JSON object');
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  for (const [name, entry] of entries) {
    if (!isEntry(entry)) throw broken(path, `its header describes tensor ${name} as ${JSON.stringify(entry)}`);
  }
  return Object.fromEntries(entries) as Record<string, Entry>;
}

function isEntry(value: unknown): value is Entry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Partial<Record<keyof Entry, unknown>>;
  const areCounts = (list: unknown) => Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  return typeof dtype === 'string' && areCounts(shape) && areCounts(offsets) && (offsets as unknown[]).length === 2;
}

function dtypeOf(path: string, name: string, entry: Entry): Dtype {
  const dtype = (Object.keys(dtypeNames) as Dtype[]).find((key) => dtypeNames[key] === entry.dtype);
  if (dtype === undefined) throw broken(path, `tensor ${name} has dtype ${entry.dtype}, which taper does not read`);
  return dtype;
}

function asTyped({ buffer, byteOffset, byteLength }: Buffer, dtype: Dtype): TypedArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case 'float64':
      return new Float64Array(buffer, byteOffset, byteLength / 8);
    case 'int32':
      return new Int32Array(buffer, byteOffset, byteLength / 4);
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, byteLength / 8);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer, byteOffset, byteLength);
    default:
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
  }
}

/** Chunk by chunk through one buffer, so that saving needs almost no memory. */
function writeTensor(file: number, tensor: Tensor, piece: Uint8Array): void {
  const { bytes } = tensor;
  for (let start = 0; start < bytes; start += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bytes - start));
    tensor.copyBytes(start, part);
    writeAll(file, part);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, Math.min(bytes.length - done, longestCall));
}

function readAll(path: string, file: number, position: number, length: number): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(length)); // of its own, so that typed arrays are aligned
  for (let done = 0; done < length; ) {
    const got = readSync(file, bytes, done, Math.min(length - done, longestCall), position + done);
    if (got === 0) throw broken(path, 'it is truncated');
    done += got;
  }
  return bytes;
}

function broken(path: string, why: string, cause?: unknown): CheckpointError {
  return new CheckpointError(`${path}: ${why}; use another checkpoint or copy this one again`, { cause });
}
