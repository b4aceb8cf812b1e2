import { runCommand } from './programs.ts';

/** A task of GLUE, the score that counts of it, and its epochs. */
export interface ScoredTask {
  name: string;
  title: string;
  score: 'matthews' | 'accuracy' | 'f1';
  epochs: number;
}

/** Tasks of GLUE, the score that counts of each, and its epochs: small sets are read more often. */
export const scoredTasks: readonly ScoredTask[] = [
  { name: 'cola', title: "CoLA, Matthews' correlation", score: 'matthews', epochs: 10 },
  { name: 'sst2', title: 'SST-2, accuracy', score: 'accuracy', epochs: 1 },
  { name: 'mrpc', title: 'MRPC, F1', score: 'f1', epochs: 10 },
];

/** The learning rate of fine-tuning if it is not what is varied: ten times BERT's, for a model of a tenth of its width. */
export const glueLearningRate = '3e-4';

/** What `taper-lm glue` prints when fine-tuning diverges. */
export const glueDivergence = /were not finite at step \d+; lower the learning rate/;

/** What `taper-lm glue --json` prints. */
interface GlueSummary {
  tasks: { devs: { scores: Record<string, number> }[] }[];
}

/** How models are fine-tuned. */
export interface GlueRecipe {
  /** GLUE's folder. */
  data: string;
  learningRate: string;
  seeds: readonly number[];
  threads: number;
  /** Where the results are kept; a stopped command resumes from them. */
  out: string;
}

/** The scores of a checkpoint on the development set of a task, for each seed of fine-tuning. */
export function glueScores(
  checkpoint: string,
  { name, score, epochs }: ScoredTask,
  { data, learningRate, seeds, threads, out }: GlueRecipe,
): number[] {
  return seeds.map((seed) => {
    const words = ['--learning-rates', learningRate, '--epochs', `${epochs}`, '--max-length', '64'];
    const places = ['--data', data, '--out', out, '--threads', `${threads}`];
    const found = runCommand([
      'glue',
      checkpoint,
      '--tasks',
      name,
      '--seeds',
      `${seed}`,
      ...words,
      ...places,
      '--json',
    ]);
    // The command keeps what it made in `out`, of other checkpoints as well, and prints what was asked for.
    return (JSON.parse(found) as GlueSummary).tasks[0]!.devs[0]!.scores[score]!;
  });
}
