import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Comparison } from '../report/index.ts';

const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));
const mostBytes = 100e6;

/**
 * What `taper-lm compare` says of runs: the program itself says it, in a process of its own, since it reads whole runs and the server
 * keeps little.
 */
export class Comparer {
  #before: Promise<unknown> = Promise.resolve();

  /** One at a time. An error is its one line. */
  compare(folders: readonly string[], signal: AbortSignal): Promise<Comparison | { error: string }> {
    const comparison = this.#before.then(() =>
      signal.aborted ? { error: 'nobody waits' } : compared(folders, signal),
    );
    this.#before = comparison;
    return comparison;
  }
}

function compared(folders: readonly string[], signal: AbortSignal): Promise<Comparison | { error: string }> {
  return new Promise((resolve) => {
    const options = { signal, maxBuffer: mostBytes };
    execFile(process.execPath, [main, 'compare', ...folders, '--json'], options, (error, stdout, stderr) => {
      const lines = stderr.trim().split('\n');
      resolve(error ? { error: lines.at(-1)!.replace(/^taper: /, '') } : (JSON.parse(stdout) as Comparison));
    });
  });
}
