import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filledTexts } from './filled-texts.ts';

test('a sentence is shown once, with its guesses at even distances from the first evaluation to the last', () => {
  const gap = (text: string) => ({
    ...{ before: 'The ', right: 'cat', after: ' sat.' },
    guesses: [{ text, probability: 0.5 }],
  });
  const isNew = { ...gap('dog'), before: 'A ' };
  const evaluations = Array.from({ length: 11 }, (_, i) => ({
    ...{ step: 10 * i, samples: 0, tokens: 0, flops: 0, seconds: 0, loss: 1, perplexity: 1, accuracy: 0 },
    examples: i % 2 === 0 ? [...(i === 10 ? [isNew] : []), gap(`guess ${i}`)] : [],
  }));
  const { steps, texts } = filledTexts(evaluations, 3);
  assert.deepEqual(steps, [0, 60, 100]);
  assert.deepEqual(
    texts.map(({ gap, guesses }) => [gap.before, ...guesses.map((some) => some[0]?.text)]),
    [
      ['A ', undefined, undefined, 'dog'],
      ['The ', 'guess 0', 'guess 6', 'guess 10'],
    ],
  );
  assert.equal(filledTexts(evaluations).steps.length, 6);
  assert.deepEqual(filledTexts([]), { steps: [], texts: [] });
});
