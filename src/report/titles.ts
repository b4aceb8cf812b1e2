import type { Config } from '../config/index.ts';

/**
 * A short name for the texts that a run is trained on: the file or folder of the first, and how many others there are; empty for
 * the documents of a program.
 */
export function textName(train: Config['data']['train']): string {
  const names = new Set(train.flatMap((text) => (typeof text === 'string' ? [text] : text.path)).map(nameOf));
  const [first = '', ...others] = names;
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}

/** The last part of a path or address that is not a pattern, without its ending or split. */
function nameOf(path: string): string {
  const parts = path.split(/[/\\]/).filter((part) => part !== '' && part !== '.' && !/[*?{]/.test(part));
  return (parts.at(-1) ?? path).replace(/(?<=.)(\.[a-z]\w*)+$|:.*$/i, '');
}

/** The name of a run, with that of its texts unless the name contains it. */
export function titleOf({ name, text }: { name: string; text: string }): string {
  return text === '' || name.includes(text) ? name : `${name}: ${text}`;
}
