import type { ProcessGroup } from '../distributed/index.ts';
import { numParameters, type Parts } from '../model/index.ts';

/** The rank that owns each parameter, by name. */
export type Owners = ReadonlyMap<string, number>;

/** Assigns each part of a model, largest first, to the rank that owns the least so far. */
export function ownersOf({ blocks, outer }: Parts, { size }: Pick<ProcessGroup, 'size'>): Owners {
  const parts = [...blocks, outer].map((specs) => ({ specs, size: numParameters(specs) }));
  const held = new Array<number>(size).fill(0);
  return new Map(
    parts
      .sort((a, b) => b.size - a.size)
      .flatMap((part) => {
        const owner = held.indexOf(Math.min(...held));
        held[owner]! += part.size;
        return part.specs.map(({ name }) => [name, owner] as const);
      }),
  );
}
