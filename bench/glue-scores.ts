import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './programs.ts';

/** Tasks of GLUE, the score that counts of each, and its epochs: small sets are read more often. */
export const glueTasks = [
  { name: 'cola', title: "CoLA, Matthews' correlation", score: 'matthews', epochs: 10 },
  { name: 'sst2', title: 'SST-2, accuracy', score: 'accuracy', epochs: 1 },
  { name: 'mrpc', title: 'MRPC, F1', score: 'f1', epochs: 10 },
] as const;

/** How models are fine-tuned. */
export interface FineTuning {
  /** GLUE's folder. */
  data: string;
  learningRate: string;
  seeds: readonly number[];
  threads: number;
  /** Where the results are kept; what was stopped goes on from them. */
  out: string;
}

/** The scores of a checkpoint on a task of GLUE, on its development set, for each seed of fine-tuning. */
export function glueScores(
  checkpoint: string,
  { name, score, epochs }: (typeof glueTasks)[number],
  { data, learningRate, seeds, threads, out }: FineTuning,
): number[] {
  const folder = join(out, `${name}-${learningRate}`);
  const how = [
    '--learning-rates',
    learningRate,
    '--epochs',
    `${epochs}`,
    '--max-length',
    '64',
    '--threads',
    `${threads}`,
  ];
  const flags = [...how, '--seeds', ...seeds.map(String)];
  runCommand(['glue', checkpoint, '--data', data, '--tasks', name, '--out', folder, '--json', ...flags]);
  const lines = readFileSync(join(folder, 'results.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line).devs[0].scores[score] as number);
}
