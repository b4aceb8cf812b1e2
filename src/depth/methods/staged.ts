import { z } from 'zod';
import { key, rate } from '../../keys/index.ts';
import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { unscaled, whole } from '../state.ts';

/** The keys of `staged`. */
export interface Stages {
  /** The mean number of blocks that run in each stage; derived if missing. */
  stages?: readonly number[] | undefined;
  /** The fraction of the run, at its start, in which every block runs. */
  denseWarmupRatio: number;
}

/**
 * Random sub-networks that grow in stages of equal length: in a stage of mean depth d the first and the last block always
 * run, and each other block with `p = (d − 2)/(L − 2)`, without scaling. Every block runs in the first
 * `denseWarmupRatio` of the steps.
 * Source: Panigrahi et al. 2024, RaPTr (arXiv 2402.05913): 6, 8, 10, 12 for BERT-base. Its scaled variant is not implemented.
 *
 * @throws RangeError without stages, for one whose p is not in (0, 1], and if they decrease.
 */
export function staged(options: Pick<MethodOptions, 'layers' | 'totalSteps'> & Stages): DepthMethod {
  const { layers, stages = [], denseWarmupRatio, totalSteps } = options;
  if (stages.length === 0) throw new RangeError('stages: missing or empty; the paper uses 6, 8, 10, 12 for BERT-base');
  const [mistake] = stageMistakes(layers, stages);
  if (mistake !== undefined) throw new RangeError(mistake);
  const warmupSteps = Math.round(denseWarmupRatio * totalSteps);
  const dense = whole(layers);
  const states = stages.map((depth) => {
    if (layers <= 2 || depth === layers) return dense;
    const keepRate = (depth - 2) / (layers - 2);
    const isFixed = (l: number) => l === 0 || l === layers - 1;
    return unscaled(
      keepRate,
      dense.keepRates.map((_, l) => (isFixed(l) ? 1 : keepRate)),
    );
  });
  return (step) => {
    if (step < warmupSteps) return dense;
    const stage = Math.floor(((step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)) * stages.length);
    return states[Math.min(stage, stages.length - 1)]!;
  };
}

/** Mistakes in the stages, each with its fix. */
function stageMistakes(layers: number, stages: readonly number[]): string[] {
  const outside = stages.filter((stage) => !(stage > 2 && stage <= layers) && stage !== layers);
  const falling = stages.find((stage, i) => stage < (stages[i - 1] ?? 0));
  return [
    ...outside.map(
      (stage) =>
        `depth.stages: ${stage} is not in (2, ${layers}]: the first and the last of ${layers} blocks always run`,
    ),
    ...(falling
      ? [`depth.stages: ${falling} is less than the number before it; numbers must not decrease, as in [6, 8, 10, 12]`]
      : []),
  ];
}

const keys = {
  stages: key(z.array(z.number().gt(0)).min(1).optional(), 'numbers', {
    description: 'For `staged`: the mean number of blocks that run in each of its stages, which have equal length.',
    derived: 'from `layers` / 2 to `layers` in four stages',
    typeName: 'list of numbers > 2 and ≤ `layers`',
  }),
  denseWarmupRatio: key(
    rate().default(0),
    'numbers',
    'For `staged`: the fraction of `steps`, at the start, in which every block runs.',
  ),
};

export const stagedMethod = {
  title: 'random sub-networks that grow (arXiv 2402.05913)',
  reads: [],
  keys,
  words: ({ stages = [] }) => `stages of ${stages.join(', ')} blocks`,
  derive: ({ layers, stages }) => {
    if (stages !== undefined) return [];
    const value = [3, 4, 5, 6].map((sixths) => Math.min(layers, Math.max(3, Math.round((sixths * layers) / 6))));
    return [{ key: 'stages', value, reason: 'layers / 2 to layers' }];
  },
  mistakes: ({ layers, stages = [] }) => stageMistakes(layers, stages),
  jumps: ({ stages = [], denseWarmupRatio, totalSteps }) =>
    stages.map((_, i) => Math.ceil((denseWarmupRatio + ((1 - denseWarmupRatio) * i) / stages.length) * totalSteps)),
  create: staged,
} satisfies NamedMethod<Stages>;
