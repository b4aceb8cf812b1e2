const maxCharacters = 1000;
const minCount = 2;
const keyBase = 2 ** 21; // more than there can be pieces, so that a pair of piece numbers fits a double exactly

/** A heap of pairs: the one of the highest count first, of equal counts the one of the lowest key. */
class PairHeap {
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
    this.#counts[at] = count;
    this.#keys[at] = key;
  }
}

function comesBefore(countA: number, keyA: number, countB: number, keyB: number): boolean {
  return countA > countB || (countA === countB && keyA < keyB);
}

/** The pieces of a text, and the pairs that were merged into those that are no single characters, in that order. */
export interface Pieces {
  pieces: string[];
  merges: [string, string][];
}

/**
 * The first `numPieces` pieces of a text: its characters, then the most frequent pair of neighbouring pieces merged into
 * one, again and again (byte-pair encoding). Fewer come out where no pair is left that occurs twice. A piece that does not
 * begin a word has `prefix` before it: `##` for WordPiece. The characters are the text's most frequent ones, or `alphabet`.
 *
 * The algorithm is Hugging Face's trainer. It is done again here because theirs numbers the `##` characters in the order
 * of a randomly seeded hash table, so that two runs on one text give different vocabularies, and because it stops at
 * 30,000 pieces.
 * Source: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", ACL 2016.
 */
export function trainPieces(
  wordCounts: ReadonlyMap<string, number>,
  numPieces: number,
  { prefix, alphabet = frequentCharacters(wordCounts) }: { prefix: string; alphabet?: readonly string[] },
): Pieces {
  const merges: [string, string][] = [];
  const pieces: string[] = [];
  const numberOf = new Map<string, number>();
  const pieceNumber = (piece: string): number => {
    let number = numberOf.get(piece);
    if (number === undefined) {
      number = pieces.length;
      pieces.push(piece);
      numberOf.set(piece, number);
    }
    return number;
  };

  for (const character of alphabet) pieceNumber(character);
  const inside = new Set<string>();
  for (const word of wordCounts.keys()) for (const character of [...word].slice(1)) inside.add(character);
  for (const character of alphabet) if (inside.has(character)) pieceNumber(prefix + character);

  const known = new Set(alphabet);
  const words: number[][] = [];
  const counts: number[] = [];
  for (const [word, count] of wordCounts) {
    const characters = [...word].filter((character) => known.has(character));
    words.push(characters.map((character, i) => pieceNumber(i === 0 ? character : prefix + character)));
    counts.push(count);
  }

  const pairCounts = new Map<number, number>();
  const pairWords = new Map<number, number[]>();
  const countPairs = (word: number[], change: number): void => {
    for (let i = 1; i < word.length; i++) {
      const key = word[i - 1]! * keyBase + word[i]!;
      pairCounts.set(key, (pairCounts.get(key) ?? 0) + change);
    }
  };
  const noteWord = (key: number, w: number): void => {
    const list = pairWords.get(key);
    if (list) list.push(w);
    else pairWords.set(key, [w]);
  };
  words.forEach((word, w) => {
    countPairs(word, counts[w]!);
    for (let i = 1; i < word.length; i++) noteWord(word[i - 1]! * keyBase + word[i]!, w);
  });
  const heap = new PairHeap();
  for (const [key, count] of pairCounts) heap.push(count, key);

  while (pieces.length < numPieces) {
    const top = heap.pop();
    if (!top || top.count < minCount) break;
    const count = pairCounts.get(top.key)!;
    if (count !== top.count) {
      // The count fell since it was pushed; where it rose, a newer entry stands in the heap already.
      if (count < top.count) heap.push(count, top.key);
      continue;
    }
    const left = Math.floor(top.key / keyBase);
    const right = top.key % keyBase;
    merges.push([pieces[left]!, pieces[right]!]);
    const merged = pieceNumber(pieces[left]! + pieces[right]!.slice(prefix.length));
    const grown = new Set<number>();
    for (const w of pairWords.get(top.key)!) {
      const word = words[w]!;
      const shorter = mergePair(word, left, right, merged);
      if (shorter.length === word.length) continue;
      countPairs(word, -counts[w]!);
      countPairs(shorter, counts[w]!);
      words[w] = shorter;
      for (let i = 1; i < shorter.length; i++) {
        if (shorter[i - 1] !== merged && shorter[i] !== merged) continue;
        const key = shorter[i - 1]! * keyBase + shorter[i]!;
        noteWord(key, w);
        grown.add(key);
      }
    }
    pairWords.delete(top.key);
    for (const key of grown) heap.push(pairCounts.get(key)!, key);
  }
  return { pieces: pieces.slice(0, numPieces), merges };
}

function frequentCharacters(wordCounts: ReadonlyMap<string, number>): string[] {
  const counts = new Map<string, number>();
  for (const [word, count] of wordCounts) {
    for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  return [...counts]
    .sort(([a, countA], [b, countB]) => countB - countA || a.codePointAt(0)! - b.codePointAt(0)!)
    .slice(0, maxCharacters)
    .map(([character]) => character)
    .sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
}

function mergePair(word: readonly number[], left: number, right: number, merged: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < word.length; i++) {
    if (word[i] === left && word[i + 1] === right) {
      result.push(merged);
      i++;
    } else {
      result.push(word[i]!);
    }
  }
  return result;
}
