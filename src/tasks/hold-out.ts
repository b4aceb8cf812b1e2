import { permute } from '../data/index.ts';
import { DataError } from '../errors/index.ts';

/** The fraction of a training set that is held out where no set to judge by was given. */
const heldOutFraction = 0.1;

/**
 * Holds out a tenth of the examples to judge by: of each class apart, at least one where it has two. Which ones depends on the examples
 * alone. Examples with the same texts, but for case and spaces, go to one part together.
 *
 * @throws DataError where there are too few, with the path that they are from.
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
    throw new DataError(`${path}: has too few examples to hold some out; give a set to judge by with --dev`);
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
