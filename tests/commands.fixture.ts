import { fileURLToPath } from 'node:url';
import type { Ended } from './cli.fixture.ts';

// Runs command lines of `taper` one after the other in one process, which has loaded libtorch once. Each is a message of its
// words, and answered by how it ended.

const main = new URL('../src/cli/main.js', import.meta.url);
let last = Promise.resolve();
let numCommands = 0;

process.stdout.setMaxListeners(0); // each command listens to it
process.on('message', (words: string[]) => {
  last = last.then(async () => {
    process.send!(await run(words));
  });
});
process.on('disconnect', () => process.exit());

async function run(words: readonly string[]): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
      said[name] += chunk;
      for (const callback of rest) if (typeof callback === 'function') callback();
      return true;
    };
  }
  process.argv = [process.execPath, fileURLToPath(main), ...words];
  process.exitCode = undefined;
  numCommands += 1;
  await import(`${main.href}?command=${numCommands}`); // the program anew, on modules that are there
  return { code: Number(process.exitCode ?? 0), signal: null, ...said };
}
