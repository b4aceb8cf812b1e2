import { type Config, loadConfig } from '../../src/config/index.ts';
import { granularities } from '../../src/depth/index.ts';
import type { StepTimes } from '../../src/train/index.ts';
import { type Measured, Records } from '../records.ts';
import { measureInTurn, secondsOf } from '../step-times.ts';
import { type Setting, settingOf } from './settings.ts';

const records = new Records('depth');

/** What the parts of a step take with gates for whole micro-batches, `exact` ones among them, and with gates per sequence. */
export type Times = Measured & { whole: StepTimes; perSequence: StepTimes };

/** The configuration of a setting, with a number of steps where that is known. */
export function configOf({ sets }: Pick<Setting, 'sets'>, steps?: number): Config {
  const all = [...sets, ...(steps === undefined ? [] : [`train.steps=${steps}`])];
  return loadConfig({ file: 'configs/depth.yaml', sets: all }).config;
}

/** The times that were measured before, or else now. */
export function openTimes(): Times {
  const known = records.get<Times>('times');
  if (known) return known;
  const kinds = ['batch', 'sequence'].map((kind) => configOf({ sets: [`depth.granularity=${kind}`] }));
  const [whole, perSequence] = measureInTurn(kinds);
  return records.keep('times', { whole: whole!, perSequence: perSequence! });
}

/** What a setting takes, in seconds. */
export function timeOf(setting: Setting, times: Times, steps?: number): number {
  const config = configOf(setting, steps);
  const { isPerSequence } = granularities[config.depth.granularity];
  return secondsOf(config, isPerSequence ? times.perSequence : times.whole);
}

/** The steps that a setting is trained for: those of dense training, or as many as take the same time. */
export function stepsOf(setting: Setting, times: Times): number {
  const dense = settingOf('dense');
  const { steps } = configOf(dense).train;
  // What a step takes in the mean hardly depends on how many there are.
  return setting.equal === 'samples' ? steps : Math.round((steps * timeOf(dense, times)) / timeOf(setting, times));
}
