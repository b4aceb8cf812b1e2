import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gapsText } from './look.ts';

test('gaps mark the right guesses, also the second and third ones, and count them', () => {
  const guesses = ['cat', 'dog', 'bird'].map((text) => ({ text, probability: 0.2 }));
  const gap = (right: string) => ({ before: 'The ', right, after: ' sat.', guesses });
  const text = gapsText(['Cat', 'bird', 'fox'].map(gap));
  const marks = Array.from(text.matchAll(/^ {2}(.{3}) The ____ sat\.$/gm), ([, mark]) => mark);
  assert.deepEqual(marks, ['✓  ', '(✓)', '   ']);
  assert.match(text, /^ {6}cat 20\.0 %, dog 20\.0 %, bird 20\.0 %; the removed word: fox$/m);
  assert.match(text, /^Right at the first guess ✓: 1 of 3; among the three, ✓ or \(✓\): 2 of 3$/m);
});
