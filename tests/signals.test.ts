import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { linesOf, start, taper, writeTiny } from './cli.fixture.ts';

const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-signals-'));
after(() => rmSync(folder, { recursive: true, force: true }));

// Until 3.12, oneDNN computes with the stack pointer in the heap, which a signal's handler then overwrites (native/signals.h).
test('a training that is sampled twenty thousand times per second computes the same numbers as without', async () => {
  writeTiny(folder);
  const pretrain = ['pretrain', 'tiny.yaml', '--set', 'train.precision=fp32', 'train.steps=40', '--out'];
  const profiled = [process.execPath, '--cpu-prof', '--cpu-prof-dir=profile', '--cpu-prof-interval=50', main];
  const runs = [
    taper([...pretrain, 'quiet'], { cwd: folder }),
    start([...pretrain, 'sampled'], { cwd: folder, command: profiled }).ended,
  ];
  for (const { code, signal, stderr } of await Promise.all(runs)) assert.equal(code, 0, `${signal} ${stderr}`);
  const losses = (run: string) => linesOf(join(folder, run)).map(({ loss }) => loss);
  assert.deepEqual(losses('sampled'), losses('quiet'));
});
