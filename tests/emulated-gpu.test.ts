import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Check } from '../bench/gpu-numbers.ts';

// Machines that test have no GPU: the kernels for one are compiled for the CPU, thread by thread, into an addon that uses them
// instead of the CPU's own, and all that `npm run check:gpu` compares on a GPU is compared with it. What only a GPU does (CUDA's
// compiler, its libraries, streams and pinned memory) is not seen here.

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, 'build/native');
const { libtorch } = JSON.parse(readFileSync(join(root, 'build/setup.json'), 'utf8')) as {
  libtorch: { cuda?: unknown };
};
const skip =
  libtorch.cuda !== undefined && 'libtorch has CUDA here, and the kernels are built for it: npm run check:gpu';

let checks: Check[] = [];

function run(command: string, args: readonly string[], env: Record<string, string> = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout.slice(-3000)}${stderr.slice(-3000)}`);
  return stdout;
}

before(() => {
  if (skip) return;
  run('cmake', ['--build', folder, '--parallel', '2', '--target', 'emulated-gpu']);
  const printed = run(process.execPath, ['dist/bench/gpu-numbers.js', 'cpu'], {
    TAPER_ADDON: join(folder, 'emulated-gpu.node'),
  });
  checks = JSON.parse(printed.trim().split('\n').at(-1)!) as Check[];
});

function assertAll(some: (name: string) => boolean, atLeast: number): void {
  const chosen = checks.filter(({ name }) => some(name));
  assert.ok(chosen.length >= atLeast, `${chosen.length} checks`);
  assert.deepEqual(
    chosen.filter(({ isMet }) => !isMet),
    [],
  );
}

test("the GPU's kernels give the results and the gradients of the CPU's plain operations", { skip }, () => {
  assertAll((name) => /, (float32|bfloat16|float16)$/.test(name), 140);
});

test('dropout of attention has one mask a seed, forward and backward', { skip }, () => {
  assertAll((name) => name.startsWith('attention dropout'), 20);
});

test('steps with these kernels have the losses and the gradient norms of the CPU, whatever the method and precision', {
  skip,
}, () => {
  assertAll((name) => /(^| )\d+ steps, /.test(name), 7);
});

test('two trainings with them are equal bit for bit, a resumed one too, and no tensor is left behind', { skip }, () => {
  assertAll((name) => /differ|left behind/.test(name), 8);
});
