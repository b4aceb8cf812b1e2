import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../programs.ts';
import { here, recordsFolder } from './records.ts';
import { runOf } from './train.ts';

const seeds = [1, 2, 3, 4, 5];
const learningRate = '3e-4'; // ten times BERT's, for a model of a tenth of its width

/** Tasks of GLUE, the score that counts of each, and its epochs: small sets are read more often. */
export const tasks = [
  { name: 'cola', title: "CoLA, Matthews' correlation", score: 'matthews', epochs: 10 },
  { name: 'sst2', title: 'SST-2, accuracy', score: 'accuracy', epochs: 1 },
  { name: 'mrpc', title: 'MRPC, F1', score: 'f1', epochs: 10 },
] as const;

/** What fine-tuning a pre-trained model came to. */
export interface GlueRecord {
  setting: string;
  /** By the name of the task, for each seed of fine-tuning. */
  scores: Record<string, number[]>;
  date: string;
  processor: string;
}

const pathOf = (setting: string) => join(recordsFolder, `${setting}-glue.json`);

export function glueOf(setting: string): GlueRecord | undefined {
  return existsSync(pathOf(setting)) ? (JSON.parse(readFileSync(pathOf(setting), 'utf8')) as GlueRecord) : undefined;
}

/** Fine-tunes the first seed of some settings on all tasks, where there is no record of that yet. One that was stopped goes on. */
export function fineTuneAll(names: readonly string[], data: string, threads: number): void {
  for (const name of names) {
    if (glueOf(name)) continue;
    const run = runOf(name, 1);
    const scores = tasks.map(({ name: task, score, epochs }) => {
      const out = join(run, 'glue', task);
      const how = ['--learning-rates', learningRate, '--epochs', `${epochs}`, '--max-length', '64'];
      const flags = [...how, '--threads', `${threads}`, '--seeds', ...seeds.map(String)];
      runCommand(['glue', run, '--data', data, '--tasks', task, '--out', out, '--json', ...flags]);
      const lines = readFileSync(join(out, 'results.jsonl'), 'utf8').trim().split('\n');
      return [task, lines.map((line) => JSON.parse(line).devs[0].scores[score] as number)];
    });
    const record: GlueRecord = { setting: name, scores: Object.fromEntries(scores), ...here() };
    writeFileSync(pathOf(name), `${JSON.stringify(record)}\n`);
    console.log(`${name}: ${JSON.stringify(record.scores)}`);
  }
}
