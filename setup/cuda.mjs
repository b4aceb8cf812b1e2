// Finds what builds the addon for NVIDIA's GPUs: the toolkit with nvcc, and which GPUs to build for.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { onPath } from './shell.mjs';

/** Where the GPU cannot be asked: A100 and H100; later ones translate the code of the latter when they load it. */
const usualArchitectures = '80;90';

/**
 * The CUDA toolkit: that of CUDACXX or CUDA_HOME, of the nvcc on PATH, or the one in the `usual` place. Returns `compiler`, `root` (the
 * folder above its bin and include), `architectures` (`90` for compute capability 9.0) and `hasGpu`, or undefined without nvcc.
 */
export function findCuda(environment, usual) {
  const { CUDACXX, CUDA_HOME } = environment;
  const candidates = [CUDACXX, CUDA_HOME && join(CUDA_HOME, 'bin/nvcc'), 'nvcc', join(usual, 'bin/nvcc')];
  const compiler = candidates.map((name) => onPath(name, environment)).find((path) => path !== undefined);
  if (compiler === undefined) return undefined;
  // What is on PATH may be a link or a script: nvcc itself knows where it is.
  const plan = spawnSync(compiler, ['--dryrun', '-c', '-x', 'cu', '/dev/null', '-o', '/dev/null'], {
    env: environment,
    encoding: 'utf8',
  });
  const bin = /^#\$ _HERE_=(.+)$/m.exec(plan.stderr ?? '')?.[1];
  const root = bin === undefined ? join(compiler, '../..') : join(bin, '..');
  const here = architecturesHere(environment);
  return { compiler: join(root, 'bin/nvcc'), root, architectures: here || usualArchitectures, hasGpu: here !== '' };
}

/** Those of the GPUs of this machine; empty where there is none. */
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
