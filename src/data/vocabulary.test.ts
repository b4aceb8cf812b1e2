// cspell:ignore acgt
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawFor } from '../random/index.ts';
import { trainVocabulary, type Vocabulary } from './vocabulary.ts';

const wordPiece = { prefix: '##' };

// The example of Sennrich, Haddow and Birch 2016, section 3.2, with the last word without its end-of-word mark.
const counts = new Map([
  ['low', 5],
  ['lower', 2],
  ['newest', 6],
  ['widest', 3],
]);
const characters = ['d', 'e', 'i', 'l', 'n', 'o', 'r', 's', 't', 'w'];
const inside = ['##d', '##e', '##i', '##o', '##r', '##s', '##t', '##w'];
// By hand: es and st occur 9 times, of equals, the pair of the earlier tokens comes first; then est 9; lo and ow 7;
// low 7; ne, ew and west 6; the pairs of the word "widest" 3; the pairs of "lower" 2.
const merges = ['##es', '##est', 'lo', 'low', 'ne', '##west', 'newest', '##de', '##ds'];

const tokensOf = async (words: ReadonlyMap<string, number>, size: number) =>
  (await trainVocabulary(words, size, wordPiece)).tokens;

test('the first tokens are the characters, then the most frequent pairs in order', async () => {
  const tokens = await tokensOf(counts, 25);
  assert.deepEqual(tokens.slice(0, 18), [...characters, ...inside]);
  assert.deepEqual(tokens.slice(18), merges.slice(0, 7));
});

test('a smaller vocabulary is the beginning of a larger one, as long as the characters fit', async () => {
  const large = await tokensOf(counts, 1000);
  for (const size of [18, 20, 26]) assert.deepEqual(await tokensOf(counts, size), large.slice(0, size));
});

test('the words become whole tokens when there is room, and then no more tokens come', async () => {
  const tokens = await tokensOf(counts, 1000);
  for (const word of counts.keys()) assert.ok(tokens.includes(word), word);
  assert.ok(tokens.length < 50);
  assert.equal(new Set(tokens).size, tokens.length);
});

test('what occurs once is not merged', async () => {
  assert.deepEqual(await tokensOf(new Map([['ab', 1]]), 10), ['a', 'b', '##b']);
  assert.deepEqual(await tokensOf(new Map([['ab', 2]]), 10), ['a', 'b', '##b', 'ab']);
});

test('repeated characters are merged from the left', async () => {
  assert.deepEqual(await tokensOf(new Map([['aaaaa', 4]]), 10), ['a', '##a', '##aa', 'aaa', 'aaaaa']);
});

/** Byte-pair encoding as its definition says it: every pair is counted anew before each merge. */
function merged(
  wordCounts: ReadonlyMap<string, number>,
  size: number,
  prefix: string,
  alphabet: string[],
): Vocabulary['merges'] {
  const words = Array.from(wordCounts, ([word, count]) => {
    return { count, tokens: [...word].map((character, i) => (i === 0 ? character : prefix + character)) };
  });
  const numbers = new Map(alphabet.map((token, i) => [token, i]));
  const result: Vocabulary['merges'] = [];
  while (numbers.size < size) {
    const pairs = new Map<string, { left: string; right: string; count: number }>();
    for (const { tokens, count } of words) {
      for (let i = 1; i < tokens.length; i++) {
        const [left, right] = [tokens[i - 1]!, tokens[i]!];
        const pair = pairs.get(`${left} ${right}`) ?? { left, right, count: 0 };
        pair.count += count;
        pairs.set(`${left} ${right}`, pair);
      }
    }
    const number = (token: string) => numbers.get(token)!;
    const [best] = [...pairs.values()].sort(
      (a, b) => b.count - a.count || number(a.left) - number(b.left) || number(a.right) - number(b.right),
    );
    if (!best || best.count < 2) break;
    result.push([best.left, best.right]);
    const token = best.left + best.right.slice(prefix.length);
    if (!numbers.has(token)) numbers.set(token, numbers.size);
    for (const word of words) {
      const joined: string[] = [];
      for (let i = 0; i < word.tokens.length; i++) {
        const isPair = word.tokens[i] === best.left && word.tokens[i + 1] === best.right;
        joined.push(isPair ? token : word.tokens[i]!);
        if (isPair) i++;
      }
      word.tokens = joined;
    }
  }
  return result;
}

