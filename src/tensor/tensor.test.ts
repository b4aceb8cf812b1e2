import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NativeError, runtime, setNumThreads, type TypedArray } from './native.ts';
import { scope } from './scope.ts';
import { type Dtype, Tensor } from './tensor.ts';

const floats = (values: number[], shape = [values.length]) => Tensor.from(Float64Array.from(values), shape);
const ints = (values: number[], shape = [values.length]) => Tensor.from(BigInt64Array.from(values, BigInt), shape);

/** Runs a test in a scope of its own. */
const scoped = (name: string, body: () => void) => test(name, () => scope(body));

function assertClose(tensor: Tensor, expected: readonly number[], shape: readonly number[] = [expected.length]): void {
  assert.deepEqual(tensor.shape, shape);
  const found = Array.from(tensor.toArray() as Float64Array);
  found.forEach((x, i) => {
    assert.ok(Math.abs(x - expected[i]!) < 1e-12, `element ${i}: ${x}, expected ${expected[i]}`);
  });
}

scoped('numbers of every dtype come back as they went in', () => {
  const examples: [Dtype, TypedArray][] = [
    ['float32', Float32Array.of(0, -0, 1.5, -3.4e38, Number.POSITIVE_INFINITY, 1.4e-45)],
    ['float64', Float64Array.of(0, -0, Math.PI, -1.7e308, Number.NEGATIVE_INFINITY, 5e-324)],
    ['int32', Int32Array.of(0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 7)],
    ['int64', BigInt64Array.of(0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n)],
    ['uint8', Uint8Array.of(0, 1, 127, 128, 254, 255)],
    ['bool', Uint8Array.of(0, 1, 1, 0, 1, 0)],
    ['bfloat16', Uint16Array.of(0, 0x8000, 0x3f80, 0x7f80, 0x7fc1, 0x0001)],
    ['float16', Uint16Array.of(0, 0x8000, 0x3c00, 0x7c00, 0x7e01, 0x0001)],
  ];
  for (const [dtype, data] of examples) {
    for (const shape of [[6], [2, 3], [1, 3, 1, 2]]) {
      const tensor = Tensor.from(data, shape, { dtype });
      assert.equal(tensor.dtype, dtype);
      assert.equal(tensor.device, 'cpu');
      assert.deepEqual(tensor.shape, shape);
      assert.deepEqual(tensor.toArray(), data, dtype);
    }
  }
});

scoped('without a dtype, a typed array gets the one of its own elements', () => {
  const dtypeOf = (data: TypedArray) => Tensor.from(data, [1]).dtype;
  assert.equal(dtypeOf(Float32Array.of(1)), 'float32');
  assert.equal(dtypeOf(Float64Array.of(1)), 'float64');
  assert.equal(dtypeOf(Int32Array.of(1)), 'int32');
  assert.equal(dtypeOf(BigInt64Array.of(1n)), 'int64');
  assert.equal(dtypeOf(Uint16Array.of(1)), 'bfloat16');
  assert.equal(dtypeOf(Uint8Array.of(1)), 'uint8');
});

scoped('a tensor is a copy: of a view from its own place, and of a strided tensor in row-major order', () => {
  const data = Float32Array.of(9, 1, 2, 3, 4, 5, 6, 9);
  const tensor = Tensor.from(data.subarray(1, 7), [2, 3]);
  data.fill(0);
  assert.deepEqual(tensor.toArray(), Float32Array.of(1, 2, 3, 4, 5, 6));
  assert.deepEqual(tensor.transpose(0, 1).toArray(), Float32Array.of(1, 4, 2, 5, 3, 6));
  (tensor.toArray() as Float32Array).fill(0);
  assert.equal(tensor.sum().item(), 21);
});

scoped('a tensor may be empty, or a single number without dimensions', () => {
  const empty = Tensor.from(new Float32Array(0), [0, 3]);
  assert.deepEqual(empty.toArray(), new Float32Array(0));
  const single = Tensor.from(Float64Array.of(2.5), []);
  assert.deepEqual(single.shape, []);
  assert.equal(single.item(), 2.5);
});

scoped('an array of the wrong size, or of other elements than the dtype, is refused', () => {
  assert.throws(() => Tensor.from(new Float32Array(3), [2]), /fromArray: shape \[2\] of float32 needs 8 bytes.*has 12/);
  assert.throws(() => Tensor.from(new Float32Array(2), [2, 2]), NativeError);
  assert.throws(() => Tensor.from(new Float32Array(2), [-2]), NativeError);
  assert.throws(
    () => Tensor.from(new Float32Array(4), [2], { dtype: 'float64' }),
    /Float32Array contains float32, not/,
  );
  assert.throws(() => Tensor.from(new Uint16Array(4), [2], { dtype: 'int32' }), /bfloat16 or float16, not int32/);
});

