import { recipeOf as recipeOfFile } from '../records.ts';

/** A rung of the ladder: a recipe, told by what it changes in the one that it stands on. */
export interface Rung {
  name: string;
  /** What it is, for a table. */
  label: string;
  /** What trains it. */
  program: 'taper' | 'transformers';
  /** The rung that it stands on; none for a recipe of its own. */
  on?: string;
  /** The rung that its speed-up is over, if another one. */
  comparedWith?: string;
  /** What it changes in configs/quality.yaml, beside what the rungs below it change; nothing where transformers trains. */
  sets?: readonly string[];
  /** Steps that are tried first: about as many as it takes. */
  firstSteps: number;
  /** No more than these are tried. */
  maxSteps: number;
}

export const seeds = [1, 2] as const;

/** Held-out accuracy that each rung is to reach: of masked tokens, 15 % of all. */
export const target = 0.3;

export const rungs: readonly Rung[] = [
  {
    name: 'transformers',
    program: 'transformers',
    label: "transformers' Trainer: BERT (PostLN), AdamW at 1e-4",
    firstSteps: 4000,
    maxSteps: 4000,
  },
  {
    name: 'bert',
    program: 'taper',
    label: "taper, dense: the paper's BERT (PreLN), AdamW at 1e-3",
    sets: ['model.kind=bert', 'train.biasCorrection=false'],
    firstSteps: 8000,
    maxSteps: 11_000,
  },
  {
    name: 'bert-pld',
    program: 'taper',
    label: 'the same with PLD',
    on: 'bert',
    sets: ['depth.method=pld', 'depth.thetaBar=0.5'],
    firstSteps: 8000,
    maxSteps: 11_000,
  },
  {
    name: 'modernbert',
    program: 'taper',
    label: 'ModernBERT, 30 % masked, dense, AdamW at 2e-3',
    comparedWith: 'bert',
    sets: ['model.kind=modernbert', 'train.peakLearningRate=2e-3'],
    firstSteps: 1000,
    maxSteps: 16_000,
  },
  {
    name: 'wsd',
    program: 'taper',
    label: '+ WSD',
    on: 'modernbert',
    sets: ['train.schedule=wsd'],
    firstSteps: 1000,
    maxSteps: 16_000,
  },
  {
    name: 'muon',
    program: 'taper',
    label: '+ Muon, scale 0.8',
    on: 'wsd',
    sets: ['train.optimizer=muon', 'train.muonScale=0.8'],
    firstSteps: 1000,
    maxSteps: 16_000,
  },
  {
    name: 'packing',
    program: 'taper',
    label: '+ packing',
    on: 'muon',
    sets: ['data.packing=documents'],
    firstSteps: 1000,
    maxSteps: 16_000,
  },
  {
    name: 'staged',
    program: 'taper',
    label: '+ staged depth: sub-networks that grow; without packing',
    on: 'muon',
    sets: ['depth.method=staged'],
    firstSteps: 1000,
    maxSteps: 16_000,
  },
  {
    name: 'grow',
    program: 'taper',
    label: '+ growth: 3-6-9-12 blocks over the first half; without packing',
    on: 'muon',
    sets: ['depth.method=grow'],
    firstSteps: 800,
    maxSteps: 16_000,
  },
];

/** What a rung is made of now. */
export const recipeOf = (rung: Rung) => recipeOfFile('configs/quality.yaml', setsOf(rung));

/** What a rung changes in configs/quality.yaml, all rungs below it included. */
export function setsOf({ on, sets = [] }: Rung): string[] {
  const below = rungs.find(({ name }) => name === on);
  return [...(below ? setsOf(below) : []), ...sets];
}
