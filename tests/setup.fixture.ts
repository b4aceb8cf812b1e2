import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

// What the tests of the set-up share: a folder that goes when they end, programs and libtorches of straw, and the set-up itself.

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const folder = mkdtempSync(join(tmpdir(), 'taper-setup-'));
after(() => rmSync(folder, { recursive: true, force: true }));
export const emptyFolder = join(folder, 'empty');
mkdirSync(emptyFolder);

export type Environment = Record<string, string | undefined>;

/** A module of the set-up, which is plain JavaScript without declarations. */
export function setupModule<Exports>(name: string): Promise<Exports> {
  return import(pathToFileURL(join(root, 'setup', name)).href);
}

export function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** A libtorch that CMake finds and that holds nothing. */
export function makeLibtorch(prefix: string, version = '2.3.1', cmakeFolder = 'share/cmake'): string {
  write(join(prefix, cmakeFolder, 'Torch/TorchConfig.cmake'), 'set(Torch_FOUND TRUE)\n');
  write(join(prefix, cmakeFolder, 'Torch/TorchConfigVersion.cmake'), `set(PACKAGE_VERSION "${version}")\n`);
  return prefix;
}

export function executable(path: string, text: string): void {
  write(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** The set-up of a project, in a process of its own. */
export function runSetup(
  project: string,
  environment: Environment,
  words: string[] = [],
): { status: number | null; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(project, 'setup/setup.mjs'), ...words], {
    env: {
      ...process.env,
      LIBTORCH: undefined,
      TAPER_NO_INSTALL: '1',
      XDG_CACHE_HOME: emptyFolder,
      npm_config_user_agent: undefined,
      ...environment,
    },
    encoding: 'utf8',
  });
  assert.equal(stdout, '', 'standard output belongs to the program that runs after the set-up');
  return { status, stderr };
}
