import { join } from 'node:path';
import { glueScores, glueLearningRate as learningRate, scoredTasks } from '../glue-scores.ts';
import { recipeOfSetting, records } from './budget.ts';
import type { Setting } from './settings.ts';
import { recordsOf, runOf, train } from './train.ts';

const seeds = [1, 2, 3, 4, 5];

/** By the name of a task, the scores of each seed of fine-tuning. */
export type GlueScores = Record<string, number[]>;

const nameOf = ({ name }: Setting) => `${name}-glue`;

/** The scores of the first seed of a setting after fine-tuning. */
export const glueOf = (setting: Setting) =>
  records.get<{ scores: GlueScores }>(nameOf(setting), recipeOfSetting(setting))?.scores;

/**
 * Fine-tunes the first seed of some settings on all tasks, unless there is a record. A stopped one resumes; what was trained on another
 * machine is trained again.
 */
export function fineTuneAll(settings: readonly Setting[], books: string, data: string, threads: number): void {
  for (const setting of settings) {
    const first = recordsOf(setting)[0];
    if (!first || glueOf(setting)) continue;
    train(setting, first.seed, first.steps, books, threads);
    const run = runOf(setting, first.seed, first.steps);
    const how = { data, learningRate, seeds, threads, out: join(run, 'glue') };
    const scores = Object.fromEntries(scoredTasks.map((task) => [task.name, glueScores(run, task, how)]));
    records.keep(nameOf(setting), recipeOfSetting(setting), { scores });
    console.log(`${setting.name}: ${JSON.stringify(scores)}`);
  }
}
