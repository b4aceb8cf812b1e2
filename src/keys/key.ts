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

/** A key of the configuration: its type and default, and what it means. */
export const key = <T extends z.ZodType>(schema: T, meaning: string | Meaning): T =>
  schema.meta(typeof meaning === 'string' ? { description: meaning } : { ...meaning });

/** A number of things: 1 or more. */
export const count = () => z.int().min(1);

/** A share of something, or a probability: from 0 to below 1. */
export const rate = () => z.number().gte(0).lt(1);
