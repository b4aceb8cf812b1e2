import { join } from 'node:path';
import { mean } from '../../src/averages.ts';
import {
  glueDivergence,
  glueScores,
  glueLearningRate as learningRate,
  type ScoredTask,
  scoredTasks,
} from '../glue-scores.ts';
import { baseline, checkpoints, fineTuningRates, idOf, type PaperTraining, pld, preln } from './settings.ts';
import { checkpointOf, lossOf, recipeOfTraining, records, runOf, train } from './train.ts';

const seeds = [1, 2, 3];
/** Small tasks show best what the learning rate does. */
export const sensitive = scoredTasks.filter(({ name }) => name !== 'sst2');

/** A fine-tuning, of three seeds. */
interface FineTuned {
  training: PaperTraining;
  step: number;
  task: ScoredTask;
  learningRate: string;
}

/** The checkpoints whose scores are compared. */
export const scored: readonly (readonly [PaperTraining, number])[] = [
  [baseline, checkpoints.all],
  ...[preln, pld].flatMap((training) =>
    [checkpoints.some, checkpoints.half, checkpoints.all].map((step) => [training, step] as const),
  ),
];
/** The models that are fine-tuned with several learning rates. */
export const varied: readonly PaperTraining[] = [baseline, preln, pld];

const fineTunings: readonly FineTuned[] = [
  ...scored.flatMap(([training, step]) => scoredTasks.map((task) => ({ training, step, task, learningRate }))),
  ...varied.flatMap((training) =>
    sensitive.flatMap((task) =>
      fineTuningRates.map((rate) => ({ training, step: checkpoints.all, task, learningRate: rate })),
    ),
  ),
];

const nameOf = ({ training, step, task, learningRate }: FineTuned) =>
  `${idOf(training)}-glue-${step}-${task.name}-${learningRate}`;

/** The scores of a fine-tuning, for each seed; null if it diverged, undefined if it was not made. */
export const scoresOf = (one: FineTuned) =>
  records.get<{ scores: number[] | null }>(nameOf(one), recipeOfTraining(one.training))?.scores;

/** The mean over all tasks, for each seed of fine-tuning, × 100; undefined if some are missing. */
export function meanScores(training: PaperTraining, step: number): number[] | undefined {
  const all = scoredTasks.map((task) => scoresOf({ training, step, task, learningRate }));
  if (all.some((scores) => !scores)) return undefined;
  return seeds.map((_, i) => 100 * mean(all.map((scores) => scores![i]!)));
}

/** Fine-tunes what has no record yet. What was trained on another machine is trained again. */
export function fineTunePaper(books: string, data: string, threads: number): void {
  for (const one of fineTunings) {
    const name = nameOf(one);
    const { training, step, task, learningRate } = one;
    if (scoresOf(one) !== undefined || lossOf(training) === Number.POSITIVE_INFINITY) continue;
    train(training, books, threads);
    const out = join(runOf(training), `glue-${step}`);
    try {
      const scores = glueScores(checkpointOf(training, step), task, { data, learningRate, seeds, threads, out });
      records.keep(name, recipeOfTraining(training), { scores });
      console.log(`${name}: ${scores.map((score) => score.toFixed(3)).join(', ')}`);
    } catch (error) {
      if (!glueDivergence.test((error as Error).message)) throw error;
      records.keep(name, recipeOfTraining(training), { scores: null });
    }
  }
}
