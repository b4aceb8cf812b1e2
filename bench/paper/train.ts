import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { type Diverged, finalLoss, type Trained, trainOnBooks } from '../books.ts';
import { Records, recipeOf } from '../records.ts';
import { compared, idOf, type PaperTraining, recipes, trainingOf, trainings } from './settings.ts';

const runs = fileURLToPath(new URL('../../../runs/paper', import.meta.url));
const file = 'configs/paper.yaml';
export const records = new Records('paper');

const setsOf = ({ recipe, learningRate, seed }: PaperTraining) => [
  ...recipes[recipe].sets,
  `train.peakLearningRate=${learningRate}`,
  `train.seed=${seed}`,
];

/** What a training is made of now. */
export const recipeOfTraining = (training: PaperTraining) => recipeOf(file, setsOf(training));
export const configOf = (training: PaperTraining): Config => loadConfig({ file, sets: setsOf(training) }).config;
export const runOf = (training: PaperTraining) => join(runs, idOf(training));
/** A checkpoint of a compared recipe. */
export const checkpointOf = (training: PaperTraining, step: number) =>
  join(runOf(training), `checkpoints/step-${step}`);
/** What came of a training. */
export const outcomeOf = (training: PaperTraining) =>
  records.get<Trained | Diverged>(idOf(training), recipeOfTraining(training));

/** The loss at the end; infinite if it diverged, undefined if it was not trained. */
export function lossOf(training: PaperTraining): number | undefined {
  const outcome = outcomeOf(training);
  return outcome && ('losses' in outcome ? finalLoss(outcome) : Number.POSITIVE_INFINITY);
}

/** Trains a model, unless its run is on this machine. A stopped training resumes. */
export function train(training: PaperTraining, books: string, threads: number): Trained | Diverged {
  const isCompared = compared.some((other) => idOf(other) === idOf(training));
  const sets = [...setsOf(training), `train.keepCheckpoints=${isCompared ? 100 : 1}`];
  return trainOnBooks({ config: file, out: runOf(training), sets, books, threads });
}

/** Trains what has no record yet, or those of the trainings that are named. A training that diverges is an outcome as well. */
export function trainPaper(books: string, names: readonly string[], threads: number): void {
  const wanted = names.length > 0 ? names.map(trainingOf) : trainings;
  for (const training of wanted) {
    const id = idOf(training);
    if (outcomeOf(training)) continue;
    const outcome = train(training, books, threads);
    records.keep(id, recipeOfTraining(training), outcome);
    console.log(`${id}: ${'losses' in outcome ? `${finalLoss(outcome).toFixed(4)} nats` : outcome.diverged}`);
  }
}
