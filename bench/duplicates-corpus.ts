import { bertTokens, TextTokenizer, wordPieceJson } from '../src/data/index.ts';
import { philox4x32 } from '../src/random/index.ts';

const numWords = 20_000;
/** Words of a document, least and most: 2.1 KB in the mean. */
const [least, most] = [100, 620];
const syllables = [
  'ba',
  'ce',
  'di',
  'fo',
  'gu',
  'ha',
  'je',
  'ki',
  'lo',
  'mu',
  'na',
  'pe',
  'ri',
  'so',
  'tu',
  'va',
  'we',
  'zi',
];

/** The shares of a document's words, from its end, that its edited copies replace. */
export const edits = [0.02, 0.05, 0.08, 0.1, 0.15, 0.25] as const;

/** What a document is: text of its own, or a copy of an earlier one that replaces a share of its words; 0 for an exact copy. */
export type Planned = { source: number; edit: number } | undefined;

/** The document of a number, always the same: 4 of 100 copy an earlier one exactly, and one of 100 with each edit. */
export function planOf(document: number): Planned {
  const draw = drawing(document, 1);
  const kind = draw() % 100;
  if (document < 100 || kind >= 4 + edits.length) return undefined;
  for (let source = draw() % document; ; source = draw() % document) {
    if (!planOf(source)) return { source, edit: kind < 4 ? 0 : edits[kind - 4]! };
  }
}

/** The words of a document, by their numbers: frequent ones are as frequent as Zipf's law says. */
export function wordsOf(document: number): Uint16Array {
  const planned = planOf(document);
  if (!planned) return drawn(document, least + (drawing(document, 2)() % (most - least + 1)));
  const words = wordsOf(planned.source);
  const replaced = Math.round(planned.edit * words.length);
  words.set(drawn(document, replaced), words.length - replaced);
  return words;
}

/** The text of words. */
export const textOf = (words: Uint16Array) => Array.from(words, (word) => vocabulary[word]!).join(' ');

/** The tokens of that text: each word is one. */
export const tokensOf = (words: Uint16Array) => new Int32Array(words).map((word) => bertTokens.length + word);

/** The length of that text, all of which is ASCII. */
export function bytesOf(words: Uint16Array): number {
  let bytes = words.length - 1;
  for (const word of words) bytes += vocabulary[word]!.length;
  return bytes;
}

/** A tokenizer that knows these words. */
export const wordTokenizer = () =>
  TextTokenizer.fromJson(wordPieceJson([...bertTokens, ...vocabulary], { lowercase: true }));

/** 32-bit numbers that are always the same for the same document and use, and independent of all others. */
function drawing(document: number, use: number): () => number {
  let [drawn, block]: [number, ArrayLike<number>] = [0, []];
  return () => {
    if (drawn % 4 === 0) block = philox4x32([drawn / 4, document, use, 0], [0, 0]);
    return block[drawn++ % 4]!;
  };
}

function drawn(document: number, count: number): Uint16Array {
  const draw = drawing(document, 3);
  const words = new Uint16Array(count);
  for (let i = 0; i < count; i++) words[i] = zipf[draw() >>> 12]!;
  return words;
}

/** [2²⁰] Words, each as often as its frequency. */
const zipf = (() => {
  const weights = Array.from({ length: numWords }, (_, rank) => 1 / (rank + 3));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const table = new Uint16Array(2 ** 20);
  let [at, sum] = [0, 0];
  for (const [word, weight] of weights.entries()) {
    sum += weight;
    const end = Math.round((sum / total) * table.length);
    table.fill(word, at, end);
    at = end;
  }
  return table;
})();

const vocabulary = Array.from({ length: numWords }, (_, word) => {
  let [text, rest] = ['', word + 1];
  for (; rest > 0; rest = Math.floor(rest / syllables.length)) text += syllables[rest % syllables.length]!;
  return text;
});
