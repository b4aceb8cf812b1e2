import { styleText } from 'node:util';
import { CommanderError } from 'commander';
import { peerExitCode } from '../distributed/errors.ts';
import { UserError } from '../errors/index.ts';
import { signalExitCodes } from './signals.ts';

/** File system errors about a path that the user gave: theirs to fix. */
const pathErrors = new Set(
  'EACCES EDQUOT EEXIST EISDIR ELOOP ENAMETOOLONG ENOENT ENOSPC ENOTDIR ENOTEMPTY EPERM EROFS'.split(' '),
);

/**
 * Prints an error on standard error and returns the exit code: 2 and one line for a mistake of the user,
 * 130 or 143 for a signal, 75 if another rank is gone, 1 and the stack for anything else. With `TAPER_DEBUG=1` every error shows
 * its stack.
 */
export function reportError(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has printed it already
  if (error instanceof Error && error.name === 'InterruptedError' && 'reason' in error) {
    process.stderr.write(`taper: ${error.message}\n`);
    return signalExitCodes[error.reason as string] ?? 1;
  }
  const isMistake = error instanceof UserError || isPathError(error);
  // Known by name, since importing the class would load libtorch.
  const isPeer = error instanceof Error && error.name === 'PeerError';
  const isPlain = isMistake || isPeer;
  const name = styleText('red', 'taper:', { stream: process.stderr });
  if (isPlain) process.stderr.write(`${name} ${oneLine((error as Error).message)}\n`);
  if (!isPlain || process.env.TAPER_DEBUG === '1') console.error(error);
  return isMistake ? 2 : isPeer ? peerExitCode : 1;
}

function isPathError(error: unknown): boolean {
  const { code, path } = (error ?? {}) as NodeJS.ErrnoException;
  return error instanceof Error && path !== undefined && code !== undefined && pathErrors.has(code);
}

/** Joins the lines of a text into one. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}
