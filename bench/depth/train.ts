import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRun } from '../../src/report/index.ts';
import { runCommand } from '../programs.ts';
import { stepsOf, type Times } from './budget.ts';
import { keep, recordOf } from './records.ts';
import { settings } from './settings.ts';

const runs = fileURLToPath(new URL('../../../runs/depth', import.meta.url));
const evaluations = 10;

/** The folder of a training. */
export const runOf = (setting: string, seed: number) => join(runs, `${setting}-${seed}`);

/**
 * Trains what has no record yet, or those of the settings that are named: all of them with one seed, then with the next. A training
 * that was stopped goes on.
 */
export function trainAll(books: string, names: readonly string[], threads: number, times: Times): void {
  mkdirSync(runs, { recursive: true });
  const wanted = settings.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const seed of [1, 2, 3]) {
    for (const setting of wanted) {
      if (!setting.seeds.includes(seed) || recordOf(setting.name, seed)) continue;
      const steps = stepsOf(setting, times);
      const out = runOf(setting.name, seed);
      const sets = [
        ...setting.sets,
        `train.seed=${seed}`,
        `train.steps=${steps}`,
        `train.evalEvery=${Math.ceil(steps / evaluations)}`,
        `train.threads=${threads}`,
        `data.train=["${books}/train-*.jsonl.gz"]`,
        `data.valid=["${books}/valid.jsonl.gz"]`,
        `data.cache=${join(runs, 'cache')}`,
      ];
      runCommand(['pretrain', 'configs/depth.yaml', '--out', out, '--resume', '--set', ...sets]);
      const points = readRun(out, console.warn).evaluations;
      const last = points.at(-1)!;
      keep({
        setting: setting.name,
        seed,
        steps,
        meanDepth: last.depthSum / last.step,
        losses: points.map(({ step, loss }) => [step, loss]),
      });
      console.log(`${setting.name}, seed ${seed}: ${last.loss.toFixed(4)} nats after ${steps} steps`);
    }
  }
}
