import { type Draw, drawFor, type SampleKey, Stream } from '../random/index.ts';
import type { TextTokenizer } from './tokenizer.ts';

/** How many tokens are masked, and whether the tokens of a word are masked together. */
export interface MaskOptions {
  maskRate: number;
  wholeWord?: boolean;
}

/** Which tokens of a sequence are predicted, and at which positions. */
export interface Masked {
  /** [M] Ascending. */
  positions: Int32Array;
  /** [M] The original tokens, or the next ones. */
  labels: Int32Array;
}

/**
 * Masks a sequence in place, and returns what is predicted: a pure function of the tokens, the key and the lengths of the
 * documents in the sequence.
 */
export type Mask = (ids: Int32Array, key: SampleKey, documents: readonly number[]) => Masked;

/**
 * BERT's dynamic masking: `max(1, round(maskRate · candidates))` of a sequence's ordinary tokens are chosen without replacement;
 * of those 80 % become [MASK], 10 % a random ordinary token, 10 % stay. Special tokens, including [UNK], are not candidates. With
 * `wholeWord`, words are chosen in random order, skipping those that would exceed that number; a first word that is longer is
 * still taken.
 * Source: Devlin et al., "BERT", NAACL 2019, section 3.1; whole words as in Google's BERT repository.
 */
export function maskTokens(
  tokenizer: TextTokenizer,
  { maskRate, wholeWord = false }: MaskOptions,
): (ids: Int32Array, key: SampleKey) => Masked {
  const { isSpecial, isContinuation, maskId } = tokenizer;
  const ordinary = Int32Array.from(isSpecial.keys()).filter((id) => !isSpecial[id]);

  return (ids, key) => {
    const draw = drawFor(key, Stream.mask);
    const candidates = Int32Array.from(ids.keys()).filter((i) => !isSpecial[ids[i]!]);
    const wanted = Math.min(candidates.length, Math.max(1, Math.round(maskRate * candidates.length)));
    const positions = wholeWord
      ? chooseWords(wordsOf(ids, candidates, isContinuation), wanted, draw)
      : chooseSome(candidates, wanted, draw);
    positions.sort();
    const labels = positions.map((position) => ids[position]!);
    for (const position of positions) {
      const tenth = draw(10);
      if (tenth < 8) ids[position] = maskId;
      else if (tenth === 8) ids[position] = ordinary[draw(ordinary.length)]!;
    }
    return { positions, labels };
  };
}

/** Masks nothing: the token after each but the last of its document is predicted. */
export const nextTokens: Mask = (ids, _key, documents) => {
  const positions: number[] = [];
  let start = 0;
  for (const length of documents) {
    for (let i = start; i < start + length - 1; i++) positions.push(i);
    start += length;
  }
  return { positions: Int32Array.from(positions), labels: Int32Array.from(positions, (i) => ids[i + 1]!) };
};

/** The first `count` of a random order of `items`, which is changed. */
function chooseSome(items: Int32Array, count: number, draw: Draw): Int32Array {
  for (let i = 0; i < count; i++) swap(items, i, i + draw(items.length - i));
  return items.slice(0, count);
}

function chooseWords(words: number[][], count: number, draw: Draw): Int32Array {
  const chosen: number[] = [];
  for (let i = 0; i < words.length && chosen.length < count; i++) {
    swap(words, i, i + draw(words.length - i));
    if (i === 0 || chosen.length + words[i]!.length <= count) chosen.push(...words[i]!);
  }
  return Int32Array.from(chosen);
}

function swap<Item>(items: { [at: number]: Item }, a: number, b: number): void {
  const item = items[a]!;
  items[a] = items[b]!;
  items[b] = item;
}

/** The positions of each word: a token, and the tokens right after it that continue it. */
function wordsOf(ids: Int32Array, candidates: Int32Array, isContinuation: Uint8Array): number[][] {
  const words: number[][] = [];
  for (const position of candidates) {
    const word = words.at(-1);
    if (isContinuation[ids[position]!] && word?.at(-1) === position - 1) word.push(position);
    else words.push([position]);
  }
  return words;
}
