import assert from 'node:assert/strict';
import { test } from 'node:test';
import { philox4x32, seedKey } from '../random/index.ts';
import { NativeError, runtime, setNumThreads } from './native.ts';
import { scope } from './scope.ts';
import { Tensor } from './tensor.ts';

const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const ones = (count: number) => Tensor.full([count], 1);

/** Which elements dropout keeps. */
const kept = (x: Tensor) => Array.from(x.toFloats(), (value) => value !== 0);

/**
 * The words that dropout compares with its threshold: element 128·c + 16·w + i takes the 16-bit word w (the low half of
 * the first 32-bit word, its high half, the low half of the second, …) of Philox at counter 16·c + i.
 */
function documentedWords(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, element) => {
    const chunk = Math.floor(element / 128);
    const half = Math.floor((element % 128) / 16);
    const word = philox4x32([chunk * 16 + (element % 16), 0, 0, 0], seedKey(seed))[half >> 1]!;
    return half % 2 === 0 ? word & 0xffff : word >>> 16;
  });
}

scoped('the mask is the documented Philox stream, for seeds up to 2^53 − 1 and counts that fill no chunk', () => {
  for (const seed of [0, 1, 2 ** 32 + 5, 2 ** 53 - 1]) {
    for (const count of [1, 100, 128, 1001]) {
      const threshold = Math.round(0.1 * 65536);
      const expected = documentedWords(count, seed).map((word) => word >= threshold);
      assert.deepEqual(kept(ones(count).dropout(0.1, seed)), expected, `seed ${seed}, ${count} elements`);
    }
  }
});

scoped('what is kept is divided by the exact kept fraction, p being a multiple of 1/65,536', () => {
  const p = 6554 / 65536; // what 0.1 is rounded to
  const x = Tensor.from(
    Float64Array.of(1, -3, 0.25, 1e-300).map((value) => value),
    [4],
  );
  for (let seed = 0; seed < 20; seed++) {
    const [input, output] = [x.toArray() as Float64Array, x.dropout(0.1, seed).toArray() as Float64Array];
    output.forEach((y, i) => {
      const scaled = input[i]! * Math.fround(1 / (1 - p));
      assert.ok(y === 0 || Math.abs(y / scaled - 1) < 1e-15, `${y} is neither 0 nor ${scaled}`);
    });
  }
});

scoped('the kept fraction is 1 − p and the mean is preserved, within four standard errors', () => {
  const count = 1_000_000;
  for (const p of [0.1, 0.5, 0.9]) {
    const y = ones(count).dropout(p, 3);
    const fraction = kept(y).filter(Boolean).length / count;
    const standardError = Math.sqrt((p * (1 - p)) / count);
    assert.ok(Math.abs(fraction - (1 - p)) < 4 * standardError, `p = ${p}: ${fraction} kept`);
    const mean = y.to('float64').sum().item() / count;
    assert.ok(Math.abs(mean - 1) < (4 * standardError) / (1 - p), `p = ${p}: mean ${mean}`);
  }
});

scoped('one seed gives one mask, and the masks of different seeds are independent', () => {
  const count = 100_000;
  const mask = (seed: number) => kept(ones(count).dropout(0.5, seed));
  const first = mask(1);
  assert.deepEqual(mask(1), first);
  for (const seed of [2, 2 ** 32 + 1]) {
    const other = mask(seed);
    const same = first.filter((isKept, i) => isKept === other[i]).length / count;
    assert.ok(Math.abs(same - 0.5) < (4 * 0.5) / Math.sqrt(count), `seed ${seed}: ${same} agree`);
  }
});

scoped('the gradient goes through the same mask, scaled alike', () => {
  for (const dtype of ['float32', 'bfloat16', 'float64'] as const) {
    const x = Tensor.full([5, 77], 1, { dtype }).requiresGrad();
    const y = x.dropout(0.3, 11);
    const [gradient] = y.sum().grad([x]);
    assert.deepEqual(gradient!.toArray(), y.toArray());
    assert.equal(gradient!.dtype, dtype);
  }
});

scoped('the mask is the same in every dtype, shape and layout', () => {
  const expected = kept(ones(4096).dropout(0.25, 9));
  for (const dtype of ['bfloat16', 'float64'] as const) {
    assert.deepEqual(kept(ones(4096).to(dtype).reshape([16, 4, 64]).dropout(0.25, 9)), expected);
  }
  const transposed = Tensor.full([64, 64], 1).transpose(0, 1);
  assert.deepEqual(kept(transposed.dropout(0.25, 9)), expected);
});

scoped('bfloat16 results are the float32 ones rounded to the nearest, ties to even', () => {
  const x = Tensor.normal([10_000], { std: 1, seed: 4 }).to('bfloat16');
  const rounded = x.to('float32').dropout(0.1, 8).to('bfloat16');
  assert.deepEqual(x.dropout(0.1, 8).toArray(), rounded.toArray());
});

scoped('the result does not depend on the number of threads', () => {
  const { numThreads } = runtime();
  const x = Tensor.normal([300_001], { std: 1, seed: 4 });
  const results = [1, 2, 3].map((threads) => {
    setNumThreads(threads);
    return x.dropout(0.1, 8).toArray();
  });
  setNumThreads(numThreads);
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
});

scoped('p = 0 changes nothing and p = 1 is refused, as is what lies outside', () => {
  const x = Tensor.normal([50], { std: 1, seed: 4 });
  assert.deepEqual(x.dropout(0, 1).toArray(), x.toArray());
  for (const p of [1, 1.5, -0.1, Number.NaN]) {
    assert.throws(() => x.dropout(p, 1), /^NativeError: dropout\(\[50\] float32\): p is .* must be in \[0, 1\)/);
  }
});

scoped('dtypes that cannot be trained are refused', () => {
  assert.throws(() => ones(4).to('int32').dropout(0.5, 1), NativeError);
  assert.throws(() => ones(4).to('float16').dropout(0.5, 1), /no kernel for float16/);
});
