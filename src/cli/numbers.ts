import { ConfigError } from '../errors/index.ts';

// Readers of the values of options, which throw a ConfigError that names the option.

/** A whole number from `least` up. */
export function countOf(option: string, least = 1): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (Number.isSafeInteger(count) && count >= least) return count;
    throw new ConfigError(`${option} ${text}: not a whole number from ${least} up`);
  };
}

const within = {
  from: { holds: (value: number, bound: number) => value >= bound, words: (bound: number) => `from ${bound} up` },
  above: { holds: (value: number, bound: number) => value > bound, words: (bound: number) => `above ${bound}` },
  below: { holds: (value: number, bound: number) => value < bound, words: (bound: number) => `below ${bound}` },
  to: { holds: (value: number, bound: number) => value <= bound, words: (bound: number) => `at most ${bound}` },
};

/** A number within bounds. */
export function numberOf(option: string, bounds: { [Name in keyof typeof within]?: number }): (text: string) => number {
  const tests = Object.entries(bounds).map(([name, bound]) => ({ ...within[name as keyof typeof within], bound }));
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isFinite(value) && tests.every(({ holds, bound }) => holds(value, bound))) return value;
    throw new ConfigError(
      `${option} ${text}: not a number ${tests.map(({ words, bound }) => words(bound)).join(' and ')}`,
    );
  };
}

/** Reads each value of an option that takes several. */
export function listOf<T>(one: (text: string) => T): (text: string, before: T[] | undefined) => T[] {
  return (text, before = []) => [...before, one(text)];
}
