import { existsSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';

/** The memory of this machine for this process, in bytes. */
export interface MachineMemory {
  /** All of it, or what a container may use. */
  total: number;
  /** What is not in use; caches, which give way, do not count as use. */
  available: number;
}

/** Where the system tells; tests have their own. */
const systemRoot = '/';

/**
 * The memory that this process may use: the machine's, or less where a control group (a container, a job of a cluster) sets a
 * limit, version 1 or 2, on itself or on a group around it. Outside Linux all of it counts as available.
 */
export function machineMemory(root = systemRoot, machineTotal = totalmem()): MachineMemory {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(read(join(root, 'proc/meminfo')))?.[1];
  const machine = { total: machineTotal, available: available === undefined ? machineTotal : 1024 * Number(available) };
  return groupsOf(root).reduce(
    (least, { limit, used }) => ({
      total: Math.min(least.total, limit),
      available: Math.min(least.available, Math.max(0, limit - used)),
    }),
    machine,
  );
}

/** The limits of the groups of this process, from its own up to the root. */
function groupsOf(root: string): { limit: number; used: number }[] {
  return read(join(root, 'proc/self/cgroup'))
    .split('\n')
    .flatMap((line) => {
      const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      const isFirst = controllers.split(',').includes('memory');
      if (!isFirst && controllers !== '') return [];
      const mount = join(root, 'sys/fs/cgroup', isFirst ? 'memory' : '');
      const names = isFirst
        ? { limit: 'memory.limit_in_bytes', used: 'memory.usage_in_bytes', cache: 'total_inactive_file' }
        : { limit: 'memory.max', used: 'memory.current', cache: 'inactive_file' };
      return foldersAbove(path).flatMap((folder) => {
        const at = (name: string) => read(join(mount, folder, name));
        const limit = Number.parseInt(at(names.limit), 10); // `max` where there is none
        if (!(limit > 0)) return [];
        const cache = new RegExp(`^${names.cache} (\\d+)`, 'm').exec(at('memory.stat'))?.[1] ?? 0;
        return [{ limit, used: Math.max(0, (Number.parseInt(at(names.used), 10) || 0) - Number(cache)) }];
      });
    });
}

/** `/a/b` as `/a/b`, `/a`, `/`: in a container its own group is often mounted as the root. */
function foldersAbove(path: string): string[] {
  const above = dirname(path);
  return above === path ? [path] : [path, ...foldersAbove(above)];
}

function read(file: string): string {
  try {
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  } catch {
    return ''; // not for this user to know
  }
}
