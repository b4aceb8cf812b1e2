import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { finalLoss, type Trained, trainOnBooks } from '../books.ts';
import { type Measured, Records } from '../records.ts';
import { stepsOf, type Times } from './budget.ts';
import { type Setting, seeds, settings } from './settings.ts';

const runs = fileURLToPath(new URL('../../../runs/depth', import.meta.url));
const evaluations = 10;
const records = new Records('depth');

/** What came of a setting with one seed. */
export type TrainedRecord = Trained & Measured & { seed: number };

const nameOf = ({ name }: Setting, seed: number) => `${name}-${seed}`;

/** The folder of a training. */
export const runOf = (setting: Setting, seed: number) => join(runs, nameOf(setting, seed));

/** What came of a setting, of each of its seeds that was trained. */
export function recordsOf(setting: Setting): TrainedRecord[] {
  return setting.seeds.flatMap((seed) => {
    const found = records.get<Trained>(nameOf(setting, seed));
    return found ? [{ ...found, seed }] : [];
  });
}

/**
 * Trains what has no record yet, or those of the settings that are named: all of them with one seed, then with the next. A training
 * that was stopped goes on.
 */
export function trainAll(books: string, names: readonly string[], threads: number, times: Times): void {
  const wanted = settings.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const seed of seeds) {
    for (const setting of wanted) {
      const name = nameOf(setting, seed);
      if (!setting.seeds.includes(seed) || records.get(name)) continue;
      const steps = stepsOf(setting, times);
      const evalEvery = Math.ceil(steps / evaluations);
      const own = [`train.seed=${seed}`, `train.steps=${steps}`, `train.evalEvery=${evalEvery}`];
      const sets = [...setting.sets, ...own];
      const out = runOf(setting, seed);
      const trained = records.keep(name, trainOnBooks({ config: 'configs/depth.yaml', out, sets, books, threads }));
      console.log(`${name}: ${finalLoss(trained).toFixed(4)} nats after ${steps} steps`);
    }
  }
}
