import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NativeError } from './native.ts';
import { noGrad, scope } from './scope.ts';
import { Tensor } from './tensor.ts';

const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const matrix = (...rows: number[][]) => Tensor.from(Float32Array.from(rows.flat()), [rows.length, rows[0]!.length]);
const indices = (...rows: number[]) => Tensor.from(Int32Array.from(rows), [rows.length]).to('int64');

scoped('mapRows changes the given rows, and leaves the others', () => {
  const x = matrix([1, 2], [3, 4], [5, 6]);
  const y = x.mapRows(indices(2, 0), (rows) => {
    assert.deepEqual([...rows.toFloats()], [5, 6, 1, 2]);
    return rows.mul(10);
  });
  assert.deepEqual([...y.toFloats()], [10, 20, 3, 4, 50, 60]);
  assert.deepEqual([...x.toFloats()], [1, 2, 3, 4, 5, 6]);
});

scoped('its gradient is that of f in these rows and 1 in the others', () => {
  const x = matrix([1, 2], [3, 4], [5, 6]).requiresGrad();
  const weight = matrix([2, 3]).requiresGrad();
  // y = (x₀·w, x₁, x₂·w) elementwise; L = Σ cᵢⱼ·yᵢⱼ²/2, so dL/dy = c·y.
  const c = matrix([1, 1], [2, 3], [5, 7]);
  const y = x.mapRows(indices(0, 2), (rows) => rows.mul(weight));
  const loss = y.mul(y).mul(c).sum().mul(0.5);
  const [dx, dWeight] = loss.grad([x, weight]);
  const [dy0, dy1, dy2] = [
    [2, 6],
    [2 * 3, 3 * 4],
    [5 * 10, 7 * 18],
  ] as const;
  assert.deepEqual([...dx!.toFloats()], [dy0[0] * 2, dy0[1] * 3, ...dy1, dy2[0] * 2, dy2[1] * 3]);
  assert.deepEqual([...dWeight!.toFloats()], [dy0[0] * 1 + dy2[0] * 5, dy0[1] * 2 + dy2[1] * 6]);
});

scoped('x may also be used elsewhere', () => {
  const x = matrix([1], [2]).requiresGrad();
  const y = x.mapRows(indices(1), (rows) => rows.mul(3));
  const [dx] = y.add(x.mul(10)).sum().grad([x]);
  assert.deepEqual([...dx!.toFloats()], [11, 13]);
  assert.deepEqual([...x.toFloats()], [1, 2]);
});

scoped('without gradients it is the same', () => {
  const x = matrix([1], [2]);
  const y = noGrad(() => x.mapRows(indices(1), (rows) => rows.mul(3)));
  assert.deepEqual([...y.toFloats()], [1, 6]);
});

scoped('rows of another shape, and row numbers out of range, are refused', () => {
  const x = matrix([1, 2], [3, 4]);
  const refused = (run: () => Tensor, what: RegExp) =>
    assert.throws(run, (e) => e instanceof NativeError && what.test(e.message));
  refused(() => x.mapRows(indices(0), () => matrix([1, 2, 3])), /putRows.*the rows must have the shape/s);
  refused(() => x.mapRows(indices(0), () => matrix([1, 2], [3, 4])), /putRows/);
  refused(() => x.mapRows(indices(2), (rows) => rows), /takeRows/);
  refused(() => x.mapRows(Tensor.from(Int32Array.of(0), [1]), (rows) => rows), /takeRows.*int64/s);
});
