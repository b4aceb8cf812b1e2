import { permute } from '../data/index.ts';
import { DataError } from '../errors/index.ts';

/** The fraction of a training set that is held out if no development set is given. */
const heldOutFraction = 0.1;

/**
 * Holds out a tenth of the examples as a development set: of each class separately, at least one if it has two. The choice
 * depends only on the examples. Examples whose texts differ only in case and spaces stay together.
 *
 * @throws DataError if there are too few; names the path that they are from.
 */
export function holdOut<E>(
  examples: readonly E[],
  path: string,
  { textsOf, classOf }: { textsOf: (example: E) => readonly string[]; classOf?: (example: E) => unknown },
): { train: E[]; dev: E[] } {
  const groups = groupBy(examples, (example) =>
    JSON.stringify(textsOf(example).map((text) => text.trim().replaceAll(/\s+/g, ' ').toLowerCase())),
  );
  const classes = groupBy(groups.values(), ([first]) => classOf?.(first!));
  const held = new Set<E>();
  for (const members of classes.values()) {
    const count = members.length < 2 ? 0 : Math.max(1, Math.round(heldOutFraction * members.length));
    for (let i = 0; i < count; i++) {
      for (const example of members[permute(i, members.length, { seed: 0, epoch: 0 })]!) held.add(example);
    }
  }
  if (held.size === 0)
    throw new DataError(`${path}: has too few examples to hold some out; give a development set with --dev`);
  return {
    train: examples.filter((example) => !held.has(example)),
    dev: examples.filter((example) => held.has(example)),
  };
}

function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
