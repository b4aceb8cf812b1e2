import { type Counts, scoresOf, totalOf } from '../metrics.ts';
import type { Scores } from '../task.ts';

/** An entity: words `start` to `end`, both included. */
export interface Entity {
  type: string;
  start: number;
  end: number;
}

/** The tag of words outside entities. */
export const outside = 'O';

/** A tag's place in its entity, and the entity's type: `B-PER` begins a PER. */
function partsOf(tag: string): { place: string; type: string } {
  const cut = tag.indexOf('-');
  return { place: tag[0] ?? outside, type: cut < 0 ? tag.slice(1) : tag.slice(cut + 1) };
}

/** Whether tags mark where entities begin. */
export const markEntities = (tags: readonly string[]): boolean => tags.some((tag) => /^[BIES]-/.test(tag));

/**
 * The entities of a sentence, in any tagging scheme: IOB1, IOB2, IOE or BIOES. As in the CoNLL tasks, an entity may also begin
 * with an I tag, and a change of type begins a new one.
 *
 * Source: conlleval, and seqeval, which counts like it.
 */
export function entitiesOf(tags: readonly string[]): Entity[] {
  const found: Entity[] = [];
  let begun: { type: string; start: number } | undefined;
  let before = partsOf(outside);
  for (const [i, tag] of [...tags, outside].entries()) {
    const now = partsOf(tag);
    const isOther = now.type !== before.type;
    const ends = 'ES'.includes(before.place) || 'BSO'.includes(now.place) || isOther;
    if (begun && ends) {
      found.push({ ...begun, end: i - 1 });
      begun = undefined;
    }
    const begins = 'BS'.includes(now.place) || 'ESO'.includes(before.place) || isOther;
    if (now.place !== outside && begins) begun = { type: now.type, start: i };
    before = now;
  }
  return found;
}

/** The scores of all entities together, and those of each type: an entity is correct if its type and its words are. */
export function entityScores(
  predicted: readonly (readonly string[])[],
  right: readonly (readonly string[])[],
): { all: Scores; types: Record<string, Scores & { support: number }> } {
  const types = new Map<string, Counts>();
  const of = (type: string) => {
    const counts = types.get(type) ?? { hits: 0, found: 0, there: 0 };
    types.set(type, counts);
    return counts;
  };
  for (const [i, tags] of right.entries()) {
    const [theirs, ours] = [entitiesOf(tags), entitiesOf(predicted[i]!)];
    const keys = new Set(theirs.map((entity) => JSON.stringify(entity)));
    for (const { type } of theirs) of(type).there += 1;
    for (const entity of ours) {
      of(entity.type).found += 1;
      if (keys.has(JSON.stringify(entity))) of(entity.type).hits += 1;
    }
  }
  const named = [...types].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    all: scoresOf(totalOf(types.values())),
    types: Object.fromEntries(named.map(([type, counts]) => [type, { ...scoresOf(counts), support: counts.there }])),
  };
}
