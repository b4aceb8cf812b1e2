import { existsSync, rmdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DataError, OutputError } from '../errors/index.ts';
import { makeFolder, writing } from '../files/index.ts';

/**
 * Makes an output folder before any work is done.
 *
 * @throws OutputError if it cannot be made.
 */
export function prepareFolder(folder: string): void {
  writing(folder, () => makeFolder(folder));
}

/** Refuses an output folder that already exists or cannot be made, before any work is done. */
export function checkNewFolder(folder: string): void {
  if (folder === '' || existsSync(folder)) {
    throw new OutputError(`--out ${folder || '""'}: ${folder ? 'already exists' : 'is empty'}; give a new folder`);
  }
  writing(folder, () => {
    makeFolder(folder);
    rmdirSync(folder);
  });
}

/**
 * Checks that no run is given twice.
 *
 * @throws DataError for the second path of a run.
 */
export function checkDistinct(paths: readonly string[]): void {
  const twice = paths.find((path, i) => paths.slice(0, i).some((before) => resolve(before) === resolve(path)));
  if (twice !== undefined) throw new DataError(`${twice}: given twice; give each run once`);
}

/** Writes texts into a folder, by file name, and prints their paths; makes the folder if it is missing. */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  prepareFolder(folder);
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    writing(path, () => writeFileSync(path, text));
  }
  process.stderr.write(
    `written: ${Object.keys(files)
      .map((name) => join(folder, name))
      .join(', ')}\n`,
  );
}
