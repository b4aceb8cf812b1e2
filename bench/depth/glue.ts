import { join } from 'node:path';
import { glueScores, glueTasks } from '../glue-scores.ts';
import { Records } from '../records.ts';
import { settingOf } from './settings.ts';
import { runOf } from './train.ts';

const seeds = [1, 2, 3, 4, 5];
const learningRate = '3e-4'; // ten times BERT's, for a model of a tenth of its width
const records = new Records('depth');

/** By the name of a task, the scores of each seed of fine-tuning. */
export type GlueScores = Record<string, number[]>;

const nameOf = (setting: string) => `${setting}-glue`;

/** The scores of the first seed of a setting after fine-tuning. */
export const glueOf = (setting: string) => records.get<{ scores: GlueScores }>(nameOf(setting))?.scores;

/** Fine-tunes the first seed of some settings on all tasks, unless there is a record. A stopped one resumes. */
export function fineTuneAll(names: readonly string[], data: string, threads: number): void {
  for (const name of names) {
    if (glueOf(name)) continue;
    const run = runOf(settingOf(name), 1);
    const how = { data, learningRate, seeds, threads, out: join(run, 'glue') };
    const scores = Object.fromEntries(glueTasks.map((task) => [task.name, glueScores(run, task, how)]));
    records.keep(nameOf(name), { scores });
    console.log(`${name}: ${JSON.stringify(scores)}`);
  }
}
