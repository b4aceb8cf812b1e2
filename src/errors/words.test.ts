import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abortReason, counted } from './words.ts';

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

test('the reason of an abort is a text, or the message of an error', () => {
  const reasons = [AbortSignal.abort('SIGINT'), AbortSignal.abort(new Error('no more time')), AbortSignal.abort()];
  assert.deepEqual(reasons.map(abortReason), ['SIGINT', 'no more time', 'This operation was aborted']);
});
