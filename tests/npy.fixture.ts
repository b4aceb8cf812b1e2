import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** An array of NumPy, a row for each text. */
export function readNpy(file: string): Float32Array[] {
  const bytes = readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.subarray(10, start).toString();
  assert.equal(start % 64, 0);
  const [rows, D] = /\((\d+), (\d+)\)/.exec(header)!.slice(1).map(Number) as [number, number];
  const body = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
  const values = header.includes("'|i1'") ? Float32Array.from(new Int8Array(body)) : new Float32Array(body);
  assert.equal(values.length, rows * D);
  return Array.from({ length: rows }, (_, i) => values.slice(i * D, (i + 1) * D));
}
