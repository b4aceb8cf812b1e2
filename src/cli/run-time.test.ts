import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { depthMethod, plannedCost } from '../depth/index.ts';
import { nothingSpent } from '../runs/index.ts';
import { worksOf } from '../train/work.ts';
import { flopsLeft, timeEstimate, trialRun } from './run-time.ts';

const config = loadConfig({
  sets: ['model.preset=bert-mini', 'depth.method=dense', 'train.steps=1000', 'train.batchSize=[[0, 8], [500, 32]]'],
}).config;
/** What steps have spent. */
const spentBy = (steps: number, seconds: number, flops: number) => ({ ...nothingSpent(), steps, seconds, flops });

test('the time of a run is estimated once, from the FLOPs of its first steps, and a long run gets the command for a shorter one', () => {
  const flopsOfStep = flopsPerStep();
  const tell = timeEstimate(config, 'runs/none', () => () => undefined);
  assert.equal(tell(2, spentBy(2, 60, 2 * flopsOfStep)), undefined); // too few
  assert.equal(tell(5, spentBy(5, 5, 5 * flopsOfStep)), undefined); // too short
  // 10 s each: 490 of the small steps, and 500 that take four times as long (except for the optimizer's part).
  const text = tell(10, spentBy(10, 100, 10 * flopsOfStep))!;
  const [, hours, minutes] = /^estimated time: (\d+)h(\d\d)m for the 990 steps, from the first 10\./.exec(text) ?? [];
  const seconds = 3600 * Number(hours) + 60 * Number(minutes);
  assert.ok(seconds > 0.95 * (4900 + 20_000) && seconds < 4900 + 20_000 + 60, text);
  assert.match(
    text,
    / For a shorter run, stop this one with CTRL-C and start another: about 2h00m with 2\d0 steps: .*--set train\.steps=2\d0 --out runs\/none-short$/,
  );
  assert.equal(tell(11, spentBy(11, 110, 11 * flopsOfStep)), undefined);
});

test('a resumed run gets an estimate of the rest, without advice', () => {
  const text = timeEstimate(config, 'runs/none', () => () => undefined)(990, spentBy(10, 10_000, 40 * flopsPerStep()));
  assert.match(text!, /^estimated time: \dh\d\dm for the remaining 10 steps, from the first 10$/);
});

test('an estimate says if other programs slow the run down', () => {
  const tell = timeEstimate(config, 'runs/none', () => () => 'another program is using the processors');
  assert.match(
    tell(10, spentBy(10, 20, 10 * flopsPerStep()))!,
    /from the first 10; another program is using the processors$/,
  );
});

test('the FLOPs that are left are those of the blocks that are still to run', () => {
  const sets = ['model.preset=bert-mini', 'depth.method=grow', 'train.steps=6000', 'train.batchSize=8'];
  const { config: growing } = loadConfig({ sets });
  const { depth, model, train } = growing;
  const method = depthMethod(depth, model.layers, train.steps);
  const flopsFrom = (step: number) =>
    plannedCost((later) => method(step + later), train.steps - step, worksOf(growing)).expectedFlops;
  const left = flopsLeft(growing);
  for (const step of [0, 2000, 5990]) assert.ok(Math.abs(left(step) / flopsFrom(step) - 1) < 0.005, `step ${step}`);
  assert.ok(left(0) / flopsFrom(3000) < 1.8, 'the second half costs more than the first');
  assert.equal(left(6000), 0);
});

test('a trial has as many steps as fit into ten minutes, and a small model is advised if these are few', () => {
  const trial = (steps: number, from?: string) => trialRun({ steps, ...(from !== undefined && { from }) }, 2);
  assert.equal(trial(30_000), '10m00s with 2,500 steps: --set train.steps=2500');
  assert.match(
    trial(5000),
    /^10m00s with 420 steps: --set train\.steps=420; a smaller model .*: configs\/start\.yaml$/,
  );
  assert.equal(trial(5000, 'models/ettin'), '10m00s with 420 steps: --set train.steps=420');
});

test('a run without an end has an estimate at once', () => {
  const { config: endless } = loadConfig({ sets: ['model.preset=bert-mini', 'train.steps=9000000000000000'] });
  assert.ok(flopsLeft(endless)(1000) > 1e20);
});

/** A step of 8 sequences, from the plan of a run that has no others. */
function flopsPerStep(): number {
  const { config: one } = loadConfig({
    sets: ['model.preset=bert-mini', 'depth.method=dense', 'train.steps=1', 'train.batchSize=8'],
  });
  return plannedCost(depthMethod(one.depth, one.model.layers, 1), 1, worksOf(one), {
    microBatchSize: 8,
    granularity: 'batch',
  }).expectedFlops;
}