test('the merges are those of the definition, overlapping pairs among them', async () => {
  const draw = drawFor({ seed: 1, epoch: 0, sample: 0 }, 0);
  for (let round = 0; round < 60; round++) {
    const letters = [...'abc'].slice(0, 1 + (round % 3));
    const words = new Map<string, number>();
    for (let w = 0; w < 8; w++) {
      const word = Array.from({ length: 1 + draw(30) }, () => letters[draw(letters.length)]!).join('');
      words.set(word, 1 + draw(4));
    }
    for (const prefix of ['', '##']) {
      const alphabet = [...letters, ...(prefix ? letters.map((letter) => prefix + letter) : [])];
      const ours = await trainVocabulary(words, 60, { prefix, alphabet });
      assert.deepEqual(ours.merges, merged(words, 60, prefix, alphabet), JSON.stringify([...words]));
    }
  }
});

test('the work is in proportion to the text, also where a word is as long as the text', async () => {
  const draw = drawFor({ seed: 2, epoch: 0, sample: 0 }, 0);
  const dna = (length: number) => Array.from({ length }, () => 'acgt'[draw(4)]!).join('');
  const texts: Record<string, (length: number) => Map<string, number>> = {
    'one character again and again': (length) => new Map([['a'.repeat(length), 1]]),
    'two characters in turn': (length) => new Map([['ab'.repeat(length / 2), 1]]),
    'one line of DNA': (length) => new Map([[dna(length), 1]]),
    'lines of DNA': (length) => new Map(Array.from({ length: length / 500 }, () => [dna(500), 1])),
  };
  for (const [name, words] of Object.entries(texts)) {
    const [small, large] = [10_000, 100_000];
    const visits = async (length: number) => (await trainVocabulary(words(length), 300, wordPiece)).visits / length;
    const [few, many] = [await visits(small), await visits(large)];
    assert.ok(few > 1 && many < 20 && many < 2 * few, `${name}: ${few} and ${many} visits a character`);
  }
});

const chinese = (from: number, to: number, count: (rank: number) => number) =>
  new Map(Array.from({ length: to - from }, (_, i) => [String.fromCodePoint(0x4e00 + from + i), count(i)]));

test('the alphabet grows with the text, and is not one of a thousand characters', async () => {
  const words = chinese(0, 5000, () => 3);
  assert.deepEqual((await tokensOf(words, 30_000)).sort(), [...words.keys()]);
});

test('where the characters do not fit, the most frequent ones are kept, and of equals the lower code points', async () => {
  const words = chinese(0, 3000, (i) => 1 + Math.floor(i / 10));
  assert.deepEqual(await tokensOf(words, 500), [...words.keys()].slice(2500));
  const equal = chinese(0, 3000, () => 2);
  assert.deepEqual(await tokensOf(equal, 500), [...equal.keys()].slice(0, 500));
  assert.deepEqual(await tokensOf(counts, 3), ['e', 'w', '##e']);
});

test('rare characters do not take the room that frequent pairs need', async () => {
  // 3,000 characters of 0.9 % of the text, and one word of the rest.
  const words = new Map([...chinese(0, 3000, () => 1), ['word', 82_000]]);
  const tokens = await tokensOf(words, 2000);
  const at = tokens.indexOf('word');
  assert.ok(at > 0 && at <= 1010, `"word" is the token ${at}`);
});

test('a character has a form inside words only if it occurs inside one', async () => {
  assert.deepEqual(
    await tokensOf(
      new Map([
        ['ab', 1],
        ['c', 1],
      ]),
      10,
    ),
    ['a', 'b', 'c', '##b'],
  );
});

test('a word that cannot be spelled is not part of the training', async () => {
  // q is too rare for a vocabulary of 300 that other characters fill.
  const words = new Map([...chinese(0, 298, () => 1000), ['aqb', 1], ['aqc', 1], ['aqd', 1]]);
  assert.deepEqual((await trainVocabulary(words, 300, wordPiece)).merges, []);
});

test('a long training reports its progress every two seconds', async (t) => {
  const heard: number[] = [];
  const draw = drawFor({ seed: 3, epoch: 0, sample: 0 }, 0);
  const words = new Map([[Array.from({ length: 20_000 }, () => 'abcdefgh'[draw(8)]!).join(''), 1]]);
  let clock = 0;
  t.mock.method(performance, 'now', () => (clock += 100));
  await trainVocabulary(words, 200, { ...wordPiece, onProgress: (tokens) => heard.push(tokens) });
  assert.ok(heard.length >= 5 && heard.every((tokens, i) => tokens > (heard[i - 1] ?? 0)), heard.join(' '));
});
