import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OutputError } from '../errors/index.ts';

/**
 * Replaces a small file atomically: a reader, a crash, or another process that does the same finds either the old or the new one
 * complete.
 */
export function replaceFile(path: string, text: string): void {
  const beside = join(dirname(path), `.${basename(path)}.${hostname()}-${process.pid}.partial`);
  writing(path, () => {
    try {
      writeFileSync(beside, text);
      sync(beside);
      renameSync(beside, path);
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
  });
}

/** Waits until a file, or a folder's list of names, is on disk. */
export function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Runs `body`, which writes to `path`.
 *
 * @throws OutputError if it cannot; gives the reason, such as a full disk or missing permission.
 */
export function writing<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    const isBlocked = code === 'EEXIST' || code === 'ENOTDIR';
    const reason =
      code === 'ENOSPC' ? 'the disk is full' : isBlocked ? 'a file exists where a folder is needed' : message;
    throw new OutputError(`${path}: cannot be written: ${reason}; free space there, or choose another folder`, {
      cause,
    });
  }
}
