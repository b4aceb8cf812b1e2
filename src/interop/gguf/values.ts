import { Tensor } from '../../tensor/index.ts';
import { type TensorType, tensorTypes } from './file.ts';

/** Bytes copied out of a tensor at a time: whole blocks of each type. */
const pieceBytes = 2 ** 20;

/** The bytes of a float32 tensor in a type of GGUF, chunk by chunk. */
export function putValues(tensor: Tensor, type: TensorType, put: (bytes: Uint8Array) => void): void {
  const flat = tensor.reshape([-1]);
  const held = type === 'F16' ? flat.to('float16') : flat;
  const piece = new Uint8Array(pieceBytes);
  for (let start = 0; start < held.bytes; start += pieceBytes) {
    const part = piece.subarray(0, Math.min(pieceBytes, held.bytes - start));
    held.copyBytes(start, part);
    put(type === 'Q8_0' ? quantised(new Float32Array(part.buffer, 0, part.length / 4)) : part);
  }
}

/**
 * Numbers in 8 bits, in blocks of 32: a float16 scale of `max |x| / 127`, then each `x / scale`, rounded.
 * Source: `quantize_row_q8_0_ref` of ggml, which divides by the scale before rounding the scale to float16.
 */
export function quantised(x: Float32Array): Uint8Array {
  const { elements, bytes } = tensorTypes.Q8_0;
  const scales = new Float32Array(x.length / elements);
  const out = new Uint8Array(scales.length * bytes);
  for (const b of scales.keys()) {
    const block = x.subarray(b * elements, (b + 1) * elements);
    const scale = Math.fround(block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    scales[b] = scale;
    for (let i = 0; i < elements; i++) {
      const scaled = Math.fround(block[i]! * inverse);
      out[b * bytes + 2 + i] = Math.trunc(scaled + Math.sign(scaled) / 2); // half away from zero
    }
  }
  using exact = Tensor.from(scales, [scales.length]);
  using halves = exact.to('float16');
  const view = new DataView(out.buffer);
  for (const [b, bits] of halves.toArray().entries()) view.setUint16(b * bytes, Number(bits), true);
  return out;
}
