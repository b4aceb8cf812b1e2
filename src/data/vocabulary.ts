import { everyTwoSeconds } from './ticks.ts';

const minCount = 2;
const keyBase = 2 ** 21; // more than there can be tokens, so that a pair of token numbers fits a double exactly
const none = -1;

/** A heap of pairs: the highest count first; of equal counts, the lowest key. */
class PairHeap {
  moves = 0;
  #counts: number[] = [];
  #keys: number[] = [];

  push(count: number, key: number): void {
    let child = this.#counts.length;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!comesBefore(count, key, this.#counts[parent]!, this.#keys[parent]!)) break;
      this.#set(child, this.#counts[parent]!, this.#keys[parent]!);
      child = parent;
    }
    this.#set(child, count, key);
  }

  pop(): { count: number; key: number } | undefined {
    if (this.#counts.length === 0) return undefined;
    const top = { count: this.#counts[0]!, key: this.#keys[0]! };
    const count = this.#counts.pop()!;
    const key = this.#keys.pop()!;
    const size = this.#counts.length;
    if (size === 0) return top;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#before(child + 1, child)) child++;
      if (comesBefore(count, key, this.#counts[child]!, this.#keys[child]!)) break;
      this.#set(parent, this.#counts[child]!, this.#keys[child]!);
      parent = child;
    }
    this.#set(parent, count, key);
    return top;
  }

  #before(a: number, b: number): boolean {
    return comesBefore(this.#counts[a]!, this.#keys[a]!, this.#counts[b]!, this.#keys[b]!);
  }

  #set(at: number, count: number, key: number): void {
    this.moves++;
    this.#counts[at] = count;
    this.#keys[at] = key;
  }
}

function comesBefore(countA: number, keyA: number, countB: number, keyB: number): boolean {
  return countA > countB || (countA === countB && keyA < keyB);
}

/** The tokens of a text, and the pairs that were merged into tokens of more than one character, in that order. */
export interface Vocabulary {
  tokens: string[];
  merges: [string, string][];
  /** The cost of the training: the positions of the text that it visited, and the moves in its heap. */
  visits: number;
}

interface TrainOptions {
  /** The prefix of a token that does not begin a word: `##` for WordPiece. */
  prefix: string;
  /** The tokens of one character. Default: `alphabetOf` the words. */
  alphabet?: readonly string[] | undefined;
  /** Called every two seconds with the number of tokens. */
  onProgress?: ((tokens: number) => void) | undefined;
}

/**
 * The first `numTokens` tokens of a text: its characters, then the most frequent pair of neighbouring tokens merged into one,
 * again and again (byte-pair encoding). Of equally frequent pairs, the one of earlier tokens comes first. There are fewer tokens
 * if no pair is left that occurs twice. A word with a character outside the alphabet is left out; such characters come last, if
 * there is room.
 *
 * The result is that of Hugging Face's trainer. It is reimplemented here because theirs numbers the `##` characters in the order
 * of a randomly seeded hash table, so that two runs on one text give different vocabularies, and because it stops at 30,000
 * tokens. Time is O(n log n) for words of n characters in all, however long one of them is.
 * Source: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", ACL 2016.
 */
export async function trainVocabulary(
  wordCounts: ReadonlyMap<string, number>,
  numTokens: number,
  { prefix, alphabet: given, onProgress }: TrainOptions,
): Promise<Vocabulary> {
  const merges: [string, string][] = [];
  const tokens: string[] = [];
  const numberOf = new Map<string, number>();
  const tokenNumber = (token: string): number => {
    let number = numberOf.get(token);
    if (number === undefined) {
      number = tokens.length;
      tokens.push(token);
      numberOf.set(token, number);
    }
    return number;
  };
  const { alphabet, others } = given ? { alphabet: given, others: [] } : alphabetOf(wordCounts, numTokens, prefix);
  for (const token of alphabet) tokenNumber(token);

  const text = new PairText(spell(wordCounts, numberOf, prefix));
  const heap = new PairHeap();
  for (const { count, key } of text.pairs()) if (count >= minCount) heap.push(count, key);
  const tick = everyTwoSeconds(onProgress);
  while (tokens.length < numTokens) {
    const top = heap.pop();
    if (!top || top.count < minCount) break;
    const count = text.countOf(top.key);
    if (count !== top.count) {
      // The count fell since it was pushed; if it rose, a newer entry is already in the heap.
      if (count >= minCount && count < top.count) heap.push(count, top.key);
      continue;
    }
    const left = Math.floor(top.key / keyBase);
    const right = top.key % keyBase;
    merges.push([tokens[left]!, tokens[right]!]);
    const merged = tokenNumber(tokens[left]! + tokens[right]!.slice(prefix.length));
    for (const key of text.merge(left, right, merged)) {
      const grown = text.countOf(key);
      if (grown >= minCount) heap.push(grown, key);
    }
    await tick(() => tokens.length);
  }
  for (const token of others) tokenNumber(token);
  return { tokens: tokens.slice(0, numTokens), merges, visits: text.visits + heap.moves };
}

/** Words as token ids, one after another, and how often each word occurs. */
interface SpelledWords {
  symbols: Int32Array;
  /** The number of tokens of each word. */
  lengths: number[];
  counts: number[];
}

/** The words that the alphabet can spell completely, as ids. */
function spell(
  wordCounts: ReadonlyMap<string, number>,
  numberOf: ReadonlyMap<string, number>,
  prefix: string,
): SpelledWords {
  let characters = 0;
  for (const word of wordCounts.keys()) characters += word.length;
  const symbols = new Int32Array(characters);
  const lengths: number[] = [];
  const counts: number[] = [];
  const insideNumberOf = new Map(
    Array.from(numberOf).flatMap(([token, number]) =>
      token.startsWith(prefix) ? [[token.slice(prefix.length), number]] : [],
    ),
  );
  let end = 0;
  for (const [word, count] of wordCounts) {
    const start = end;
    for (const character of word) {
      const number = (end === start ? numberOf : insideNumberOf).get(character);
      if (number === undefined) {
        end = start;
        break;
      }
      symbols[end++] = number;
    }
    if (end === start) continue;
    lengths.push(end - start);
    counts.push(count);
  }
  return { symbols: symbols.subarray(0, end), lengths, counts };
}

/**
 * Words in which pairs of neighbouring tokens are counted and merged. Each token is at the place of its first character; the
 * tokens of a word are linked, and so are the places of each pair, so that a merge only visits the places of its pair.
 */
class PairText {
  visits = 0;
  /** The token at each place; −1 if it was merged into the token before. */
  readonly #symbols: Int32Array;
  /** How often the word of each place occurs. */
  readonly #weights: Int32Array;
  /** The places of the tokens before and after it in the word, or −1. */
  readonly #before: Int32Array;
  readonly #behind: Int32Array;
  /** The pair of the token at each place and the one after it, and the pair's places before and after this one, or −1. */
  readonly #pairAt: Int32Array;
  readonly #placeBefore: Int32Array;
  readonly #placeBehind: Int32Array;
  /** By the left token, then by the right one: the number of the pair in the three lists below. */
  readonly #pairs: (Map<number, number> | undefined)[] = [];
  readonly #counts: number[] = [];
  readonly #firstPlaces: number[] = [];
  /** Numbers of pairs that no longer occur, for reuse. */
  readonly #free: number[] = [];

  constructor({ symbols, lengths, counts }: SpelledWords) {
    const empty = () => new Int32Array(symbols.length).fill(none);
    this.#symbols = symbols;
    this.#weights = new Int32Array(symbols.length);
    this.#before = empty();
    this.#behind = empty();
    this.#pairAt = empty();
    this.#placeBefore = empty();
    this.#placeBehind = empty();
    let end = symbols.length;
    for (let w = lengths.length - 1; w >= 0; w--) {
      const start = end - lengths[w]!;
      // From the last place to the first, so that the places of a pair are listed from the first to the last.
      for (let at = end - 1; at >= start; at--) {
        this.#weights[at] = counts[w]!;
        if (at > start) this.#before[at] = at - 1;
        if (at === end - 1) continue;
        this.#behind[at] = at + 1;
        this.#add(at);
      }
      end = start;
    }
  }

  /** Every pair and how often it occurs. */
  *pairs(): Generator<{ key: number; count: number }> {
    for (const [left, rights] of this.#pairs.entries()) {
      for (const [right, pair] of rights ?? []) yield { key: left * keyBase + right, count: this.#counts[pair]! };
    }
  }

  countOf(key: number): number {
    const pair = this.#pairs[Math.floor(key / keyBase)]?.get(key % keyBase);
    return pair === undefined ? 0 : this.#counts[pair]!;
  }

  /** Merges a pair into one token wherever it occurs, from left to right, and returns the keys of the pairs that arise. */
  merge(left: number, right: number, merged: number): Set<number> {
    const grown = new Set<number>();
    const places = this.#placesOf(this.#pairs[left]!.get(right)!);
    if (left === right) places.sort(); // these may overlap
    for (const at of places) {
      this.visits++;
      const second = this.#behind[at]!;
      // Of three in a row, the first two were merged.
      if (this.#symbols[at] !== left || second === none || this.#symbols[second] !== right) continue;
      const before = this.#before[at]!;
      const behind = this.#behind[second]!;
      if (before !== none) this.#remove(before);
      this.#remove(at);
      if (behind !== none) this.#remove(second);
      this.#symbols[at] = merged;
      this.#symbols[second] = none;
      this.#behind[at] = behind;
      if (behind !== none) {
        this.#before[behind] = at;
        grown.add(this.#add(at));
      }
      if (before !== none) grown.add(this.#add(before));
    }
    return grown;
  }

  #placesOf(pair: number): Int32Array {
    let size = 0;
    for (let at = this.#firstPlaces[pair]!; at !== none; at = this.#placeBehind[at]!) size++;
    const places = new Int32Array(size);
    let i = 0;
    for (let at = this.#firstPlaces[pair]!; at !== none; at = this.#placeBehind[at]!) places[i++] = at;
    return places;
  }

  /** Counts the pair that begins at a place, and returns its key. */
  #add(at: number): number {
    this.visits++;
    const left = this.#symbols[at]!;
    const right = this.#symbols[this.#behind[at]!]!;
    this.#pairs[left] ??= new Map();
    const rights = this.#pairs[left];
    let pair = rights.get(right);
    if (pair === undefined) {
      pair = this.#free.pop() ?? this.#counts.length;
      rights.set(right, pair);
      this.#counts[pair] = 0;
      this.#firstPlaces[pair] = none;
    }
    const first = this.#firstPlaces[pair]!;
    this.#counts[pair]! += this.#weights[at]!;
    this.#pairAt[at] = pair;
    this.#placeBefore[at] = none;
    this.#placeBehind[at] = first;
    if (first !== none) this.#placeBefore[first] = at;
    this.#firstPlaces[pair] = at;
    return left * keyBase + right;
  }

  /** Removes the pair that begins at a place from the counts; its tokens stay. */
  #remove(at: number): void {
    this.visits++;
    const pair = this.#pairAt[at]!;
    const before = this.#placeBefore[at]!;
    const behind = this.#placeBehind[at]!;
    this.#counts[pair]! -= this.#weights[at]!;
    if (behind !== none) this.#placeBefore[behind] = before;
    if (before !== none) {
      this.#placeBehind[before] = behind;
      return;
    }
    this.#firstPlaces[pair] = behind;
    if (behind !== none) return;
    this.#pairs[this.#symbols[at]!]!.delete(this.#symbols[this.#behind[at]!]!);
    this.#free.push(pair);
  }
}

/** The rarest characters, with this total share, are left out if they would take more than half of the vocabulary. */
const rareShare = 0.0002;
/** The same, if they would take all of it. */
const lostShare = 0.01;
/** An alphabet of up to this many tokens, as for one European language, is always kept whole. */
const smallAlphabet = 256;

/**
 * The tokens of one character that a vocabulary of `numTokens` begins with: each character, and with `prefix` each that also
 * occurs inside words, in the order of their code points. If there are many, the rarest are left out: those that make up 99 % of
 * the text may take the whole vocabulary, those up to 99.98 % half of it, and all of them an eighth. The `others` are those left
 * out, most frequent first.
 */
function alphabetOf(
  wordCounts: ReadonlyMap<string, number>,
  numTokens: number,
  prefix: string,
): { alphabet: string[]; others: string[] } {
  const everywhere = new Map<string, number>();
  const inside = new Map<string, number>();
  let characters = 0;
  for (const [word, count] of wordCounts) {
    let isInside = false;
    for (const character of word) {
      everywhere.set(character, (everywhere.get(character) ?? 0) + count);
      if (isInside) inside.set(character, (inside.get(character) ?? 0) + count);
      characters += count;
      isInside = true;
    }
  }
  const byCodePoint = ([a]: [string, number], [b]: [string, number]) => a.codePointAt(0)! - b.codePointAt(0)!;
  const ordered = (counts: Map<string, number>) => [...counts].sort(byCodePoint);
  const tokens = [
    // A character comes before its form inside words, because it is at least as frequent.
    ...ordered(everywhere).map(([character, count]) => {
      return { token: character, count, spelled: count - (inside.get(character) ?? 0) };
    }),
    ...ordered(inside).map(([character, count]) => ({ token: prefix + character, count, spelled: count })),
  ];
  const byCount = tokens.toSorted((a, b) => b.count - a.count);
  /** How many of the most frequent tokens leave at most a given share of the text without a spelling. */
  const numLeaving = (share: number): number => {
    let left = characters;
    const at = byCount.findIndex(({ spelled }) => {
      left -= spelled;
      return left <= share * characters;
    });
    return at + 1;
  };
  const size = Math.max(
    Math.min(numLeaving(lostShare), numTokens),
    Math.min(numLeaving(rareShare), Math.floor(numTokens / 2)),
    Math.min(tokens.length, Math.min(numTokens, Math.max(smallAlphabet, Math.floor(numTokens / 8)))),
  );
  const kept = new Set(byCount.slice(0, size));
  return {
    alphabet: tokens.filter((token) => kept.has(token)).map(({ token }) => token),
    others: byCount.slice(size).map(({ token }) => token),
  };
}
