// Finds what is needed to build the addon for NVIDIA GPUs: the toolkit with nvcc, and the GPU architectures.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { onPath } from './shell.mjs';

/** Used if no GPU can be queried: A100 and H100; later GPUs compile the H100 code when they load it. */
const usualArchitectures = '80;90';

/**
 * The CUDA toolkit from CUDACXX, CUDA_HOME, the nvcc on PATH, or the `usual` folder. Returns `compiler`, `root` (the
 * folder above its bin and include), `architectures` (`90` for compute capability 9.0) and `hasGpu`, or undefined without nvcc.
 */
export function findCuda(environment, usual) {
  const { CUDACXX, CUDA_HOME } = environment;
  const candidates = [CUDACXX, CUDA_HOME && join(CUDA_HOME, 'bin/nvcc'), 'nvcc', join(usual, 'bin/nvcc')];
  const compiler = candidates.map((name) => onPath(name, environment)).find((path) => path !== undefined);
  if (compiler === undefined) return undefined;
  // nvcc on PATH may be a link or a script; nvcc itself knows its folder.
  const plan = spawnSync(compiler, ['--dryrun', '-c', '-x', 'cu', '/dev/null', '-o', '/dev/null'], {
    env: environment,
    encoding: 'utf8',
  });
  const bin = /^#\$ _HERE_=(.+)$/m.exec(plan.stderr ?? '')?.[1];
  const root = bin === undefined ? join(compiler, '../..') : join(bin, '..');
  const here = architecturesHere(environment);
  return { compiler: join(root, 'bin/nvcc'), root, architectures: here || usualArchitectures, hasGpu: here !== '' };
}

/** The architectures of this machine's GPUs; empty if there are none. */
function architecturesHere(environment) {
  const nvidiaSmi = onPath('nvidia-smi', environment);
  const answer =
    nvidiaSmi &&
    spawnSync(nvidiaSmi, ['--query-gpu=compute_cap', '--format=csv,noheader'], {
      encoding: 'utf8',
    });
  const found = (answer?.stdout ?? '').match(/^\d+\.\d+$/gm) ?? [];
  return [...new Set(found.map((text) => text.replace('.', '')))].sort().join(';');
}
