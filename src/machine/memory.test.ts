import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { machineMemory } from './memory.ts';

const GiB = 2 ** 30;

/** What a system with these files tells. */
function memoryWith(t: TestContext, files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), 'taper-memory-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const { total, available } = machineMemory(root, 64 * GiB);
  return [total / GiB, available / GiB];
}

const meminfo = {
  'proc/meminfo': `MemTotal:       ${64 * 2 ** 20} kB\nMemFree:  1 kB\nMemAvailable:   ${50 * 2 ** 20} kB\n`,
};

test('without a limit it is the memory of the machine, and caches count as available', (t) => {
  assert.deepEqual(memoryWith(t, meminfo), [64, 50]);
  assert.deepEqual(memoryWith(t, {}), [64, 64]);
});

test('the limit of a control group of version 2 counts, its file cache does not', (t) => {
  const group = {
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': `${8 * GiB}\n`,
    'sys/fs/cgroup/memory.current': `${5 * GiB}\n`,
    'sys/fs/cgroup/memory.stat': `anon 1\ninactive_file ${2 * GiB}\n`,
  };
  assert.deepEqual(memoryWith(t, { ...meminfo, ...group }), [8, 5]);
  assert.deepEqual(memoryWith(t, { ...meminfo, ...group, 'sys/fs/cgroup/memory.max': 'max\n' }), [64, 50]);
});

test('a group around its own may set the limit', (t) => {
  const group = {
    'proc/self/cgroup': '0::/jobs/7/step\n',
    'sys/fs/cgroup/jobs/7/step/memory.max': 'max\n',
    'sys/fs/cgroup/jobs/7/memory.max': `${4 * GiB}\n`,
    'sys/fs/cgroup/jobs/7/memory.current': `${1 * GiB}\n`,
  };
  assert.deepEqual(memoryWith(t, { ...meminfo, ...group }), [4, 3]);
});

test('the limit of a control group of version 1 counts; its huge number for none does not', (t) => {
  const group = {
    'proc/self/cgroup': '5:cpu,cpuacct:/a\n4:memory:/docker/abc\n0::/\n',
    'sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': `${2 * GiB}\n`,
    'sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes': `${3 * GiB}\n`,
    'sys/fs/cgroup/memory/docker/abc/memory.stat': `inactive_file 5\ntotal_inactive_file ${2 * GiB}\n`,
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  };
  assert.deepEqual(memoryWith(t, { ...meminfo, ...group }), [2, 1]);
});

test('on this machine there is some memory', () => {
  const { total, available } = machineMemory();
  assert.ok(available > 1e7 && available <= total, `${available} of ${total}`);
});
