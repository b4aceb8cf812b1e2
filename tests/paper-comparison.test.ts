import assert from 'node:assert/strict';
import { test } from 'node:test';
import { glueDivergence } from '../bench/glue-scores.ts';
import { analysed, analysedSteps } from '../bench/paper/analyses.ts';
import { scored, varied } from '../bench/paper/glue.ts';
import { baseline, checkpoints, compared, idOf, trainings } from '../bench/paper/settings.ts';
import { configOf } from '../bench/paper/train.ts';
import { asGood, bearsHighRate, harmsMore, isSooner, lessSensitive, savesTime } from '../bench/paper/verdicts.ts';

test('every training is a configuration of its own, and those that are looked at keep their checkpoints', () => {
  assert.equal(new Set(trainings.map((training) => JSON.stringify(configOf(training)))).size, trainings.length);
  const { train } = configOf(baseline);
  assert.equal(train.steps, checkpoints.all);
  for (const step of Object.values(checkpoints)) assert.equal(step % train.saveEvery, 0, `${step}`);
  // The paper's checkpoints 87 and 100 of 186.
  for (const [step, of] of [
    [checkpoints.some, 87],
    [checkpoints.half, 100],
  ] as const)
    assert.ok(Math.abs(step / checkpoints.all - of / 186) < 0.01);
  const kept = compared.map(idOf);
  for (const training of [...analysed, ...scored.map(([each]) => each), ...varied])
    assert.ok(kept.includes(idOf(training)));
  assert.ok(analysedSteps.every((step) => Object.values(checkpoints).includes(step)));
});

test('statements are held to the numbers, and not told where differences are noise', () => {
  const difference = (mean: number, margin: number) => ({ mean, margin, pairs: 3 });
  assert.deepEqual([0.24, 0.215, 0.28].map(savesTime), [true, true, false]);
  assert.deepEqual([difference(0.5, 0.2), difference(-0.5, 0.3), difference(-3, 1), difference(-1, 2)].map(asGood), [
    true,
    true,
    false,
    undefined,
  ]);
  assert.deepEqual([2.6, 2, 0, undefined].map(isSooner), [true, false, false, undefined]);
  const noise = 0.1;
  assert.equal(bearsHighRate(1, -1, noise), true);
  assert.equal(bearsHighRate(1, Number.NEGATIVE_INFINITY, noise), true);
  assert.equal(bearsHighRate(1, 0.5, noise), false);
  assert.equal(bearsHighRate(1, 0.05, noise), undefined);
  assert.equal(harmsMore(1, 0.2, noise), true);
  assert.equal(harmsMore(1, 0.8, noise), false);
  assert.equal(harmsMore(0.1, 1, noise), false);
  assert.equal(harmsMore(0.25, 0.2, noise), undefined);
  assert.equal(harmsMore(Number.POSITIVE_INFINITY, 0.2, noise), true);
  assert.equal(harmsMore(Number.NaN, 0.2, noise), undefined);
  assert.deepEqual(
    [5, 19.5, 30].map((range) => lessSensitive(range, 20)),
    [true, undefined, false],
  );
});

test('what is printed when fine-tuning diverges is known', () => {
  assert.match(
    'taper: cola: the loss, the gradient or the weights were not finite at step 2; lower the learning rate',
    glueDivergence,
  );
});
