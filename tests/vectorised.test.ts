import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

// A compiler that does not vectorise a kernel makes a step up to twice as slow without a word, so the instructions are counted.

const sources = fileURLToPath(new URL('../../native/kernels', import.meta.url));
const objects = fileURLToPath(new URL('../../build/native/CMakeFiles/taper.dir/kernels', import.meta.url));

/** Additions, products, divisions, roots, maxima and minima of whole vectors of floats that each kernel has at least. */
const leastVectorInstructions: Record<string, number> = {
  adamw: 10,
  attention: 20,
  attentionBackward: 20,
  crossEntropy: 15,
  dropout: 1,
  addDropout: 2,
  gelu: 20,
  geluBackward: 20,
  geluTanh: 20,
  geluTanhBackward: 20,
  gated: 100,
  gatedBackward: 120,
  norm: 9,
  normBackward: 12,
  rotate: 6,
  sumRows: 20,
};

/** Counts them in each function: its kernel's name and the processors that this version of it is for. */
function countVectorInstructions(file: string): { kernel: string; version: string; count: number }[] {
  const { stdout } = spawnSync('objdump', ['-d', '--no-show-raw-insn', file], { encoding: 'utf8', maxBuffer: 1e9 });
  return stdout.split(/\n\n/).flatMap((code) => {
    const [, length, name, version] = /^[0-9a-f]+ <_ZN7kernels(\d+)(\w+)\.arch_(x86_64_v\d)>:/m.exec(code) ?? [];
    if (name === undefined) return [];
    const count = code.match(/\sv(add|sub|mul|div|sqrt|max|min|fn?m(add|sub)\d+)p[sd]\s/g)?.length ?? 0;
    return [{ kernel: name.slice(0, Number(length)), version: version!, count }];
  });
}

const why =
  process.arch !== 'x64' || process.platform !== 'linux'
    ? 'one version of each kernel, for this processor'
    : spawnSync('objdump', ['--version']).status !== 0
      ? 'no objdump here'
      : existsSync(objects)
        ? false
        : 'the addon was not built here';

test('each kernel is vectorised, for processors with AVX2 and with AVX-512', { skip: why }, (t) => {
  const found = readdirSync(objects)
    // An older build leaves what it made of files that are no more.
    .filter((name) => name.endsWith('.o') && existsSync(join(sources, name.slice(0, -2))))
    .flatMap((name) => countVectorInstructions(join(objects, name)));
  if (found.length === 0) return t.skip('one version of each kernel: the compiler is not GCC');
  for (const version of ['x86_64_v3', 'x86_64_v4']) {
    const kernels = new Set(found.filter((one) => one.version === version).map(({ kernel }) => kernel));
    assert.deepEqual([...kernels].sort(), Object.keys(leastVectorInstructions).sort(), version);
  }
  const tooFew = found.filter(({ kernel, count }) => count < leastVectorInstructions[kernel]!);
  assert.deepEqual(tooFew, []);
});
