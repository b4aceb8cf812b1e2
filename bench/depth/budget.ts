import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, lastConfig, loadConfig } from '../../src/config/index.ts';
import { depthMethod, type Granularity, granularities, plannedCost } from '../../src/depth/index.ts';
import { namesOf } from '../../src/keys/index.ts';
import { measureSteps, type StepTimes, stepSeconds, workOf } from '../../src/train/index.ts';
import { here, recordsFolder } from './records.ts';
import { type Setting, settings } from './settings.ts';

const path = join(recordsFolder, 'times.json');
const rounds = 3;

/** What the parts of a step take, with each kind of gates, and where that was measured. */
export interface Times {
  of: Record<Granularity, StepTimes>;
  date: string;
  processor: string;
}

/** The configuration of a setting, with a number of steps where that is known. */
export function configOf({ sets }: Pick<Setting, 'sets'>, steps?: number): Config {
  return loadConfig({
    file: 'configs/depth.yaml',
    sets: [...sets, ...(steps === undefined ? [] : [`train.steps=${steps}`])],
  }).config;
}

/** The times that were measured before, or else now, on a machine that should do nothing else: steps with each kind of gates in turn. */
export function openTimes(): Times {
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Times;
  const kinds = namesOf(granularities);
  const found = Array.from({ length: rounds }, () =>
    kinds.map((kind) => measureSteps(lastConfig(configOf({ sets: [`depth.granularity=${kind}`] })))),
  );
  const of = Object.fromEntries(kinds.map((kind, i) => [kind, mean(found.map((round) => round[i]!))]));
  const times = { of: of as Times['of'], ...here() };
  writeFileSync(path, `${JSON.stringify(times)}\n`);
  return times;
}

function mean(times: readonly StepTimes[]): StepTimes {
  const of = (part: keyof StepTimes) => times.reduce((sum, each) => sum + each[part], 0) / times.length;
  return { once: of('once'), update: of('update'), microBatch: of('microBatch'), block: of('block') };
}

/** What a run takes, in seconds: each step what its number of blocks does in the mean over its gates. */
export function secondsOf({ model, depth, train, data, ...others }: Config, times: Times): number {
  const config = lastConfig({ model, depth, train, data, ...others });
  const { microBatchSize, batchSize } = config.train;
  const draws = { microBatchSize, granularity: depth.granularity };
  const method = depthMethod(depth, model.layers, train.steps);
  const { meanDepth, meanUpdated } = plannedCost(method, train.steps, () => workOf(config), draws);
  const microBatches = batchSize / microBatchSize;
  return (
    train.steps * stepSeconds(times.of[depth.granularity], { depth: meanDepth, updated: meanUpdated, microBatches })
  );
}

/** The steps that a setting is trained for: those of dense training, or as many as take the same time. */
export function stepsOf(setting: Setting, times: Times): number {
  const dense = configOf(settings[0]!);
  if (setting.equal === 'samples') return dense.train.steps;
  // What a step takes in the mean hardly depends on how many there are.
  const share = secondsOf(configOf(setting), times) / secondsOf(dense, times);
  return Math.round(dense.train.steps / share);
}
