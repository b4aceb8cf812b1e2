import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Comparison } from '../report/index.ts';

const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/**
 * What `taper compare` says of runs: the program itself says it, in a process of its own, since it reads whole runs and the server
 * keeps little. An error is its one line.
 */
export function compared(folders: readonly string[]): Promise<Comparison | { error: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'compare', ...folders, '--json'], (error, stdout, stderr) => {
      const lines = stderr.trim().split('\n');
      resolve(error ? { error: lines.at(-1)!.replace(/^taper: /, '') } : (JSON.parse(stdout) as Comparison));
    });
  });
}
