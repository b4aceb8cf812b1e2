import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { finalLoss, type Trained, trainOnBooks } from '../books.ts';
import { type Measured, Records } from '../records.ts';
import { compared, idOf, type PaperTraining, recipes, trainings } from './settings.ts';

const runs = fileURLToPath(new URL('../../../runs/paper', import.meta.url));
const file = 'configs/paper.yaml';
export const records = new Records('paper');

/** What came of a training, or that it diverged. */
export type Outcome = Measured & (Trained | { diverged: string });

export const runOf = (training: PaperTraining) => join(runs, idOf(training));
/** A checkpoint of a compared recipe. */
export const checkpointOf = (training: PaperTraining, step: number) =>
  join(runOf(training), `checkpoints/step-${step}`);
export const outcomeOf = (training: PaperTraining) => records.get<Trained | { diverged: string }>(idOf(training));

/** The loss at the end; infinite if it diverged, undefined if it was not trained. */
export function lossOf(training: PaperTraining): number | undefined {
  const outcome = outcomeOf(training);
  return outcome && ('losses' in outcome ? finalLoss(outcome) : Number.POSITIVE_INFINITY);
}

export function configOf({ recipe, learningRate, seed }: PaperTraining): Config {
  const sets = [...recipes[recipe].sets, `train.peakLearningRate=${learningRate}`, `train.seed=${seed}`];
  return loadConfig({ file, sets }).config;
}

/** Trains what has no record yet. A training that was stopped goes on; one that diverges is an outcome. */
export function trainPaper(books: string, threads: number): void {
  for (const training of trainings) {
    const id = idOf(training);
    if (records.get(id)) continue;
    const { recipe, learningRate, seed } = training;
    const isCompared = compared.some((other) => idOf(other) === id);
    const sets = [
      ...recipes[recipe].sets,
      `train.peakLearningRate=${learningRate}`,
      `train.seed=${seed}`,
      `train.keepCheckpoints=${isCompared ? 100 : 1}`,
    ];
    try {
      const trained = trainOnBooks({ config: file, out: runOf(training), sets, books, threads });
      records.keep(id, trained);
      console.log(`${id}: ${finalLoss(trained).toFixed(4)} nats`);
    } catch (error) {
      const diverged = /.*(?:not finite|diverged).*/.exec((error as Error).message)?.[0];
      if (diverged === undefined) throw error;
      records.keep(id, { diverged });
      console.log(`${id}: ${diverged}`);
    }
  }
}
