import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accuracy, f1, matthews, metrics, pearson, spearman } from './metrics.ts';

const near = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) < 1e-12, `${found} is not ${expected}`);

// Wikipedia's example of a phi coefficient: 6 cats found, 2 missed, 1 dog taken for a cat, 3 dogs found.
const right = [...new Array<number>(8).fill(1), ...new Array<number>(4).fill(0)];
const predicted = [1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0];

test('scores of classes are those of their definitions', () => {
  near(accuracy(predicted, right), 9 / 12);
  near(f1(predicted, right), 12 / 15);
  near(matthews(predicted, right), 16 / Math.sqrt(7 * 8 * 4 * 5));
  // scikit-learn's documentation: matthews_corrcoef([+1, +1, +1, -1], [+1, -1, +1, +1]) is -0.33...
  near(matthews([1, 0, 1, 1], [1, 1, 1, 0]), -1 / 3);
});

test('a classifier that always says the same has no correlation, and no F1 where it never says yes', () => {
  near(matthews([1, 1, 1], [1, 0, 1]), 0);
  near(f1([0, 0, 0], [0, 0, 0]), 0);
});

test('correlations are those of SciPy, ties sharing their ranks', () => {
  // SciPy's documentation of pearsonr and spearmanr.
  near(pearson([1, 2, 3, 4, 5, 6, 7], [10, 9, 2.5, 6, 4, 3, 2]), -0.828503883588428);
  near(spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]), 0.8207826816681233);
  // Wikipedia's example of Spearman's correlation, without ties: 1 − 6·194/(10·99).
  const [iq, hours] = [
    [106, 86, 100, 101, 99, 103, 97, 113, 112, 110],
    [7, 0, 27, 50, 28, 29, 20, 12, 6, 17],
  ];
  near(spearman(iq!, hours!), 1 - (6 * 194) / 990);
  near(pearson([1, 1, 1], [1, 2, 3]), 0);
});

test('predictions need a true value each', () => {
  for (const metric of Object.values(metrics)) {
    for (const [predicted, right] of [
      [[1], [1, 0, 0]],
      [[1, 0], [1]],
      [[], []],
    ] as const)
      assert.throws(() => metric(predicted, right), { name: 'RangeError', message: /give one true value for each/ });
  }
  assert.throws(() => accuracy([1], [1, 0]), /^RangeError: metrics: 1 prediction and 2 true values; /);
});
