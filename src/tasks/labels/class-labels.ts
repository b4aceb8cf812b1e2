import { DataError } from '../../errors/index.ts';
import { type Reading, shown } from '../cells.ts';

/** More numbers than this are seldom the names of classes. */
export const manyLabels = 20;

/** The classes of a set of labels. */
export interface ClassLabels {
  /** One of each, in order: the number of a class is its place. */
  labels: string[];
  /** Gives one text for all spellings of a label. */
  identity: (label: string) => string;
  /** Whether all are numbers. */
  isNumeric: boolean;
  /** The first two spellings of one number, where there are two: `1` and `1.0`. */
  same?: [string, string];
}

const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/**
 * The different labels, in order. Where all are numbers they are ordered as numbers, so that labels 0 … n−1 are the numbers of their
 * classes, and spellings of one number are one label, that of the first; else they are texts, ordered by code units. Spaces around
 * a label do not count.
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

/** A number's shortest text; what is no number, and a number that float64 cannot tell from its neighbours, as it is spelled. */
function numberIdentity(spelling: string): string {
  const label = spelling.trim();
  const isExact = number.test(label) && Math.abs(Number(label)) <= Number.MAX_SAFE_INTEGER;
  return isExact ? String(Number(label)) : label;
}

/** Reads a label as its number among some. */
export function labelIn(labels: readonly string[], identity = (label: string) => label): Reading<number> {
  const ids = new Map(labels.map((label, id) => [identity(label), id]));
  return (cell, where) => {
    const id = ids.get(identity(String(cell)));
    if (id !== undefined) return id;
    const known = labels.length > manyLabels ? [...labels.slice(0, manyLabels), '…'] : labels;
    throw new DataError(`${where}: the label ${shown(cell)} is not one of ${known.join(', ')}`);
  };
}
