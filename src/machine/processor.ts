// cspell:ignore bavx
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setupState } from './place.ts';

/**
 * Whether this CPU supports bfloat16 (AVX-512 BF16; CPUs with AMX have that too). Without
 * it bfloat16 is slower than float32. Known on Linux only; elsewhere false.
 */
export function hasBfloat16Products(cpuInfo = '/proc/cpuinfo'): boolean {
  return existsSync(cpuInfo) && /^flags\s*:.*\bavx512_bf16\b/m.test(readFileSync(cpuInfo, 'utf8'));
}

/**
 * Where training runs when nobody says so: `cuda` where an NVIDIA GPU is there, not hidden by CUDA_VISIBLE_DEVICES, and the addon
 * was built for it, else `cpu`. libtorch, which would know, takes seconds to load.
 */
export function defaultDevice(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  files = {
    driver: ['/dev/nvidiactl', '/dev/dxg'],
    setup: setupState(environment),
  },
): 'cuda' | 'cpu' {
  if (/^\s*(-1.*)?$/.test(environment.CUDA_VISIBLE_DEVICES ?? '0')) return 'cpu';
  if (!files.driver.some((path) => existsSync(path)) || !existsSync(files.setup)) return 'cpu';
  const { addon } = JSON.parse(readFileSync(files.setup, 'utf8')) as { addon?: { libtorch?: { cuda?: object } } };
  return addon?.libtorch?.cuda === undefined ? 'cpu' : 'cuda';
}

/** The processors that this process may use: those of its affinity, and of a container's share of time. */
export function numProcessors(cpuMax = '/sys/fs/cgroup/cpu.max'): number {
  const available = availableParallelism();
  if (!existsSync(cpuMax)) return available;
  const [quota, period] = readFileSync(cpuMax, 'utf8').split(' ').map(Number); // `max 100000` where there is no limit
  return quota! > 0 ? Math.min(available, Math.max(1, Math.ceil(quota! / period!))) : available;
}
