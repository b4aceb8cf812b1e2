import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { WriteStream } from 'node:tty';
import { bold } from './terminal.ts';

/** A terminal in the given environment, as far as Node asks. */
const terminal = (isTTY: boolean, environment: object) =>
  Object.assign(new PassThrough(), {
    isTTY,
    getColorDepth: () => WriteStream.prototype.getColorDepth(environment),
  }) as unknown as NodeJS.WriteStream;

test('colours are for a terminal, unless NO_COLOR is set', (t) => {
  const { FORCE_COLOR } = process.env;
  t.after(() => {
    if (FORCE_COLOR !== undefined) process.env.FORCE_COLOR = FORCE_COLOR;
  });
  delete process.env.FORCE_COLOR;
  const TERM = 'xterm-256color';
  assert.equal(bold('done', terminal(true, { TERM })), '\u001b[1m' + 'done' + '\u001b[22m');
  assert.equal(bold('done', terminal(false, { TERM })), 'done');
  assert.equal(bold('done', terminal(true, { TERM, NO_COLOR: '1' })), 'done');
});
