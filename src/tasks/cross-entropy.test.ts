import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scope, Tensor } from '../tensor/index.ts';
import { balancedWeights, type LabelLearning, labelLoss } from './cross-entropy.ts';

const logits = [
  [0.3, -1.2, 2],
  [1.5, 0.2, -0.4],
  [-0.7, 0.9, 0.1],
];
const targets = [2, 1, 0];

const found = (learning: LabelLearning) =>
  scope(() => labelLoss(Tensor.from(Float32Array.from(logits.flat()), [3, 3]), targets, learning).item());
const near = (value: number, expected: number) =>
  assert.ok(Math.abs(value - expected) < 1e-6, `${value} is not ${expected}`);

/** By the formula of its doc comment. */
function expected({ smoothing, weights = [1, 1, 1] }: LabelLearning): number {
  const rows = logits.map((row, i) => {
    const total = Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0));
    const costs = row.map((z) => total - z);
    const mean = costs.reduce((a, b) => a + b) / costs.length;
    return weights[targets[i]!]! * ((1 - smoothing) * costs[targets[i]!]! + smoothing * mean);
  });
  return rows.reduce((a, b) => a + b) / targets.reduce((sum, y) => sum + weights[y]!, 0);
}

test('labels are learned by the cross-entropy with smoothing and weights', () => {
  for (const smoothing of [0, 0.1, 0.5]) {
    for (const weights of [undefined, [1, 2, 0.5]])
      near(found({ smoothing, weights }), expected({ smoothing, weights }));
  }
});

test("balanced weights are scikit-learn's: N / (C · n_c)", () => {
  assert.deepEqual(balancedWeights(3, [0, 0, 0, 1, 1, 2]), [6 / 9, 1, 2]);
  assert.deepEqual(balancedWeights(2, [0]), [0.5, 1]);
});

test('a target that is no label has no weight', () => {
  for (const target of [5, -1, 0.5, Number.NaN]) {
    const message = `targets: ${target} is not in 0 … 1`;
    assert.throws(() => balancedWeights(2, [0, 1, target]), { name: 'RangeError', message });
  }
});
