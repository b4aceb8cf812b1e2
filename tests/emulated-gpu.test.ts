import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Check } from '../bench/gpu-numbers.ts';

// Machines that test have no GPU: the kernels for one are compiled for the CPU, thread by thread, into an addon that uses them in
// place of the CPU's own, and all that `npm run check:gpu` compares on a GPU is compared with it. What only a GPU does (CUDA's
// compiler, its libraries, streams and pinned memory) is not seen here.

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, 'build/emulated-gpu');

interface SetupRecord {
  libtorch: { prefix: string; cmakePrefix: string; cuda?: { compiler: string; root: string } };
}

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
  const { libtorch } = JSON.parse(readFileSync(join(root, 'build/setup.json'), 'utf8')) as SetupRecord;
  const { prefix, cmakePrefix, cuda } = libtorch;
  const settings = {
    TAPER_EMULATED_GPU: 'ON',
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_PREFIX_PATH: `${prefix};${cmakePrefix}`,
    NODE_INCLUDE: join(root, 'node_modules/node-api-headers/include'),
    NODE_ADDON_API: join(root, 'node_modules/node-addon-api'),
    ...(cuda && { CMAKE_CUDA_COMPILER: cuda.compiler, CUDA_TOOLKIT_ROOT_DIR: cuda.root, CUDAToolkit_ROOT: cuda.root }),
  };
  const definitions = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
  run('cmake', ['-S', join(root, 'native'), '-B', folder, ...definitions]);
  run('cmake', ['--build', folder, '--parallel', '2']);
  const printed = run(process.execPath, ['dist/bench/gpu-numbers.js', 'cpu'], {
    TAPER_ADDON: join(folder, 'taper.node'),
  });
  checks = JSON.parse(printed.trim().split('\n').at(-1)!) as Check[];
});

function assertAll(some: (name: string) => boolean, atLeast: number): void {
  const chosen = checks.filter(({ name }) => some(name));
  assert.ok(chosen.length >= atLeast, `${chosen.length} checks`);
  assert.deepEqual(
    chosen.filter(({ found, most }) => !(found <= most)), // NaN is neither
    [],
  );
}

test("the GPU's kernels give the results and the gradients of the CPU's plain operations", () => {
  assertAll((name) => /, (float32|bfloat16|float16)$/.test(name), 140);
});

test('dropout of attention has one mask a seed, forward and backward', () => {
  assertAll((name) => name.startsWith('attention dropout'), 5);
});

test('steps with these kernels have the losses and the gradient norms of the CPU, whatever the method and precision', () => {
  assertAll((name) => /(^| )\d+ steps, /.test(name), 7);
});

test('two trainings with them are equal bit for bit, a resumed one too, and no tensor is left behind', () => {
  assertAll((name) => /differ|left behind/.test(name), 8);
});
