import assert from 'node:assert/strict';
import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isBeingTrained, lockRun } from './lock.ts';

const run = mkdtempSync(join(tmpdir(), 'taper-lock-'));
const lock = join(run, 'lock');
after(() => rmSync(run, { recursive: true }));

test('the lock of a process of this machine holds while that lives, and a number from another machine says nothing here', () => {
  for (const host of ['', ` ${hostname()}`]) {
    writeFileSync(lock, `${process.ppid}${host}\n`);
    assert.ok(isBeingTrained(run));
    assert.throws(() => lockRun(run), new RegExp(`process ${process.ppid} is training this run`));
  }
  writeFileSync(lock, `${process.ppid} elsewhere\n`);
  assert.ok(!isBeingTrained(run));
  using _held = lockRun(run);
  assert.equal(readFileSync(lock, 'utf8'), `${process.pid} ${hostname()}\n`);
  assert.ok(isBeingTrained(run));
});

test('a lock that another process takes over meanwhile stays its own', (t) => {
  writeFileSync(lock, '999999999\n');
  const read = fs.readFileSync;
  const mock = t.mock.method(fs, 'readFileSync', (...asked: Parameters<typeof read>) => {
    const text = read(...asked);
    mock.mock.restore();
    syncBuiltinESMExports();
    writeFileSync(lock, `${process.ppid} ${hostname()}\n`); // the other one was quicker
    return text;
  });
  syncBuiltinESMExports();
  assert.throws(() => lockRun(run), new RegExp(`process ${process.ppid} is training this run`));
  assert.equal(readFileSync(lock, 'utf8'), `${process.ppid} ${hostname()}\n`);
  assert.deepEqual(readdirSync(run), ['lock']);
});
