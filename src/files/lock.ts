import { existsSync, linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../errors/index.ts';

/** The locks of this process. One with its process id that is not among them was left by an earlier process with the same id. */
const held = new Set<string>();
/** A lock without a process id that is older than this was left by a crash. */
const youngMs = 1000;

/**
 * Locks a run's folder for this process until disposed: two processes writing one run would corrupt it. A killed process leaves
 * its lock behind, which the next one takes over. Processes on other machines are not detected.
 *
 * @throws ConfigError while another process on this machine, or another run of this process, has it.
 */
export function lockRun(run: string): Disposable {
  const lock = tryLock(join(run, 'lock'));
  if (typeof lock !== 'number') return lock;
  throw new ConfigError(`${run}: process ${lock} is training this run; wait for it, stop it, or choose another --out`);
}

/**
 * Takes a lock file for this process until disposed, or returns the id of the process on this machine that has it. The lock of a
 * killed process is taken over.
 */
export function tryLock(path: string): Disposable | number {
  for (;;) {
    try {
      writeFileSync(path, `${process.pid} ${hostname()}\n`, { flag: 'wx' });
      held.add(resolve(path));
      return {
        [Symbol.dispose]: () => {
          held.delete(resolve(path));
          rmSync(path, { force: true });
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const text = textOf(path);
    const owner = ownerOf(text);
    if (isOther(owner) || held.has(resolve(path))) return owner;
    if (text === '' && isYoung(path)) continue; // its process id is about to be written
    removeStale(path, text);
  }
}

/** Removes a lock with the content `text`. Another process may have done so and taken it in the meantime: its lock is put back. */
function removeStale(path: string, text: string): void {
  const aside = `${path}.${process.pid}.${hostname()}`;
  try {
    renameSync(path, aside);
    if (textOf(aside) !== text) linkSync(aside, path);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code!)) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function isYoung(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined || Date.now() - stats.mtimeMs < youngMs;
}

/** Whether a process on this machine is training a run. */
export function isBeingTrained(run: string): boolean {
  const path = join(run, 'lock');
  return existsSync(path) && (held.has(resolve(path)) || isOther(ownerOf(textOf(path))));
}

/** The content of a lock; empty if it is gone or not written yet. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return '';
  }
}

/** The id of the process that took a lock; 0 for one on another machine, whose id means nothing here, and if no id is written. */
function ownerOf(text: string): number {
  const [pid, host = hostname()] = text.split(' ');
  return host === hostname() ? Number(pid) : 0;
}

function isOther(pid: number): boolean {
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    process.kill(pid, 0); // only checks that it exists
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
