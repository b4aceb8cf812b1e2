import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { OpTimes } from '../src/cli/bench-ops.ts';
import type { BenchResult } from '../src/cli/bench-options.ts';
import type { Check } from './gpu-numbers.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Both programs choose the same kernels: OpenBLAS 0.3.21 does not know recent AVX-512 processors by itself. */
const environment = { OPENBLAS_CORETYPE: 'SKYLAKEX', ...process.env };

/** What both programs print. */
export type StepResult = Pick<
  BenchResult,
  'peer' | 'params_m' | 'mean_layers_run' | 'step_s_median' | 'step_s_mean' | 'tokens_per_s' | 'peak_memory_mb'
>;

/** What a program prints last. */
function run(command: string, args: readonly string[]): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd: root, env: environment, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${error?.message ?? stderr}`);
  return stdout.trim().split('\n').at(-1)!;
}

/** What a program in Node prints last. */
export function runNode(args: readonly string[]): string {
  return run(process.execPath, args);
}

/** What a command of taper prints last. */
export function runCommand(args: readonly string[]): string {
  return runNode(['dist/src/cli/main.js', ...args]);
}

/** One run of `taper-lm bench step` in a process of its own. */
export function runTaper(flags: readonly string[]): BenchResult {
  return JSON.parse(runCommand(['bench', 'step', '--json', ...flags]));
}

/** One run of `taper-lm bench ops`. */
export function runOps(flags: readonly string[]): OpTimes {
  return JSON.parse(runCommand(['bench', 'ops', '--json', ...flags]));
}

/** What the checks on a GPU find there, in a process of their own. */
export function runGpuChecks(device: string): Check[] {
  return JSON.parse(runNode(['dist/bench/gpu-numbers.js', device]));
}

/** One run of the PyTorch program with the same flags. */
export function runPyTorch(flags: readonly string[]): StepResult & { loss: number } {
  return JSON.parse(run(python(), ['bench/peer/pytorch_pld.py', ...flags]));
}

/** One run of the program of transformers' models with the same flags. */
export function runTransformers(flags: readonly string[]): StepResult & { loss: number } {
  return JSON.parse(run(python(), ['bench/peer/transformers_models.py', ...flags]));
}

/** One training by transformers' Trainer. */
export function runTrainer(flags: readonly string[]): { step_s_mean: number } {
  return JSON.parse(run(python(), ['bench/peer/transformers_pretrain.py', ...flags]));
}

/** What is missing to run a program of PyTorch that uses these packages as well, if anything. */
export function missingPyTorch(...packages: readonly string[]): string | undefined {
  const modules = ['torch', ...packages];
  if (spawnSync(python(), ['-c', `import ${modules.join(', ')}`]).status === 0) return undefined;
  const ofDebian = packages.length === 0 ? 'python3-torch libopenblas0-openmp' : 'not all of them';
  return `${modules.join(', ')} for ${python()} (pip install ${modules.join(' ')}; Debian: ${ofDebian}; TAPER_PYTHON names another Python)`;
}

let foundPython: string | undefined;
/** A Python that has torch, which takes seconds to import: looked for once. */
function python(): string {
  const candidates = [process.env.TAPER_PYTHON, 'python3', '/usr/bin/python3'].filter((name) => name !== undefined);
  foundPython ??= candidates.find((name) => spawnSync(name, ['-c', 'import torch']).status === 0) ?? 'python3';
  return foundPython;
}
