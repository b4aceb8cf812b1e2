/** A command line quoted for a shell. */
export function commandText(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

/** What people type to start these programs, by the ends of their paths; `--` is needed only before words. */
const programs: readonly [RegExp, readonly string[]][] = [
  [/\/(?:cli\/main\.js|\.?bin\/taper(?:-lm)?)$/, ['npx', 'taper-lm']],
  [/\/cli\/start\.js$/, ['npm', 'start', '--']],
  [/\/bench\/run\.js$/, ['npm', 'run', 'bench', '--']],
  [/\.[cm]?[jt]s$/, ['node']],
];

/** The command that started a run, as a user types it: without the path of the program that npx, npm or node ran. */
export function startedText([program = '', ...words]: readonly string[]): string {
  const [, typed] = programs.find(([end]) => end.test(program)) ?? [];
  if (!typed) return commandText([program, ...words]);
  const start = typed[0] === 'node' ? [...typed, program] : typed;
  return commandText([...start, ...words]).replace(/ --$/, '');
}
