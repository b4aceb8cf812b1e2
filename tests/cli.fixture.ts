import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// Runs the command line as its users do, on texts and models so small that a run takes a second.

const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

/** How a program ended, and what it said. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running `taper`, and its end. */
export interface Started {
  child: ChildProcess;
  ended: Promise<Ended>;
}

export interface TaperOptions {
  cwd: string;
  program?: string;
  /** Instead of Node and the program: what they are started by, and they. */
  command?: readonly string[];
  /** Beside those of the tests. */
  env?: Record<string, string>;
}

/** Starts `taper` with these arguments in a folder. */
export function start(
  cliArguments: readonly string[],
  { cwd, program = main, command = [process.execPath, program], env }: TaperOptions,
): Started {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...ours } = process.env;
  const child = spawn(command[0]!, [...command.slice(1), ...cliArguments], {
    cwd,
    env: { ...ours, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (bytes) => {
    said.stdout += bytes;
  });
  child.stderr.on('data', (bytes) => {
    said.stderr += bytes;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve({ code, signal, ...said }));
  });
  return { child, ended };
}

/** Runs `taper` to its end. */
export function taper(cliArguments: readonly string[], options: TaperOptions): Promise<Ended> {
  return start(cliArguments, options).ended;
}

/** Runs the command that ends a message, as a person would type it into a shell. */
export function typed(message: string, { cwd }: { cwd: string }): Promise<Ended> {
  const words = /npx taper-lm .*/.exec(message.trimEnd().split('\n').at(-1)!)?.[0];
  assert.ok(words, `no command in: ${message}`);
  const command = words.replace('npx taper-lm', `"${process.execPath}" "${main}"`);
  return start([], { cwd, command: ['sh', '-c', command] }).ended;
}

/**
 * Runs `taper` in a folder like `taper(words, { cwd })`, but all commands in one process of their own, one at a time: the start
 * of a process, with libtorch, is most of what a short command takes.
 */
export function quickTaper(folder: () => string): (words: readonly string[]) => Promise<Ended> {
  let running: { child: ChildProcess; ended: Promise<never> } | undefined;
  let last: Promise<unknown> = Promise.resolve();
  after(() => running?.child.connected && running.child.disconnect());
  const startOne = () => {
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
    const child = fork(fileURLToPath(new URL('commands.fixture.js', import.meta.url)), { cwd: folder(), env });
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the process of quick commands ended with ${signal ?? code}`);
    });
    ended.catch(() => {}); // after the last command it may
    return { child, ended };
  };
  const run = async (words: readonly string[]): Promise<Ended> => {
    running ??= startOne();
    running.child.send(words);
    const [answer] = (await Promise.race([once(running.child, 'message'), running.ended])) as [Ended];
    return answer;
  };
  return (words) => {
    const next = last.then(() => run(words));
    last = next.catch(() => {});
    return next;
  };
}

/**
 * `taper` in a folder: as it ends, with success and what it printed, or refused in one line with exit code 2. `quick` is for
 * commands that do not depend on a process of their own.
 */
export function commandsIn(cwd: string) {
  const run = (...words: string[]) => taper(words, { cwd });
  const runQuick = quickTaper(() => cwd);
  const quick = (...words: string[]) => runQuick(words);
  return {
    run,
    quick,
    async done(...words: string[]) {
      const { code, stdout, stderr } = await quick(...words);
      assert.equal(code, 0, stderr);
      return { stdout, stderr };
    },
    async refused(words: string[], reason: RegExp) {
      const { code, stdout, stderr } = await quick(...words);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr.trim(), reason);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    },
  };
}

const subjects = ['cat', 'dog', 'bird', 'child', 'farmer', 'queen', 'sailor', 'river'];
const verbs = ['sees', 'likes', 'follows', 'finds', 'leaves', 'paints', 'carries', 'hears'];
const places = ['garden', 'house', 'forest', 'harbour', 'market', 'valley', 'tower', 'school'];

/** English sentences, always the same for the same seed. */
export function sentences(count: number, seed: number): string {
  let state = seed;
  const pick = (words: readonly string[]) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return words[(state >>> 16) % words.length]!;
  };
  return Array.from(
    { length: count },
    () => `The ${pick(subjects)} ${pick(verbs)} the ${pick(subjects)} in the ${pick(places)}. `,
  ).join('');
}

/** A model of two blocks and a run of four steps, as YAML. */
export const tinyConfig = `
model: { layers: 2, hiddenSize: 32, heads: 2, ffnSize: 64, vocabSize: 120, maxPositions: 32 }
depth: { method: pld, thetaBar: 0.5, gamma: 100/T }
data: { train: [train.txt], valid: [valid.txt], sequenceLength: 32, objective: mlm+nsp }
train: { steps: 4, batchSize: 8, microBatchSize: 4, evalSamples: 16, evalEvery: 2, saveEvery: 2, threads: 1 }
`;

/** Writes train.txt, valid.txt and tiny.yaml. */
export function writeTiny(folder: string): void {
  writeFileSync(join(folder, 'train.txt'), sentences(400, 1));
  writeFileSync(join(folder, 'valid.txt'), sentences(60, 2));
  writeFileSync(join(folder, 'tiny.yaml'), tinyConfig);
}

/** A line of metrics.jsonl. */
export type Line = Record<string, unknown> & { type: 'step' | 'eval'; step: number };

/** The whole lines of a run's metrics.jsonl. */
export function linesOf(run: string): Line[] {
  const file = join(run, 'metrics.jsonl');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
}

/** Waits until a run has logged `count` steps more than `before`, or its program has ended. */
export async function untilSteps(run: string, count: number, child: ChildProcess): Promise<void> {
  const numSteps = () => linesOf(run).filter(({ type }) => type === 'step').length;
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  while (numSteps() < count && isRunning()) await sleep(3);
}
