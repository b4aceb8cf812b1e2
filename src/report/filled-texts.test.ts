import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filledTexts } from './filled-texts.ts';

test('a text is shown once, with its guesses at even distances from the first evaluation to the last', () => {
  const gap = (guess: string) => ({ right: 'cat', guess, probability: 0.5 });
  const text = (guess: string) => ({ parts: ['the', 'sat'], gaps: [gap(guess)] });
  const withoutGaps = { parts: ['___'], gaps: [] };
  const evaluations = Array.from({ length: 11 }, (_, i) => ({
    ...{ step: 10 * i, samples: 0, tokens: 0, flops: 0, seconds: 0, loss: 1, perplexity: 1, accuracy: 0 },
    examples: i % 2 === 0 ? [withoutGaps, text(`guess ${i}`)] : [],
  }));
  const [shown, ...others] = filledTexts(evaluations, 3);
  assert.deepEqual(others, []);
  assert.deepEqual([shown!.parts, shown!.right], [['the', 'sat'], ['cat']]);
  assert.deepEqual(
    shown!.guesses.map(({ step, gaps }) => [step, gaps[0]!.guess]),
    [
      [0, 'guess 0'],
      [60, 'guess 6'],
      [100, 'guess 10'],
    ],
  );
  assert.equal(filledTexts(evaluations).at(0)!.guesses.length, 6);
  assert.deepEqual(filledTexts([]), []);
});
