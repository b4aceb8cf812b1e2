import type { Command } from 'commander';
import { taperName } from '../config/index.ts';
import { oneLine } from './errors.ts';

/** Makes a command and its subcommands throw instead of exiting, and print mistakes in one line. */
export function settle(command: Command, path: string): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) => {
      const message = oneLine(text.replace(/^error: /, ''))
        .replace(/ ?\((Did you mean .*\?)\)$/, '; $1')
        .replace(/^(too many arguments .*?)\. Expected .*$/, `$1: ${excessOf(command)}${fileHint(command)}`);
      write(`taper: ${message}${settingHint(command, message)}; see ${path} --help\n`);
    },
  });
  for (const child of command.commands) settle(child, `${path} ${child.name()}`);
}

/** The first argument that a command does not take. */
const excessOf = ({ args, registeredArguments }: Command) => args[registeredArguments.length] ?? '';

/** Options that take files, which are easily forgotten. */
const fileOptions = ['--train', '--data', '--in'];
function fileHint({ options }: Command): string {
  const option = fileOptions.find((name) => options.some(({ long }) => long === name));
  return option === undefined ? '' : ` (is ${option} missing before it?)`;
}

/** If an unknown option is a setting, here or in another program: how to write it. */
function settingHint(command: Command, message: string): string {
  const [, option] = /^unknown option '--([^'=]+)[^']*'$/.exec(message) ?? [];
  if (option === undefined || !command.options.some(({ long }) => long === '--set')) return '';
  const name = taperName(option);
  if (name === undefined) return '';
  return name.startsWith('--') ? `; write ${name}` : `; write --set ${name.replace(/^\S+/, '$&=…')}`;
}
