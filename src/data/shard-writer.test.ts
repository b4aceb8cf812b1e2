import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DataError } from '../errors/index.ts';
import { temporaryFolder } from './fixtures.ts';
import { LengthsWriter } from './shard-writer.ts';

test('the longest document that uint32 can count is kept, and a longer one is refused', (t) => {
  const folder = temporaryFolder(t);
  const lengths = new LengthsWriter(folder, 2 ** 20);
  lengths.push(2 ** 32 - 1);
  assert.throws(
    () => lengths.push(2 ** 32),
    (error) =>
      error instanceof DataError &&
      /document 2: has 4,294,967,296 tokens; the most is 4,294,967,295; split/.test(error.message),
  );
  assert.deepEqual(lengths.close().blockStarts, [0, 2 ** 32 - 1]);
  assert.equal(readFileSync(join(folder, 'documents.bin')).readUInt32LE(), 2 ** 32 - 1);
});
