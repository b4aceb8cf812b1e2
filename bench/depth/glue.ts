import { join } from 'node:path';
import { glueScores, glueLearningRate as learningRate, scoredTasks } from '../glue-scores.ts';
import { recipeOfSetting, records } from './budget.ts';
import type { Setting } from './settings.ts';
import { recordsOf, runOf, train } from './train.ts';

/** The seeds of fine-tuning. */
const seeds = [1, 2, 3, 4, 5];

/** By the name of a task, the scores of each seed of fine-tuning. */
export type GlueScores = Record<string, number[]>;

/** What came of a training of a setting after fine-tuning. */
export interface GlueRecord {
  /** The seed of the training. */
  seed: number;
  scores: GlueScores;
}

const nameOf = ({ name }: Setting, seed: number) => `${name}-${seed}-glue`;

/** The scores of each training of a setting that was fine-tuned. */
export function glueOf(setting: Setting): GlueRecord[] {
  return setting.seeds.flatMap((seed) => {
    const found = records.get<{ scores: GlueScores }>(nameOf(setting, seed), recipeOfSetting(setting));
    return found ? [{ seed, scores: found.scores }] : [];
  });
}

/**
 * Fine-tunes the trainings of some settings on all tasks, all settings with one seed, then with the next, unless there is a record. A
 * stopped one resumes; what was trained on another machine is trained again.
 */
export function fineTuneAll(settings: readonly Setting[], books: string, data: string, threads: number): void {
  const trained = settings.flatMap((setting) => recordsOf(setting).map((record) => ({ setting, ...record })));
  for (const { setting, seed, steps } of trained.sort((a, b) => a.seed - b.seed)) {
    if (glueOf(setting).some((record) => record.seed === seed)) continue;
    train(setting, seed, steps, books, threads);
    const run = runOf(setting, seed, steps);
    const how = { data, learningRate, seeds, threads, out: join(run, 'glue') };
    const scores = Object.fromEntries(scoredTasks.map((task) => [task.name, glueScores(run, task, how)]));
    records.keep(nameOf(setting, seed), recipeOfSetting(setting), { scores });
    console.log(`${setting.name}, seed ${seed}: ${JSON.stringify(scores)}`);
  }
}
