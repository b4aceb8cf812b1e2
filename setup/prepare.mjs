// The steps of the set-up, in order.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { agrees, archiveObstacle, cacheFolder, findArchive, provideArchive } from './archive.mjs';
import { findLibtorch } from './libtorch.mjs';
import { SetupFailure, say } from './shell.mjs';
import {
  addonInCache,
  buildAddon,
  buildAddonInCache,
  buildPage,
  compileTypeScript,
  installNodeModules,
} from './steps.mjs';
import { findMissing, installMissing, instructions, isOnlyWanted } from './system.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs every step that is not done yet; a failing step prints the reason and sets the exit code. In a checkout, test packages are
 * installed with `--dev`, and stay. A package installed by npm needs only its addon; `--addon` prints the addon's path and
 * installs no system packages.
 */
export async function prepare(words) {
  try {
    if (existsSync(join(root, 'package-lock.json'))) await prepareCheckout(words.includes('--dev'));
    else await preparePackage(words.includes('--addon'));
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

async function prepareCheckout(wantsTests) {
  const { libtorch, archive } = provideSystem({ logs: join(root, 'build'), mayInstall: true });
  const hasTests = installNodeModules(root, wantsTests);
  buildAddon(root, libtorch ?? (await downloadLibtorch(archive)), hasTests);
  compileTypeScript(root, hasTests);
  buildPage(root);
}

async function preparePackage(isFirstUse) {
  const cache = cacheFolder(process.env);
  if (!cache)
    throw new SetupFailure(
      'setup: neither XDG_CACHE_HOME nor HOME is set, so there is no folder for the native addon; set one of them',
      2,
    );
  const kept = addonInCache(root, findLibtorch().libtorch, cache);
  if (isFirstUse && kept && existsSync(kept.file)) {
    process.stdout.write(kept.file);
    return;
  }
  const { libtorch, archive } = provideSystem({ logs: cache, mayInstall: !isFirstUse });
  const file = buildAddonInCache(root, libtorch ?? (await downloadLibtorch(archive)), cache);
  if (isFirstUse) process.stdout.write(file);
  else say(`ready; the native addon is ${file}`);
}

/**
 * Finds libtorch and the build tools, and installs what is missing if possible. Returns `libtorch`, or, if only that
 * is still missing, the `archive` to download. Otherwise throws instructions (exit code 2).
 */
function provideSystem({ logs, mayInstall }) {
  const before = findLibtorch();
  const missing = findMissing(before.libtorch);
  if (missing.needs.length === 0) return before;
  const failure = installMissing(missing, { logs, mayInstall });
  const after = findLibtorch();
  const { libtorch, looked } = after;
  const still = findMissing(libtorch);
  if (still.needs.every(isOnlyWanted)) return after;
  const archive = findArchive();
  const noArchive = archive.obstacle ?? archiveObstacle(archive);
  const onlyLibtorch = still.needs.join() === 'libtorch';
  const mayDownload = onlyLibtorch && mayInstall && !process.env.TAPER_NO_INSTALL;
  const isDeclined = mayDownload && !noArchive && !agrees(archive);
  if (mayDownload && !noArchive && !isDeclined) return { archive };
  const obstacles = [
    failure?.obstacle ?? 'installing the packages did not provide it',
    onlyLibtorch && noArchive,
    isDeclined && 'the download was declined',
  ];
  throw new SetupFailure(
    instructions({
      needs: still.needs,
      packages: still.packages.filter((name) => failure?.packages.includes(name)),
      looked,
      obstacle: obstacles.filter(Boolean).join(', and '),
      canDownload: !noArchive && !isDeclined,
    }),
    2,
  );
}

async function downloadLibtorch(archive) {
  await provideArchive(archive);
  const { libtorch, looked } = findLibtorch();
  if (libtorch) return libtorch;
  const obstacle = `the libtorch from ${archive.url} cannot be used`;
  throw new SetupFailure(instructions({ needs: ['libtorch'], packages: [], looked, obstacle }), 2);
}
