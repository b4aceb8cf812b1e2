import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Tail } from './tail.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-tail-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What a tail gives in one reading: its lines, and `new` where it began again. */
async function read(tail: Tail): Promise<string[]> {
  const heard: string[] = [];
  await tail.read(
    () => heard.push('new'),
    (line) => heard.push(line),
  );
  return heard;
}

test('each line is given once, when it is complete', async () => {
  const path = join(folder, 'growing');
  const tail = new Tail(path);
  assert.deepEqual(await read(tail), []);
  writeFileSync(path, 'a\nb\nhalf of');
  assert.deepEqual(await read(tail), ['new', 'a', 'b']);
  assert.deepEqual(await read(tail), []);
  appendFileSync(path, ' a line é\n');
  assert.deepEqual(await read(tail), ['half of a line é']);
});

test('a file that was replaced or truncated is read from its start', async () => {
  const path = join(folder, 'replaced');
  const tail = new Tail(path);
  writeFileSync(path, 'a\nb\nc\n');
  await read(tail);
  writeFileSync(join(folder, 'other'), 'a\nd\ne\nf\n');
  renameSync(join(folder, 'other'), path);
  assert.deepEqual(await read(tail), ['new', 'a', 'd', 'e', 'f']);
  writeFileSync(path, 'a\n'); // the same file, shorter
  assert.deepEqual(await read(tail), ['new', 'a']);
});

test('lines of any length are found, with any buffer size', async () => {
  const path = join(folder, 'long');
  const lines = Array.from({ length: 300 }, (_, i) => `${i}`.repeat(i * 100));
  lines[150] = 'x'.repeat(9_000_000);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  assert.deepEqual(await read(new Tail(path)), ['new', ...lines]);
});
