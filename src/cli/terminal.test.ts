import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { WriteStream } from 'node:tty';
import { bold } from './terminal.ts';

/** A terminal with colours, as far as Node asks. */
const terminal = (isTTY: boolean) =>
  Object.assign(new PassThrough(), {
    isTTY,
    getColorDepth: WriteStream.prototype.getColorDepth,
  }) as unknown as NodeJS.WriteStream;

test('colours are for a terminal, unless NO_COLOR is set', (t) => {
  const { TERM, NO_COLOR, FORCE_COLOR } = process.env;
  t.after(() => {
    for (const [name, value] of Object.entries({ TERM, NO_COLOR, FORCE_COLOR })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  delete process.env.FORCE_COLOR;
  delete process.env.NO_COLOR;
  process.env.TERM = 'xterm-256color';
  assert.equal(bold('done', terminal(true)), '\u001b[1m' + 'done' + '\u001b[22m');
  assert.equal(bold('done', terminal(false)), 'done');
  process.env.NO_COLOR = '1';
  assert.equal(bold('done', terminal(true)), 'done');
});