scoped('casts round to the nearest number, ties to even, and toFloats widens', () => {
  // 1 + 2^-8 and 1 + 3·2^-8 lie halfway between bfloat16 numbers, which are 2^-7 apart there.
  const x = floats([1, -2, Math.PI, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 65504]);
  assert.deepEqual(x.to('bfloat16').toArray(), Uint16Array.of(0x3f80, 0xc000, 0x4049, 0x3f80, 0x3f82, 0x4780));
  assert.deepEqual(x.to('float16').toArray(), Uint16Array.of(0x3c00, 0xc000, 0x4248, 0x3c04, 0x3c0c, 0x7bff));
  assert.deepEqual(x.to('bfloat16').toFloats(), Float32Array.of(1, -2, 3.140625, 1, 1 + 2 ** -6, 65536));
  assert.deepEqual(x.to('int64').toArray(), BigInt64Array.of(1n, -2n, 3n, 1n, 1n, 65504n));
  assert.deepEqual(Tensor.from(Int32Array.of(0, 3), [2]).to('bool').toArray(), Uint8Array.of(0, 1));
});

scoped('element-wise operations give hand-computed numbers', () => {
  const x = floats([1, 2, 3, 4], [2, 2]);
  assertClose(x.add(floats([10, 20]), -0.5), [-4, -8, -2, -6], [2, 2]);
  assertClose(x.add(3, 2), [7, 8, 9, 10], [2, 2]);
  assertClose(x.mul(floats([10, 100], [2, 1])), [10, 20, 300, 400], [2, 2]);
  assertClose(x.mul(-0.5), [-0.5, -1, -1.5, -2], [2, 2]);
  assertClose(x.div(floats([2, 8])), [0.5, 0.25, 1.5, 0.5], [2, 2]);
  assertClose(floats([4, 2.25]).sqrt(), [2, 1.5]);
  assertClose(floats([0, 1]).tanh(), [0, 0.761594155955765]);
});

scoped('gelu is the exact one: x·Φ(x) with the normal distribution function', () => {
  // Φ(1) = 0.8413447460685429 and Φ(2) = 0.9772498680518208; the tanh approximation differs in the fourth digit.
  assertClose(floats([0, 1, -1, 2]).gelu(), [0, 0.8413447460685429, -0.15865525393145707, 2 * 0.9772498680518208]);
});

scoped('gelu by tanh is x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))', () => {
  const xs = [0, 1, -1, 2, -30, 30];
  const expected = xs.map((x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))));
  assertClose(floats(xs).gelu('tanh'), expected);
});

scoped('in causal attention a position sees what it would see if the sequence ended there', () => {
  const qkv = Tensor.normal([2, 5, 12], { std: 1, seed: 3 }).to('float64');
  const causal = qkv.attention(2, { causal: true });
  for (let length = 1; length <= 5; length++) {
    const shorter = qkv.narrow(1, 0, length).attention(2);
    assertClose(
      causal.select(1, length - 1).reshape([-1]),
      Array.from(shorter.select(1, length - 1).toArray() as Float64Array),
    );
  }
});

scoped('softmax, layerNorm and norm give hand-computed numbers', () => {
  // exp(1) : exp(2) : exp(3); columns of equal numbers share alike.
  const thirds = [0.09003057317038046, 0.24472847105479764, 0.6652409557748219];
  assertClose(floats([1, 2, 3]).softmax(0), thirds);
  assertClose(floats([5, 1000, 5, 1000], [2, 2]).softmax(0), [0.5, 0.5, 0.5, 0.5], [2, 2]);
  // 1, 2, 3, 4 has mean 2.5 and variance 1.25; with eps 0.75 the root is √2.
  const normed = floats([1, 2, 3, 4]).layerNorm(floats([1, 1, 2, 2]), floats([0, 0, 0, 10]), 0.75);
  const half = Math.SQRT1_2 / 2;
  assertClose(normed, [-3 * half, -half, 2 * half, 6 * half + 10]);
  assertClose(floats([3, 0, 0, -4], [2, 2]).norm(), [5], []);
});

scoped('products give hand-computed numbers', () => {
  const x = floats([1, 2, 3, 4], [2, 2]);
  const weight = floats([1, 0, 0, 1, 1, 1], [3, 2]);
  assertClose(x.linear(weight), [1, 2, 3, 3, 4, 7], [2, 3]);
  assertClose(x.linear(weight, floats([10, 20, 30])), [11, 22, 33, 13, 24, 37], [2, 3]);
  const batched = floats([1, 0, 0, 1, 2, 0, 0, 2], [2, 2, 2]);
  assertClose(batched.linear(x), [1, 3, 2, 4, 2, 6, 4, 8], [2, 2, 2]);
});

scoped('crossEntropy is −log softmax of the target, for each row, summed or averaged', () => {
  const logits = floats([0, 0, 0, Math.log(3)], [2, 2]); // probabilities ½ ½ and ¼ ¾
  const targets = ints([1, 0]);
  assertClose(logits.crossEntropy(targets, 'none'), [Math.log(2), Math.log(4)]);
  assertClose(logits.crossEntropy(targets, 'sum'), [Math.log(8)], []);
  assertClose(logits.crossEntropy(targets), [Math.log(8) / 2], []);
});

