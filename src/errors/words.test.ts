import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted } from './words.ts';

test('a count of one has the singular, and large counts have thousands separators', () => {
  assert.deepEqual(
    [0, 1, 2, 1024].map((count) => counted(count, 'file')),
    ['0 files', '1 file', '2 files', '1,024 files'],
  );
  assert.deepEqual(
    [1, 2].map((count) => counted(count, 'batch', 'batches')),
    ['1 batch', '2 batches'],
  );
});
