import { ConfigError } from '../errors/index.ts';

// Parsers of option values; each throws a ConfigError that names the option.

/** A number; NaN for white space, which `Number` takes as 0. */
const parsed = (text: string) => (text.trim() === '' ? Number.NaN : Number(text));

/** An integer ≥ `least`. */
export function countOf(option: string, least = 1): (text: string) => number {
  return (text) => {
    const count = parsed(text);
    if (Number.isSafeInteger(count) && count >= least) return count;
    throw new ConfigError(`${option} ${text}: not an integer ≥ ${least}`);
  };
}

const within = {
  from: { holds: (value: number, bound: number) => value >= bound, words: (bound: number) => `≥ ${bound}` },
  above: { holds: (value: number, bound: number) => value > bound, words: (bound: number) => `> ${bound}` },
  below: { holds: (value: number, bound: number) => value < bound, words: (bound: number) => `< ${bound}` },
  to: { holds: (value: number, bound: number) => value <= bound, words: (bound: number) => `≤ ${bound}` },
};

/** A number within bounds. */
export function numberOf(option: string, bounds: { [Name in keyof typeof within]?: number }): (text: string) => number {
  const tests = Object.entries(bounds).map(([name, bound]) => ({ ...within[name as keyof typeof within], bound }));
  return (text) => {
    const value = parsed(text);
    if (Number.isFinite(value) && tests.every(({ holds, bound }) => holds(value, bound))) return value;
    throw new ConfigError(
      `${option} ${text}: not a number ${tests.map(({ words, bound }) => words(bound)).join(' and ')}`,
    );
  };
}

/** Collects the values of an option that takes several. */
export function listOf<T>(one: (text: string) => T): (text: string, before: T[] | undefined) => T[] {
  return (text, before = []) => [...before, one(text)];
}
