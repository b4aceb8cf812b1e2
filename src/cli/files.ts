import { existsSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutputError } from '../errors/index.ts';
import { makeFolder, writing } from '../files/index.ts';

/**
 * Makes an output folder, before work is done for it.
 *
 * @throws OutputError where that cannot be.
 */
export function prepareFolder(folder: string): void {
  writing(folder, () => makeFolder(folder));
}

/** Refuses an output folder that is there already or cannot be made, before work is done for it. */
export function checkNewFolder(folder: string): void {
  if (folder === '' || existsSync(folder)) {
    throw new OutputError(`--out ${folder || '""'}: is ${folder ? 'there already' : 'no folder'}; give a new folder`);
  }
  writing(folder, () => {
    makeFolder(folder);
    rmdirSync(folder);
  });
}

/** Writes texts by their file name into a folder, which is made where it is missing, and says so. */
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
