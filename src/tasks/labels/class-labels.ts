import { DataError } from '../../errors/index.ts';
import { type Reading, shown } from '../cells.ts';

/** More different numbers than this are rarely the names of classes. */
export const manyLabels = 20;

/** The classes of a set of labels. */
interface ClassLabels {
  /** Each label once, in order: the number of a class is its index. */
  labels: string[];
  /** Maps all spellings of a label to one text. */
  identity: (label: string) => string;
  /** Whether all are numbers. */
  isNumeric: boolean;
  /** The first two spellings of the same number, if there are two: `1` and `1.0`. */
  same?: [string, string];
}

const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/**
 * The different labels, in order. If all are numbers, they are ordered as numbers, so that labels 0 … n−1 are the numbers of
 * their classes, and all spellings of one number are one label, spelled as the first; otherwise they are texts, ordered by code
 * units. Spaces around a label do not count.
 */
export function classLabels(all: readonly string[]): ClassLabels {
  const spellings = [...new Set(all.map((label) => label.trim()))];
  const isNumeric = spellings.every((label) => number.test(label));
  const identity = isNumeric ? numberIdentity : (label: string) => label.trim();
  const byIdentity = new Map<string, string>();
  let same: [string, string] | undefined;
  for (const label of spellings) {
    const first = byIdentity.get(identity(label));
    if (first === undefined) byIdentity.set(identity(label), label);
    else same ??= [first, label];
  }
  const labels = [...byIdentity.values()].sort();
  if (isNumeric) labels.sort((a, b) => Number(a) - Number(b));
  return { labels, identity, isNumeric, ...(same && { same }) };
}

/**
 * A number's shortest text. Anything that is not a number, or that float64 cannot distinguish from its neighbours, stays as it is
 * spelled.
 */
function numberIdentity(spelling: string): string {
  const label = spelling.trim();
  const isExact = number.test(label) && Math.abs(Number(label)) <= Number.MAX_SAFE_INTEGER;
  return isExact ? String(Number(label)) : label;
}

/** Reads a label as its index among `labels`. */
export function labelIn(labels: readonly string[], identity = (label: string) => label): Reading<number> {
  const ids = new Map(labels.map((label, id) => [identity(label), id]));
  return (cell, where) => {
    const id = ids.get(identity(String(cell)));
    if (id !== undefined) return id;
    const known = labels.length > manyLabels ? [...labels.slice(0, manyLabels), '…'] : labels;
    throw new DataError(`${where}: the label ${shown(cell)} is not one of ${known.join(', ')}`);
  };
}
