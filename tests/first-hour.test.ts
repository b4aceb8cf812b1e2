import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sentencesOf, taskOf } from '../bench/first-hour/texts.ts';

test('sentences of 5 to 40 words are the examples of a paragraph', () => {
  const text = `"Who is it?" asked the old man. ${'word '.repeat(40)}word. ${'word '.repeat(39)}word. It was I, he said.`;
  const found = sentencesOf({ text, label: 'first' });
  assert.deepEqual(
    found.map((sentence) => [sentence.text.split(' ').length, sentence.label]),
    [
      [40, 'first'],
      [5, 'first'],
    ],
  );
});

test('a fifth of the texts is held out, and no example of training is in the test', () => {
  const all = Array.from({ length: 2000 }, (_, i) => ({ text: `text ${i % 1900} is here.`, label: String(i % 2) }));
  const { texts, train, test } = taskOf('a', 'a', all);
  assert.ok(Math.abs(texts.length / all.length - 0.8) < 0.03, `${texts.length}`);
  assert.equal(train.length + test.length, 1900, 'each text once');
  const trained = new Set([...texts, ...train].map(({ text }) => text));
  assert.ok(test.every(({ text }) => !trained.has(text)));
  assert.deepEqual(
    taskOf('a', 'a', all.toReversed()).test.map(({ text }) => text),
    test.map(({ text }) => text),
  );
});
