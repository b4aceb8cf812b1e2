import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Diverged, finalLoss, type Trained, trainOnBooks } from '../books.ts';
import type { Measured } from '../records.ts';
import { growAtSteps, recipeOfSetting, records, stepsOf, type Times } from './budget.ts';
import { type Setting, seeds, settingOf, settings } from './settings.ts';

const runs = fileURLToPath(new URL('../../../runs/depth', import.meta.url));
const evaluations = 10;

/** What came of a setting with one seed. */
export type Outcome = (Trained | Diverged) & Measured & { seed: number };
export type TrainedRecord = Trained & Measured & { seed: number };

const nameOf = ({ name }: Setting, seed: number) => `${name}-${seed}`;

/** The folder of a training. */
export const runOf = (setting: Setting, seed: number, steps: number) => join(runs, `${nameOf(setting, seed)}-${steps}`);

/** What came of a setting, of each of its seeds that was trained. */
export function outcomesOf(setting: Setting): Outcome[] {
  return setting.seeds.flatMap((seed) => {
    const found = records.get<Trained | Diverged>(nameOf(setting, seed), recipeOfSetting(setting));
    return found ? [{ ...found, seed }] : [];
  });
}

/** The trainings of a setting that came to their end. */
export const recordsOf = (setting: Setting) =>
  outcomesOf(setting).filter((outcome): outcome is TrainedRecord => 'losses' in outcome);

/** Trains a setting with a seed, unless its run is on this machine. A stopped training resumes. */
export function train(
  setting: Setting,
  seed: number,
  steps: number,
  books: string,
  threads: number,
): Trained | Diverged {
  const own = [`train.seed=${seed}`, `train.steps=${steps}`, `train.evalEvery=${Math.ceil(steps / evaluations)}`];
  const sets = [...setting.sets, ...own, ...(setting.growAt ? [growAtSteps(setting.growAt, steps)] : [])];
  return trainOnBooks({ config: 'configs/depth.yaml', out: runOf(setting, seed, steps), sets, books, threads });
}

/**
 * Trains what has no record yet, or those of the settings that are named: all of them with one seed, then with the next. A training that
 * diverges is an outcome as well.
 */
export function trainAll(books: string, names: readonly string[], threads: number, times: Times): void {
  const wanted = names.length > 0 ? names.map(settingOf) : settings;
  for (const seed of seeds) {
    for (const setting of wanted) {
      if (!setting.seeds.includes(seed) || outcomesOf(setting).some((outcome) => outcome.seed === seed)) continue;
      const steps = stepsOf(setting, times);
      const outcome = train(setting, seed, steps, books, threads);
      records.keep(nameOf(setting, seed), recipeOfSetting(setting), outcome);
      const found = 'losses' in outcome ? `${finalLoss(outcome).toFixed(4)} nats` : outcome.diverged;
      console.log(`${nameOf(setting, seed)}, ${steps} steps: ${found}`);
    }
  }
}
