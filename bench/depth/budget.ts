import { type Config, loadConfig } from '../../src/config/index.ts';
import { granularities } from '../../src/depth/index.ts';
import { type StepTimes, stepSeconds } from '../../src/train/index.ts';
import { type Measured, Records, recipeOf } from '../records.ts';
import { measureInTurn, secondsOf } from '../step-times.ts';
import { type Setting, settingOf } from './settings.ts';

/** What was measured for the comparison. */
export const records = new Records('depth');

/** What the parts of a step take with gates for whole micro-batches, `exact` ones among them, and with gates per sequence. */
export type Times = Measured & { whole: StepTimes; perSequence: StepTimes; threads: number };

const file = 'configs/depth.yaml';
/** What a setting changes in it. */
type Varied = Pick<Setting, 'sets' | 'growAt'>;
/** What a setting is made of now. */
export const recipeOfSetting = ({ sets, growAt = [] }: Varied) => recipeOf(file, [...sets, ...growAt.map(String)]);

/** The configuration of a setting, with a number of steps if that is known. */
export function configOf({ sets, growAt }: Varied, steps?: number): Config {
  const all = [...sets, ...(steps === undefined ? [] : [`train.steps=${steps}`])];
  const { config } = loadConfig({ file, sets: all });
  return growAt ? loadConfig({ file, sets: [...all, growAtSteps(growAt, config.train.steps)] }).config : config;
}

/** The value of `depth.growAt` in a run of some steps. */
export const growAtSteps = (fractions: readonly number[], steps: number) =>
  `depth.growAt=[${fractions.map((fraction) => Math.round(fraction * steps)).join(', ')}]`;

/** The times that were measured before, or else now. */
export function openTimes(threads: number): Times {
  const recipe = recipeOfSetting({ sets: [] });
  const known = records.get<Times>('times', recipe);
  if (known) return known;
  const kinds = ['batch', 'sequence'].map((kind) =>
    configOf({ sets: [`depth.granularity=${kind}`, `train.threads=${threads}`] }),
  );
  const [whole, halves] = measureInTurn(kinds);
  return records.keep('times', recipe, { whole: whole!, perSequence: perSequence(whole!, halves!), threads });
}

/**
 * A block on part of the sequences gathers and scatters them, in proportion to their number; a dense step does not. So the time per block
 * is that of steps with half of the sequences in each block, beyond what any step takes.
 */
export function perSequence(whole: StepTimes, halves: StepTimes): StepTimes {
  const { layers } = configOf({ sets: [] }).model;
  const [one, none] = [
    { depth: layers / 2, updated: layers, microBatches: 1 },
    { depth: 0, updated: 0, microBatches: 1 },
  ];
  return { ...whole, block: (stepSeconds(halves, one) - stepSeconds(whole, none)) / (layers / 2) };
}

/** What a setting takes, in seconds, up to its end or for its first steps. */
export function timeOf(setting: Setting, times: Times, steps?: number, upTo?: number): number {
  const config = configOf(setting, steps);
  const { isPerSequence } = granularities[config.depth.granularity];
  return secondsOf(config, isPerSequence ? times.perSequence : times.whole, upTo);
}

/** The steps that a setting is trained for: those of dense training, or as many as take the same time. */
export function stepsOf(setting: Setting, times: Times): number {
  const dense = settingOf('dense');
  const { steps } = configOf(dense).train;
  // What a step takes in the mean hardly depends on how many there are.
  return setting.equal === 'samples' ? steps : Math.round((steps * timeOf(dense, times)) / timeOf(setting, times));
}
