import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainSettings, textKind } from './kind.ts';
import { naiveBayes } from './naive-bayes.ts';

test('the example of Introduction to Information Retrieval (13.1): three times Chinese outweighs Tokyo and Japan', () => {
  const [other, china] = [0, 1];
  const predict = naiveBayes(
    [
      { text: 'Chinese Beijing Chinese', label: china },
      { text: 'Chinese Chinese Shanghai', label: china },
      { text: 'Chinese Macao', label: china },
      { text: 'Tokyo Japan Chinese', label: other },
    ],
    2,
  );
  // China: 3/4 · (3/7)³ · (1/14)² ≈ 0.0003; other: 1/4 · (2/9)⁵ ≈ 0.0001.
  assert.equal(predict('Chinese Chinese Chinese Tokyo Japan'), china);
  // China: 3/4 · (3/7)² · (1/14)² ≈ 0.00070; other: 1/4 · (2/9)⁴ ≈ 0.00061.
  assert.equal(predict('Chinese, chinese: TOKYO Japan?'), china);
  // China: 3/4 · 3/7 · (1/14)² ≈ 0.0016; other: 1/4 · (2/9)³ ≈ 0.0027.
  assert.equal(predict('Chinese Tokyo Japan'), other);
  assert.equal(predict('Peking'), china, 'only the priors count for a word that is not in training');
});

test('labels are compared with the most frequent one and, for single texts, naive Bayes; numbers with their mean', () => {
  const made = { ...plainSettings, metrics: [], written: String };
  const labels = textKind({ kind: 'single-label', labels: ['ham', 'spam'] }, made);
  const predictions = (texts: readonly string[]) =>
    labels.baselines!([
      { texts: ['cheap pills', ...texts], target: 1 },
      { texts: ['lunch at noon', ...texts], target: 0 },
      { texts: ['noon', ...texts], target: 0 },
    ]).map(({ name, predict }) => [name, predict({ texts: ['cheap cheap', ...texts], target: undefined })]);
  assert.deepEqual(predictions([]), [
    ['always "ham"', 0],
    ['naive Bayes on words', 1],
  ]);
  assert.deepEqual(predictions(['a second text']), [['always "ham"', 0]]);
  const numbers = textKind({ kind: 'regression', labels: ['stars'] }, made);
  const [mean] = numbers.baselines!([1, 2, 6].map((target) => ({ texts: ['a'], target })));
  assert.deepEqual([mean!.name, mean!.predict({ texts: ['b'], target: undefined })], ['always the mean', 3]);
});
