import { z } from 'zod';

/** What a key of the configuration says of itself beyond its type and default: error messages and docs are made of it. */
export interface Meaning {
  /** What the key does, with its unit. */
  description: string;
  /** Where the value comes from when the key is absent and has no fixed default. */
  derived?: string;
  /** How to say its type, where the schema's own words would not do. */
  typeName?: string;
  /** What a wrong value's error message adds. */
  advice?: string;
}

/**
 * What a key changes, from which follows what a resumed run and a comparison make of a difference:
 * `numbers`, those that a run computes: a resumed run refuses it, and `compare` keeps such runs apart;
 * `texts`, which text is read, and how: a resumed run refuses it, `compare` looks at the texts that came of it;
 * `start`, what a new run begins with: a resumed one has it already, `compare` keeps them apart;
 * `time`, how long it takes: a resumed run may change it, `compare` keeps them apart;
 * `nothing` of all that.
 */
export type Affects = 'numbers' | 'texts' | 'start' | 'time' | 'nothing';

/** A key of the configuration: its type and default, what it affects, and what it means. */
export const key = <T extends z.ZodType>(schema: T, affects: Affects, meaning: string | Meaning): T =>
  schema.meta({ affects, ...(typeof meaning === 'string' ? { description: meaning } : meaning) });

/** The names in a table, for an enum of them. */
export const namesOf = <T extends object>(table: T) => Object.keys(table) as (keyof T & string)[];

/** A number of things: 1 or more. */
export const count = () => z.int().min(1);

/** A share of something, or a probability: from 0 to below 1. */
export const rate = () => z.number().gte(0).lt(1);
