import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GradientFlow, Lesions, Similarity } from '../../src/analysis/index.ts';
import { runCommand } from '../programs.ts';
import { baseline, checkpoints, idOf, type PaperTraining, preln } from './settings.ts';
import { checkpointOf, lossOf, recipeOfTraining, records, runOf, train } from './train.ts';

/** What `analyze` finds in a checkpoint. */
export type Analysis = GradientFlow & Lesions & Similarity;

const figuresFolder = fileURLToPath(new URL('../../../docs/results/paper', import.meta.url));

/** PostLN and PreLN with the learning rates that they are published with. */
export const analysed: readonly PaperTraining[] = [baseline, preln];
export const analysedSteps = [checkpoints.early, checkpoints.half, checkpoints.all] as const;
/** The figures of `analyze`, without their ending. */
const figures = ['gradient-norms', 'norm-ratios', 'lesions', 'distances', 'angles'] as const;
export type Figure = (typeof figures)[number];

const nameOf = (training: PaperTraining, step: number) => `${idOf(training)}-analysis-${step}`;

export const analysisOf = (training: PaperTraining, step: number) =>
  records.get<Analysis>(nameOf(training, step), recipeOfTraining(training));
/** The file of a figure, in docs/results. */
export const figureOf = (training: PaperTraining, step: number, figure: Figure) =>
  `paper/${training.recipe}-${step}-${figure}.svg`;

/** Looks inside the checkpoints that have no record of that yet. What was trained on another machine is trained again. */
export function analyzeAll(books: string, threads: number): void {
  mkdirSync(figuresFolder, { recursive: true });
  for (const training of analysed) {
    for (const step of analysedSteps) {
      if (analysisOf(training, step) || lossOf(training) === Number.POSITIVE_INFINITY) continue;
      train(training, books, threads);
      const out = join(runOf(training), `analysis-${step}`);
      runCommand(['analyze', checkpointOf(training, step), '--data', `${books}/valid.jsonl.gz`, '--out', out]);
      for (const figure of figures)
        copyFileSync(join(out, `${figure}.svg`), join(figuresFolder, '..', figureOf(training, step, figure)));
      const found = JSON.parse(readFileSync(join(out, 'analysis.json'), 'utf8')) as Analysis & { checkpoint: string };
      const { checkpoint: _, ...analysis } = found;
      records.keep(nameOf(training, step), recipeOfTraining(training), analysis);
    }
  }
}
