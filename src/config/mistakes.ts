import { distance } from 'fastest-levenshtein';
import { letters, taperName } from './other-names.ts';
import { type Setting, sections, settings } from './settings.ts';

/** The message for an unknown key, with taper's name for it or the nearest known key. */
export function unknownKey(path: string): string {
  const name = taperName(path.slice(path.lastIndexOf('.') + 1));
  if (name !== undefined) return `${path}: unknown key; did you mean ${name}?`;
  const nearest = nearestPath(path);
  if (nearest !== undefined) return `${path}: unknown key; did you mean ${nearest}?`;
  const section = sections.find(({ name }) => path.startsWith(`${name}.`));
  return section === undefined
    ? `${path}: unknown key; the sections are ${sections.map(({ name }) => name).join(', ')}`
    : `${path}: unknown key; ${section.name} has ${section.settings.map(({ key }) => key).join(', ')}`;
}

/** The message for a section that is not a mapping. */
export function invalidSection(name: string, found: unknown): string {
  const keys = sections.find((section) => section.name === name)?.settings ?? [];
  return `${name}: ${show(found)} is not a section; write it as ${name}: { ${keys[0]?.key}: … }`;
}

/** The message for a key whose value is missing, of the wrong type or out of range. */
export function invalidSetting(path: string, found: unknown): string {
  const setting = settings.find((candidate) => candidate.path === path);
  if (setting === undefined) return `${path}: ${show(found)} is not valid here`;
  if (found === undefined) return `${path}: missing; ${setting.advice ?? 'set it'}`;
  const hint = hintFor(setting, found);
  return `${path}: ${show(found)} is not ${expectation(setting, found)}${hint === undefined ? '' : `; ${hint}`}`;
}

function expectation({ typeName, choices }: Setting, found: unknown): string {
  if (choices?.length === 1) return `${choices[0]}, the only choice`;
  if (choices !== undefined) return `one of ${choices.join(', ')}`;
  const plain = typeName.replaceAll('`', '');
  // For a number the range is enough.
  if (typeof found === 'number' && plain.startsWith('number in')) return plain.slice('number '.length);
  if (plain.startsWith('true')) return plain;
  return `${plain.startsWith('integer') ? 'an' : 'a'} ${plain}`;
}

function hintFor(setting: Setting, found: unknown): string | undefined {
  const near = typeof found === 'string' ? setting.choices?.find((choice) => isNear(found, choice)) : undefined;
  if (near !== undefined) return `did you mean ${near}?`;
  const isList = setting.typeName.startsWith('list');
  if (isList && setting.typeName.includes('string') && typeof found === 'string')
    return `write [${JSON.stringify(found)}]`;
  if (setting.advice !== undefined) return setting.advice;
  if (isList) return 'write ["…"]';
  return setting.default === undefined ? undefined : `the default is ${show(setting.default)}`;
}

/** A value as the user would write it, shortened if long. */
function show(value: unknown): string {
  // YAML has NaN and infinity, JSON does not.
  const shown = (_: string, part: unknown) =>
    typeof part === 'number' && !Number.isFinite(part) ? String(part) : part;
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value, shown);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** The section or `section.key` whose name is nearest to the last part of `path`; keys of the same section come first. */
function nearestPath(path: string): string | undefined {
  const dot = path.indexOf('.');
  const name = path.slice(dot + 1);
  const candidates = [
    ...(dot < 0 ? sections.map((section) => ({ path: section.name, name: section.name, away: 0 })) : []),
    ...settings.map(({ path: candidate, section, key }) => ({
      path: candidate,
      name: key,
      away: path.startsWith(`${section}.`) ? 0 : 0.5,
    })),
  ];
  const near = candidates.filter((candidate) => isNear(name, candidate.name));
  const score = (candidate: (typeof candidates)[number]) => difference(name, candidate.name) + candidate.away;
  return near.sort((a, b) => score(a) - score(b))[0]?.path;
}

/** The edit distance of two names; a name that contains the other (`theta`, `thetaBar`) counts as near. */
function difference(a: string, b: string): number {
  const [short, long] = [letters(a), letters(b)].sort((one, other) => one.length - other.length) as [string, string];
  if (short.length >= 4 && long.includes(short)) return (long.length - short.length) / 10;
  return distance(short, long);
}

const isNear = (a: string, b: string) => difference(a, b) <= Math.max(1, letters(a).length / 3);
