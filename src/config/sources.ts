import type { Config } from './schema.ts';

/** A text that training samples are drawn from. */
export interface TextSource {
  paths: string[];
  /** The fraction of the samples drawn from it. */
  share: number;
}

/** The texts of `data.train`: each entry that has a weight, or all paths as one text. */
export function textSources(train: Config['data']['train']): TextSource[] {
  const weighted = train.filter((entry) => typeof entry !== 'string');
  if (weighted.length === 0) return [{ paths: trainPaths(train), share: 1 }];
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0);
  return weighted.map(({ path, weight }) => ({ paths: [path].flat(), share: weight / total }));
}

/** All paths of `data.train`, with or without weights. */
export function trainPaths(train: Config['data']['train']): string[] {
  return train.flatMap((entry) => (typeof entry === 'string' ? entry : entry.path));
}

/** The smallest share of a text: one sequence in a billion. With much smaller shares double precision is not exact. */
const leastShare = 1e-9;

/** Mistakes in the weights of `data.train`. */
export function weightMistakes(train: Config['data']['train']): string[] {
  const plain = train.find((entry) => typeof entry === 'string');
  const weighted = train.filter((entry) => typeof entry !== 'string');
  if (plain !== undefined && weighted.length > 0)
    return [
      `data.train: ${plain} has no weight, but other texts do; write { path: ${plain}, weight: 1 }, or remove all weights`,
    ];
  const total = weighted.reduce((sum, { weight }) => sum + Math.max(weight, 0), 0);
  return weighted
    .filter(({ weight }) => !(weight / total >= leastShare))
    .map(
      ({ path, weight }) =>
        `data.train: weight ${weight} of ${[path].flat().join(', ')} must be at least ${leastShare} of the sum of all weights; give a number such as 1, or leave the text out`,
    );
}

/** The name of a text in messages. */
export const sourceName = ({ paths }: TextSource) => paths.join(', ');
