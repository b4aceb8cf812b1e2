import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../errors/index.ts';
import { launch } from './launch.ts';

test('a number of processes that cannot be started is refused', () => {
  const options = { maxRestarts: 0, command: [process.execPath, '--version'], resume: '', say: assert.fail } as const;
  for (const processes of [0, -1, 2.5, Number.NaN]) {
    assert.throws(
      () => launch({ ...options, processes }),
      (error) => error instanceof ConfigError && error.message === `--processes: ${processes} is not an integer ≥ 1`,
    );
  }
});
