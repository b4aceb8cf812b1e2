import { z } from 'zod';

/** The texts of a configuration key beyond its type and default, for error messages and docs. */
export interface Meaning {
  /** What the key does, with its unit. */
  description: string;
  /** How the value is derived if the key is absent and has no fixed default. */
  derived?: string;
  /** The type in words, if the schema's own would not do. */
  typeName?: string;
  /** The advice in the error message for a wrong value. */
  advice?: string;
}

/**
 * What a key affects, which decides how a resumed run and `compare` treat a difference:
 * `numbers`, the results of a run: a resumed run refuses a change, and `compare` treats such runs as different;
 * `texts`, which text is read and how: a resumed run refuses a change, and `compare` compares the resulting texts;
 * `start`, what a new run starts from: a resumed run already has it, and `compare` treats such runs as different;
 * `time`, how long the run takes: a resumed run may change it, and `compare` treats such runs as different;
 * `nothing` of the above.
 */
export type Affects = 'numbers' | 'texts' | 'start' | 'time' | 'nothing';

/** A configuration key: its type and default, what it affects, and its texts. */
export const key = <T extends z.ZodType>(schema: T, affects: Affects, meaning: string | Meaning): T =>
  schema.meta({ affects, ...(typeof meaning === 'string' ? { description: meaning } : meaning) });

/** The names in a table, for an enum. */
export const namesOf = <T extends object>(table: T) => Object.keys(table) as (keyof T & string)[];

/** A count: an integer ≥ 1. */
export const count = () => z.int().min(1);

/** A fraction or probability in [0, 1). */
export const rate = () => z.number().gte(0).lt(1);
