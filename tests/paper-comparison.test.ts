import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyzed, analyzedSteps } from '../bench/paper/analyses.ts';
import { scored, varied } from '../bench/paper/glue.ts';
import { baseline, checkpoints, compared, idOf, trainings } from '../bench/paper/settings.ts';
import { configOf } from '../bench/paper/train.ts';

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
  for (const training of [...analyzed, ...scored.map(([each]) => each), ...varied])
    assert.ok(kept.includes(idOf(training)));
  assert.ok(analyzedSteps.every((step) => Object.values(checkpoints).includes(step)));
});
