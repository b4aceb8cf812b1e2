import assert from 'node:assert/strict';
import test from 'node:test';
import { scope, Tensor } from '../../tensor/index.ts';
import { putValues, quantised } from './values.ts';

test('8 bits are a float16 scale of the largest over 127, and steps of it, halves rounded away from zero', () => {
  const block = Float32Array.from({ length: 32 }, (_, i) => i / 2 - 8);
  block[31] = -127; // the scale is 1
  const bytes = Buffer.from(quantised(block));
  assert.equal(bytes.length, 34);
  assert.equal(bytes.readUInt16LE(), 0x3c00);
  for (const [i, x] of block.entries()) assert.equal(bytes.readInt8(2 + i), Math.sign(x) * Math.round(Math.abs(x)));
});

test('a block of zeros stays zeros, and each block has its own scale', () => {
  const bytes = Buffer.from(quantised(Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? 0 : 254))));
  assert.ok(bytes.subarray(0, 34).every((byte) => byte === 0));
  assert.equal(bytes.readUInt16LE(34), 0x4000); // 2
  assert.ok(bytes.subarray(36).every((byte) => byte === 127));
});

test('a tensor larger than the buffer is written completely, in each type', () => {
  const count = 2 ** 18 + 96; // the buffer holds 2^18 of float32
  const numbers = Float32Array.from({ length: count }, (_, i) => (i % 255) - 127);
  for (const [type, read] of [
    ['F32', (bytes: Buffer, i: number) => bytes.readFloatLE(4 * i)],
    ['Q8_0', (bytes: Buffer, i: number) => bytes.readInt8(34 * Math.floor(i / 32) + 2 + (i % 32))],
  ] as const) {
    const pieces: Buffer[] = [];
    scope(() => putValues(Tensor.from(numbers, [1, count]), type, (bytes) => pieces.push(Buffer.from(bytes))));
    assert.equal(pieces.length, 2);
    const bytes = Buffer.concat(pieces);
    const ends = [0, count - 1].map((i) => read(bytes, i));
    const scales = [0, count - 32].map((i) => Math.max(...numbers.subarray(i, i + 32).map(Math.abs)) / 127);
    const expected = [numbers[0]!, numbers[count - 1]!];
    assert.deepEqual(ends, type === 'F32' ? expected : expected.map((x, i) => Math.round(x / scales[i]!)));
  }
});
