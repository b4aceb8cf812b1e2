import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from './folder.ts';

test('a folder and those above it are made, and one that is there stays', () => {
  const base = mkdtempSync(join(tmpdir(), 'taper-folder-'));
  try {
    makeFolder(join(base, 'a/b/c'));
    writeFileSync(join(base, 'a/b/c/file'), '');
    makeFolder(join(base, 'a/b/c'));
    assert.ok(statSync(join(base, 'a/b/c/file')).isFile());
    assert.throws(() => makeFolder(join(base, 'a/b/c/file/d')), { code: 'ENOTDIR' });
  } finally {
    rmSync(base, { recursive: true });
  }
});

test('if no folder can be created, the error comes immediately', { skip: !existsSync('/proc/self') }, () => {
  assert.throws(() => makeFolder('/proc/taper/run'), { code: 'ENOENT' });
});
