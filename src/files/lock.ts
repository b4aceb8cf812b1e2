import { existsSync, linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../errors/index.ts';

/** The locks of this process. One that bears its number and is not among them was left by a process of the same number. */
const held = new Set<string>();
/** A lock without a number that is older than this is what a crash left. */
const youngMs = 1000;

/**
 * Takes a run's folder for this process until disposed: two that write one run would spoil it. A process that was killed
 * leaves its lock behind, which the next one takes over. Processes on another machine are not seen.
 *
 * @throws ConfigError while another process on this machine has it, or another run of this one.
 */
export function lockRun(run: string): Disposable {
  const lock = tryLock(join(run, 'lock'));
  if (typeof lock !== 'number') return lock;
  throw new ConfigError(`${run}: process ${lock} is training this run; wait for it, stop it, or choose another --out`);
}

/**
 * Takes a lock file for this process until disposed; or returns the number of the process on this machine that has it. What a killed
 * process left is taken over.
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
    if (text === '' && isYoung(path)) continue; // its number is about to be written
    removeStale(path, text);
  }
}

/** Removes a lock that says `text`. Another process may have done so and taken it meanwhile: its lock is put back. */
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

/** What a lock says; empty where it is gone or not written yet. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return '';
  }
}

/** The process that took a lock; 0 for one of another machine, since its number says nothing here, and where no number is written. */
function ownerOf(text: string): number {
  const [pid, host = hostname()] = text.split(' ');
  return host === hostname() ? Number(pid) : 0;
}

function isOther(pid: number): boolean {
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    process.kill(pid, 0); // asks only whether it is there
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