scoped('look-ups, views and comparisons pick the right elements', () => {
  const x = floats([1, 2, 3, 4, 5, 6], [2, 3]);
  assertClose(x.embedding(ints([1, 0, 1])), [4, 5, 6, 1, 2, 3, 4, 5, 6], [3, 3]);
  assertClose(x.embedding(Tensor.from(Int32Array.of(1), [1, 1])), [4, 5, 6], [1, 1, 3]);
  assertClose(x.indexSelect(1, ints([2, 0])), [3, 1, 6, 4], [2, 2]);
  assertClose(x.select(1, 2), [3, 6], [2]);
  assertClose(x.narrow(1, 1, 2), [2, 3, 5, 6], [2, 2]);
  assertClose(x.reshape([3, -1]), [1, 2, 3, 4, 5, 6], [3, 2]);
  assertClose(x.transpose(0, 1), [1, 4, 2, 5, 3, 6], [3, 2]);
  const scores = floats([3, 9, 1, 8, 2, 7], [2, 3]);
  assert.deepEqual(scores.argmax(-1).toArray(), BigInt64Array.of(1n, 0n));
  const { values, indices } = scores.topk(2);
  assertClose(values, [9, 3, 8, 7], [2, 2]);
  assert.deepEqual(indices.toArray(), BigInt64Array.of(1n, 0n, 0n, 2n));
});

scoped('operations in place change the tensor and are not recorded', () => {
  const leaf = Tensor.full([2], 1).requiresGrad();
  leaf.add_(Tensor.full([2], 10), 0.5).mul_(3);
  assert.deepEqual(leaf.toArray(), Float32Array.of(18, 18));
  leaf.copy_(floats([4, 5]));
  assert.deepEqual(leaf.toArray(), Float32Array.of(4, 5));
  assert.deepEqual(leaf.mul(2).sum().grad([leaf])[0]!.toArray(), Float32Array.of(2, 2));
});

scoped('grad frees the recorded graph: asking twice is an error', () => {
  const x = Tensor.full([2], 3).requiresGrad();
  const loss = x.mul(x).sum();
  loss.grad([x]);
  assert.throws(() => loss.grad([x]), /^NativeError: grad\(.*second time/);
});

scoped('normal numbers have the mean and deviation asked for, and depend only on the seed', () => {
  const draw = (seed: number) => Tensor.normal([100, 1000], { mean: 3, std: 2, seed }).toFloats();
  const [first, again, other] = [draw(5), draw(5), draw(6)];
  assert.deepEqual(first, again);
  assert.notDeepEqual(first, other);
  const count = first.length;
  const mean = first.reduce((sum, x) => sum + x, 0) / count;
  const deviation = Math.sqrt(first.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count);
  assert.ok(Math.abs(mean - 3) < (4 * 2) / Math.sqrt(count), `mean ${mean}`);
  assert.ok(Math.abs(deviation - 2) < (4 * 2) / Math.sqrt(2 * count), `deviation ${deviation}`);
});

scoped('an error names the operation and both shapes, in one line', () => {
  const x = Tensor.zeros([2, 3]);
  const y = Tensor.zeros([4, 5], { dtype: 'float64' });
  const mistakes: Record<string, () => Tensor> = {
    add: () => x.add(y),
    linear: () => x.linear(y),
    mul: () => x.mul(y),
    crossEntropy: () => x.crossEntropy(y),
    copy_: () => x.copy_(y),
  };
  for (const [operation, mistake] of Object.entries(mistakes)) {
    assert.throws(mistake, (error: Error) => {
      assert.ok(error instanceof NativeError);
      const start = `${operation}([2, 3] float32, [4, 5] float64): `;
      assert.ok(error.message.startsWith(start) && !error.message.includes('\n'), error.message);
      return true;
    });
  }
  assert.throws(
    () => x.layerNorm(y.select(0, 0), y.select(0, 0), 1e-5),
    /^NativeError: layerNorm\(\[2, 3\] float32, \[5\]/,
  );
  assert.throws(() => x.reshape([4]), /^NativeError: reshape\(\[2, 3\] float32\)/);
  assert.throws(() => x.softmax(2), /^NativeError: softmax\(\[2, 3\] float32\)/);
  assert.throws(() => x.embedding(ints([2])), /^NativeError: embedding.*out of range/);
  assert.throws(() => x.item(), /^NativeError: item\(\[2, 3\] float32\)/);
});

scoped('an error while numbers are copied out is an error, not the end of the process', () => {
  // A meta tensor has a shape and no memory; on a GPU, earlier failures show at this point.
  assert.throws(() => Tensor.zeros([2], { device: 'meta' }).toArray(), /^NativeError: toArray: /);
});

test('setNumThreads sets what runtime tells', () => {
  const { numThreads, torchVersion } = runtime();
  setNumThreads(1);
  assert.equal(runtime().numThreads, 1);
  setNumThreads(numThreads);
  assert.equal(runtime().numThreads, numThreads);
  assert.match(torchVersion, /^\d+\.\d+/);
});
