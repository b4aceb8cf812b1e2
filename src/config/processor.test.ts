import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasBfloat16Products } from './processor.ts';

test('bfloat16 products are known by the flag of the processor', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-processor-'));
  const cpuInfo = (flags: string) => {
    const path = join(folder, 'cpuinfo');
    writeFileSync(path, `processor\t: 0\nmodel name\t: avx512_bf16 in name only\nflags\t\t: ${flags}\n`);
    return path;
  };
  assert.equal(hasBfloat16Products(cpuInfo('fpu avx512f avx512_bf16 avx512_vnni')), true);
  assert.equal(hasBfloat16Products(cpuInfo('fpu avx2 avx512f')), false);
  assert.equal(hasBfloat16Products(join(folder, 'none')), false);
  rmSync(folder, { recursive: true });
});
