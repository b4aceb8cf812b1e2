import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz, kinds } from './faults/fuzzing.ts';

// `npm run test:faults` reads thousands of each kind.
const count = 100;

for (const kind of Object.keys(kinds)) {
  test(`${count} broken files (${kind}) are read or refused in one line, without a crash or much memory`, async () => {
    const { refused } = await fuzz(kind, 7, count);
    assert.ok(refused > count / 4, `only ${refused} were refused`);
  });
}
