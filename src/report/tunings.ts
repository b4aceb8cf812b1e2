import type { FineTuning } from '../runs/index.ts';
import { percent } from './format.ts';

type Scored = Pick<FineTuning, 'seeds'>;

const bestOf = ({ seeds }: Scored) => {
  const judged = ({ history, bestEpoch }: FineTuning['seeds'][0]) => history[bestEpoch - 1] ?? 0;
  return seeds.reduce((best, seed) => (judged(seed) > judged(best) ? seed : best), seeds[0]!);
};

/** The first score of the first set, of the best seed: `accuracy 91.8 %`. */
export function scoresText(record: Scored): string {
  const [first] = record.seeds.length > 0 ? [...bestOf(record).devs, ...bestOf(record).tests] : [];
  const [score] = Object.entries(first?.scores ?? {});
  return score ? `${score[0]} ${percent(score[1])}` : 'no development set';
}

/** The scores of each seed, then those without a model, as a table; the first row is the header, and `write` formats a score. */
export function scoreRows(
  { seeds, baselines }: Pick<FineTuning, 'seeds' | 'baselines'>,
  write: (score: number) => string = percent,
): string[][] {
  const sets = [
    ...seeds.flatMap(({ seed, bestEpoch, devs, tests }) =>
      [...devs, ...tests].map((set) => ({ model: `seed ${seed}`, epoch: String(bestEpoch), ...set })),
    ),
    ...baselines.flatMap(({ name, sets }) => sets.map((set) => ({ model: name, epoch: '', ...set }))),
  ];
  const names = [...new Set(sets.flatMap(({ scores }) => Object.keys(scores)))];
  return [
    ['model', 'set', 'best epoch', ...names],
    ...sets.map(({ model, set, epoch, scores }) => [
      model,
      set,
      epoch,
      ...names.map((name) => (scores[name] === undefined ? '–' : write(scores[name]))),
    ]),
  ];
}
