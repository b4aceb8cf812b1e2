import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BenchResult } from '../src/cli/bench.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const peerPath =
  process.env.TAPER_PEER ?? fileURLToPath(new URL('../../../shared/peer/pytorch_pld.py', import.meta.url));

/** Both programs choose the same kernels: OpenBLAS 0.3.21 does not know recent AVX-512 processors by itself. */
const environment = { OPENBLAS_CORETYPE: 'SKYLAKEX', ...process.env };

function runJson(command: string, args: readonly string[]): BenchResult {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, env: environment, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as BenchResult;
}

/** One run of `taper bench step` in a process of its own. */
export function runTaper(flags: readonly string[]): BenchResult {
  return runJson(process.execPath, ['dist/src/cli/main.js', 'bench', 'step', '--json', ...flags]);
}

/** One run of the PyTorch program with the same flags. */
export function runPyTorch(flags: readonly string[]): BenchResult {
  return runJson(python(), [peerPath, ...flags]);
}

/** What is missing to run the PyTorch program, if anything. */
export function missingPyTorch(): string | undefined {
  if (!existsSync(peerPath)) return `the PyTorch program (${peerPath}; TAPER_PEER names another place)`;
  if (spawnSync(python(), ['-c', 'import torch']).status !== 0)
    return `PyTorch for ${python()} (Debian: python3-torch)`;
  return undefined;
}

function python(): string {
  const candidates = [process.env.PYTHON, 'python3', '/usr/bin/python3'].filter((name) => name !== undefined);
  return candidates.find((name) => spawnSync(name, ['-c', 'import torch']).status === 0) ?? 'python3';
}
