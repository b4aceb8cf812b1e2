import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleOf, gapsText } from './look.ts';

test('gaps mark the right guesses, also the second and third ones, and count them', () => {
  const guesses = ['cat', 'dog', 'bird'].map((text) => ({ text, probability: 0.2 }));
  const gap = (right: string) => ({ before: 'The ', right, after: ' sat.', guesses });
  const text = gapsText(['Cat', 'bird', 'fox'].map(gap));
  const marks = Array.from(text.matchAll(/^ {2}(.{3}) The ____ sat\.$/gm), ([, mark]) => mark);
  assert.deepEqual(marks, ['✓  ', '(✓)', '   ']);
  assert.match(text, /^ {6}cat 20\.0 %, dog 20\.0 %, bird 20\.0 %; the removed word: fox$/m);
  assert.match(text, /^Right at the first guess ✓: 1 of 3; among the three, ✓ or \(✓\): 2 of 3$/m);
});

test('the sentence to try is one that the model fills, and that reads well in a shell', () => {
  const gap = (before: string, right: string) => ({
    before,
    right,
    after: ' sat.',
    guesses: [{ text: 'cat', probability: 0.2 }],
  });
  const [missed, hit, quoted] = [gap('My ', 'fox'), gap('The ', 'cat'), gap('"Her ', 'cat')];
  assert.equal(exampleOf([missed, quoted, hit]), 'The [MASK] sat.');
  assert.equal(exampleOf([quoted, missed]), 'My [MASK] sat.');
  assert.equal(exampleOf([quoted]), '"Her [MASK] sat.');
  assert.equal(exampleOf([]), undefined);
});
