import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'taper-whole-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('several processes replace one file at the same time, and it is whole', async () => {
  const path = join(folder, 'file');
  const program = `
    const { replaceFile } = await import(${JSON.stringify(new URL('./whole.js', import.meta.url).href)});
    for (let i = 0; i < 50; i++) replaceFile(${JSON.stringify(path)}, process.argv[1].repeat(20_000));`;
  const children = ['a', 'b', 'c'].map((letter) =>
    spawn(process.execPath, ['--input-type=module', '-e', program, letter], { stdio: ['ignore', 'ignore', 'inherit'] }),
  );
  for (const [code] of await Promise.all(children.map((child) => once(child, 'exit')))) assert.equal(code, 0);
  assert.match(readFileSync(path, 'utf8'), /^(a{20000}|b{20000}|c{20000})$/);
  assert.deepEqual(readdirSync(folder), ['file']);
});
