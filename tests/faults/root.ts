// What only root may do: file systems, networks, limits.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Whether this process may mount file systems and make network namespaces; what stands in the way otherwise. */
export function obstacleToRoot(...programs: string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const program of programs) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `it needs ${program}`;
    }
  }
  return undefined;
}

export function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const memoryGroups = '/sys/fs/cgroup/memory';

/** Whether this process may limit the memory of another one. */
export function obstacleToLimits(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  return existsSync(memoryGroups) || existsSync('/sys/fs/cgroup/cgroup.controllers') ? undefined : 'it needs cgroups';
}

/** A process that takes more than that is ended by the system. */
export function limitMemory(pid: number, megabytes: number): void {
  const isOld = existsSync(memoryGroups);
  const group = join(isOld ? memoryGroups : '/sys/fs/cgroup', `taper-${process.pid}`);
  const limit = isOld ? 'memory.limit_in_bytes' : 'memory.max';
  sh(`mkdir -p ${group}; echo ${megabytes * 1_000_000} > ${group}/${limit}; echo ${pid} > ${group}/cgroup.procs`);
}
