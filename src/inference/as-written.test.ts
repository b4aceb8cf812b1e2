import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asWritten } from './as-written.ts';

/** A gap as a tokenizer gives it that loses capitals, accents and spaces. */
const gap = (before: string, right: string, after: string) => ({ before, right, after, guesses: [] });
async function* texts(...parts: string[]): AsyncGenerator<string> {
  yield* parts;
}

test('sentences get the capitals, accents, spaces and quotation marks of the text, without those of their neighbours', async () => {
  const text =
    'Is it? “Yes.” “The  Café (as\nthey say)\n is  near.”\n\nCHAPTER II\n\nShe said: "The re-election is far off!" He ran.';
  const [near, far] = await asWritten(
    [
      gap('” “ the cafe ( as they ', 'say', ') is near.'),
      gap('” chapter ii she said : " the re - election ', 'is', ' far off!'),
    ],
    texts('Another text. ', text),
  );
  assert.deepEqual(near, gap('“The Café (as they ', 'say', ') is near.”'));
  assert.deepEqual(far, gap('She said: "The re-election ', 'is', ' far off!"'));
});

test('a sentence of a script without spaces is found between others', async () => {
  const [found] = await asWritten(
    [gap('狗 睡 在 ', '火', ' 炉 前 。')],
    texts('外面雪静静地落。狗睡在火炉前。他很少说话。'),
  );
  assert.deepEqual(found, gap('狗睡在', '火', '炉前。'));
});

test('a sentence that the texts do not have keeps its form', async () => {
  const lost = gap('the ', 'cat', ' sat.');
  assert.deepEqual(await asWritten([lost], texts('The category sat.', 'The cat sits.')), [lost]);
});

test('a guess of the removed word is written as in the text', async () => {
  const guesses = [
    { text: 'cafe', probability: 0.5 },
    { text: 'house', probability: 0.1 },
  ];
  const [found] = await asWritten([{ ...gap('the ', 'cafe', ' is near.'), guesses }], texts('The Café is near.'));
  assert.deepEqual(found!.guesses, [{ ...guesses[0], text: 'Café' }, guesses[1]]);
});
