/** The model of configs/paper.yaml in one of the paper's forms. */
export const recipes = {
  postln: { label: 'PostLN', sets: ['model.norm=post'] },
  preln: { label: 'PreLN', sets: [] },
  pld: { label: 'PreLN with PLD', sets: ['depth.method=pld', 'depth.thetaBar=0.5'] },
  'postln-random': {
    label: 'PostLN, each block at random, ½',
    sets: ['model.norm=post', 'depth.method=constant', 'depth.profile=uniform', 'depth.thetaBar=0.5'],
  },
  'preln-random': {
    label: 'PreLN, each block at random, ½',
    sets: ['depth.method=constant', 'depth.profile=uniform', 'depth.thetaBar=0.5'],
  },
} as const;

export type Recipe = keyof typeof recipes;

/** A training of a recipe. */
export interface PaperTraining {
  recipe: Recipe;
  learningRate: string;
  seed: number;
}

/** Peak learning rates of pre-training: from the one of BERT to three times the paper's. */
export const learningRates = ['1e-4', '3e-4', '1e-3', '3e-3'] as const;

const seed = 1;
/** The original BERT, which the paper compares its times with. */
export const baseline: PaperTraining = { recipe: 'postln', learningRate: '1e-4', seed };
export const preln: PaperTraining = { recipe: 'preln', learningRate: '1e-3', seed };
export const pld: PaperTraining = { recipe: 'pld', learningRate: '1e-3', seed };
/** The recipes that the paper compares. */
export const compared: readonly PaperTraining[] = [
  baseline,
  { recipe: 'postln', learningRate: '1e-3', seed },
  preln,
  pld,
];

const others: PaperTraining[] = [
  ...(['preln-random', 'postln-random'] as const).map((recipe) => ({ recipe, learningRate: '1e-3', seed: 1 })),
  ...(['postln', 'preln', 'pld'] as const).flatMap((recipe) =>
    learningRates.map((learningRate) => ({ recipe, learningRate, seed: 1 })),
  ),
  ...compared.map((training) => ({ ...training, seed: 2 })),
];

export const idOf = ({ recipe, learningRate, seed }: PaperTraining) => `${recipe}-${learningRate}-${seed}`;

/** All trainings, the compared ones first. */
export const trainings: readonly PaperTraining[] = [
  ...new Map([...compared, ...others].map((training) => [idOf(training), training])).values(),
];

export function trainingOf(id: string): PaperTraining {
  const found = trainings.find((training) => idOf(training) === id);
  if (!found) throw new Error(`${id}: there are ${trainings.map(idOf).join(', ')}`);
  return found;
}

/** Steps whose checkpoints are looked at: early, after about 47 and 53 % of the samples, as the paper's checkpoints 87 and 100 of 186, and at the end. */
export const checkpoints = { early: 200, some: 1400, half: 1600, all: 3000 } as const;

/** Peak learning rates of fine-tuning. */
export const fineTuningRates = ['1e-4', '3e-4', '1e-3', '3e-3'] as const;
