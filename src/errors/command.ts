/** A command line quoted for a shell. */
export function commandText(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

/** The command that started a run, as a user types it: without the path of the program that npx or npm ran. */
export function startedText([program = '', ...words]: readonly string[]): string {
  if (/\/(?:cli\/main\.js|\.?bin\/taper(?:-lm)?)$/.test(program)) return commandText(['npx', 'taper-lm', ...words]);
  if (/\/cli\/start\.js$/.test(program))
    return commandText(['npm', 'start', ...(words.length > 0 ? ['--', ...words] : [])]);
  return commandText([program, ...words]);
}
