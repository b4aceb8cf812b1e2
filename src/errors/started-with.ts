import { commandText, startedText } from './command.ts';

/**
 * A command (default: the one that started this process) with other values for some options: `--set` keeps its other keys. Only the
 * options, after `add`, if it is not a command of taper.
 */
export function startedWith(options: readonly string[], command: readonly string[] = process.argv.slice(1)): string {
  const isOwn = startedText(command.slice(0, 1)).startsWith('npx ');
  if (!isOwn) return `add ${commandText(options)}`;
  const groups = grouped(command);
  for (const [name, ...values] of grouped(options)) {
    const same = groups.findLast((group) => group[0] === name);
    if (!same) groups.push([name!, ...values]);
    else if (name === '--set') same.splice(1, Infinity, ...withoutKeysOf(values, same.slice(1)), ...values);
    else same.splice(1, values.length, ...values);
  }
  return startedText(groups.flat());
}

/** Words as groups that each begin with an option, except the first. */
function grouped(words: readonly string[]): string[][] {
  const groups: string[][] = [];
  for (const word of words) {
    if (groups.length === 0 || word.startsWith('--')) groups.push([word]);
    else groups.at(-1)!.push(word);
  }
  return groups;
}

/** Steps and epochs are both the length of a run. */
const keyOf = (setting: string) => setting.split('=', 1)[0]!.replace(/^train\.epochs$/, 'train.steps');

const withoutKeysOf = (newer: readonly string[], settings: readonly string[]) =>
  settings.filter((setting) => !newer.some((other) => keyOf(other) === keyOf(setting)));
