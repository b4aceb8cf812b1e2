import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trainPieces } from './pieces.ts';

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
// By hand: es and st occur 9 times, of equals the pair of the earlier pieces comes first; then est 9; lo and ow 7;
// low 7; ne, ew and west 6; the pairs of the word "widest" 3; the pairs of "lower" 2.
const merges = ['##es', '##est', 'lo', 'low', 'ne', '##west', 'newest', '##de', '##ds'];

test('the first pieces are the characters, then the most frequent pairs in order', () => {
  const pieces = trainPieces(counts, 25, wordPiece).pieces;
  assert.deepEqual(pieces.slice(0, 18), [...characters, ...inside]);
  assert.deepEqual(pieces.slice(18), merges.slice(0, 7));
});

test('a smaller vocabulary is the beginning of a larger one', () => {
  const large = trainPieces(counts, 1000, wordPiece).pieces;
  for (const size of [0, 5, 20, 26])
    assert.deepEqual(trainPieces(counts, size, wordPiece).pieces, large.slice(0, size));
});

test('the words become whole pieces when there is room, and then no more pieces come', () => {
  const pieces = trainPieces(counts, 1000, wordPiece).pieces;
  for (const word of counts.keys()) assert.ok(pieces.includes(word), word);
  assert.ok(pieces.length < 50);
  assert.equal(new Set(pieces).size, pieces.length);
});

test('what occurs once is not merged', () => {
  assert.deepEqual(trainPieces(new Map([['ab', 1]]), 10, wordPiece).pieces, ['a', 'b', '##b']);
  assert.deepEqual(trainPieces(new Map([['ab', 2]]), 10, wordPiece).pieces, ['a', 'b', '##b', 'ab']);
});

test('repeated characters are merged from the left', () => {
  assert.deepEqual(trainPieces(new Map([['aaaaa', 4]]), 10, wordPiece).pieces, ['a', '##a', '##aa', 'aaa', 'aaaaa']);
});

test('of very many characters the thousand most frequent are kept', () => {
  const rare = Array.from({ length: 1500 }, (_, i) => [String.fromCodePoint(0x4e00 + i), i < 1000 ? 3 : 2] as const);
  const pieces = trainPieces(new Map(rare), 5000, wordPiece).pieces;
  assert.deepEqual(
    pieces,
    rare.slice(0, 1000).map(([character]) => character),
  );
});
