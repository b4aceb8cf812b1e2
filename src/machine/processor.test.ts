import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultDevice, hasBfloat16Products, numProcessors } from './processor.ts';

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

test('a container has as many processors as its share of time, and at least one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-processor-'));
  const withQuota = (text: string) => {
    const path = join(folder, 'cpu.max');
    writeFileSync(path, text);
    return numProcessors(path);
  };
  const all = availableParallelism();
  assert.equal(withQuota('max 100000\n'), all);
  assert.equal(withQuota('100000 100000\n'), 1);
  assert.equal(withQuota('20000 100000\n'), 1);
  assert.equal(withQuota('150000 100000\n'), Math.min(all, 2));
  assert.equal(withQuota('9900000 100000\n'), Math.min(all, 99));
  assert.equal(numProcessors(join(folder, 'none')), all);
  rmSync(folder, { recursive: true });
});

test('training runs on a GPU if its driver exists, the addon was built for it, and it is not hidden', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-device-'));
  const [driver, setup] = [join(folder, 'nvidiactl'), join(folder, 'setup.json')];
  const device = (environment = {}) => defaultDevice(environment, { driver: [join(folder, 'none'), driver], setup });
  assert.equal(device(), 'cpu');
  writeFileSync(driver, '');
  assert.equal(device(), 'cpu');
  writeFileSync(setup, JSON.stringify({ addon: { libtorch: { version: '1.13.0' } } }));
  assert.equal(device(), 'cpu');
  writeFileSync(
    setup,
    JSON.stringify({ addon: { libtorch: { version: '2.11.0', cuda: { root: '/usr/local/cuda' } } } }),
  );
  assert.equal(device(), 'cuda');
  assert.equal(device({ CUDA_VISIBLE_DEVICES: '1,2' }), 'cuda');
  for (const hidden of ['', '-1']) assert.equal(device({ CUDA_VISIBLE_DEVICES: hidden }), 'cpu');
  rmSync(driver);
  assert.equal(device(), 'cpu');
  rmSync(folder, { recursive: true });
});
