// Shared by the steps of the set-up: progress lines, failures, and commands with their output in a log.
import { spawnSync } from 'node:child_process';
import { accessSync, appendFileSync, closeSync, constants, mkdirSync, openSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const numLogLinesShown = 30;

/** Ends the set-up with a message for the user. Exit code 2 means something to fix on the machine, 1 anything else. */
export class SetupFailure extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Prints a line of progress on standard error; standard output is for the program that runs after the set-up. */
export function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

/** The full path of a program on PATH, or undefined. */
export function onPath(name, environment = process.env) {
  if (!name) return undefined;
  const candidates = name.includes('/')
    ? [name]
    : (environment.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  return candidates.find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a command and appends its output to a log file.
 * Throws a `SetupFailure` with the log's last lines and its path if the command fails.
 */
export function runLogged(command, commandArguments, { log, ...options }) {
  mkdirSync(dirname(log), { recursive: true });
  appendFileSync(log, `$ ${[command, ...commandArguments].join(' ')}\n`);
  const descriptor = openSync(log, 'a');
  const result = spawnSync(command, commandArguments, { stdio: ['ignore', descriptor, descriptor], ...options });
  closeSync(descriptor);
  if (result.status === 0) return;
  const reason = result.error?.message ?? (result.signal ? `ended by ${result.signal}` : `exit code ${result.status}`);
  const lastLines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-numLogLinesShown).join('\n');
  throw new SetupFailure(
    `${lastLines}\nsetup: ${command} failed (${reason}); the full log is ${log}; docs/setup.md explains common failures`,
  );
}

/** The version of glibc, or an empty string with another C library. */
export function glibcVersion() {
  return process.report.getReport().header.glibcVersionRuntime ?? '';
}
