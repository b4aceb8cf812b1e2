import { shingleTokens } from './signature.ts';

/** Numbers below a limit that are always the same for the same seed. */
export function drawing(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** The Jaccard similarity of two documents, from the sets of their shingles. */
export function jaccard(a: readonly number[], b: readonly number[]): number {
  const [first, second] = [shinglesOf(a), shinglesOf(b)];
  const shared = [...first].filter((shingle) => second.has(shingle)).length;
  return shared / (first.size + second.size - shared);
}

function shinglesOf(tokens: readonly number[]): Set<string> {
  const size = Math.min(shingleTokens, tokens.length);
  return new Set(Array.from({ length: tokens.length - size + 1 }, (_, i) => tokens.slice(i, i + size).join()));
}

/** Two documents that begin with the same tokens and end with tokens of their own. */
export function pairOf(
  draw: (limit: number) => number,
  { shared, own, words }: { shared: number; own: number; words: number },
): [number[], number[]] {
  const tokens = (count: number) => Array.from({ length: count }, () => draw(words));
  const head = tokens(shared);
  return [
    [...head, ...tokens(own)],
    [...head, ...tokens(own)],
  ];
}
