import { commandText, startedText } from './command.ts';

/**
 * A command (default: the one that started this process) with more options: of several values for one option or key, the last
 * counts. Only the options, after `add`, if it is not a command of taper.
 */
export function startedWith(options: readonly string[], command: readonly string[] = process.argv.slice(1)): string {
  const started = startedText(command);
  return `${started.startsWith('npx ') ? started : 'add'} ${commandText(options)}`;
}
