/** NumPy's element types, by the arrays that contain them. */
const descriptors = { Float32Array: '<f4', Int8Array: '|i1' } as const;

/** The length of a header is a multiple of this. */
const alignment = 64;

/**
 * The header of a `.npy` file for a NumPy array in row-major order.
 *
 * Source: NEP 1, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export function npyHeader(kind: keyof typeof descriptors, shape: readonly number[]): Buffer {
  const text = `{'descr': '${descriptors[kind]}', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  const before = 10; // magic, version and length
  const length = Math.ceil((before + text.length + 1) / alignment) * alignment - before;
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, length & 0xff, length >> 8]);
  return Buffer.concat([start, Buffer.from(`${text.padEnd(length - 1)}\n`, 'latin1')]);
}
