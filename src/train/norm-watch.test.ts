import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NormWatch } from './norm-watch.ts';

/** The steps that are warned of, counted from 1. */
function warnedOf(norms: readonly number[]): number[] {
  const watch = new NormWatch();
  return norms.flatMap((norm, i) => (watch.hear(i + 1, norm) === undefined ? [] : [i + 1]));
}
const steady = (count: number, norm = 4) => new Array<number>(count).fill(norm);

test('a gradient norm above 20 times the median is warned of with step, norm and median', () => {
  const watch = new NormWatch();
  for (const [i, norm] of steady(94, 4.1).entries()) assert.equal(watch.hear(i + 1, norm), undefined);
  assert.match(
    watch.hear(95, 184) ?? '',
    /^step 95: the gradient norm, 184, is 45 times its median, 4\.1; .*lower train\.peakLearningRate or train\.clipNorm/,
  );
});

test('20 times the median is not above it, and nothing is reported before 20 norms', () => {
  assert.deepEqual(warnedOf([...steady(30), 80, 80.1]), [32]);
  assert.deepEqual(warnedOf([...steady(19), 1000, 1000]), [21]);
});

test('an event is warned of once, and the next one after 20 quiet steps again', () => {
  assert.deepEqual(
    warnedOf([...steady(30), ...steady(5, 500), ...steady(3), ...steady(5, 500), ...steady(40), 500]),
    [31, 84],
  );
});

test('the median is that of the last 100 norms: a level that stays becomes the new one', () => {
  // 51 of the last 100 are high from step 251 on; an event at 360 is measured by them.
  assert.deepEqual(
    warnedOf([...steady(200), ...steady(150, 100), ...steady(9, 100), 1999, ...steady(30, 100), 2001]),
    [201, 391],
  );
});
