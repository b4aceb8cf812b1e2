// The steps of the set-up, in their order.
import { fileURLToPath } from 'node:url';
import { agrees, archiveObstacle, findArchive, provideArchive } from './archive.mjs';
import { findLibtorch } from './libtorch.mjs';
import { SetupFailure } from './shell.mjs';
import { buildAddon, buildPage, compileTypeScript, installNodeModules } from './steps.mjs';
import { findMissing, installMissing, instructions, isOnlyWanted } from './system.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Does every step that is not done yet; a step that fails sets the exit code and says why. The packages for development come
 * when they are asked for, and stay.
 */
export async function prepare(wantsDevelopment) {
  try {
    const { libtorch, archive } = provideSystem();
    const hasDevelopment = installNodeModules(root, wantsDevelopment);
    buildAddon(root, libtorch ?? (await downloadLibtorch(archive)), hasDevelopment);
    compileTypeScript(root, hasDevelopment);
    buildPage(root);
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

/**
 * Finds libtorch and the build tools, installing what is missing where that is possible. Returns `libtorch`, or, when only that
 * is missing still, the `archive` to download. Throws instructions (exit code 2) otherwise.
 */
function provideSystem() {
  const before = findLibtorch();
  const missing = findMissing(before.libtorch);
  if (missing.needs.length === 0) return before;
  const failure = installMissing(missing, root);
  const after = findLibtorch();
  const { libtorch, looked } = after;
  const still = findMissing(libtorch);
  if (still.needs.every(isOnlyWanted)) return after;
  const archive = findArchive();
  const noArchive = archive.obstacle ?? archiveObstacle(archive);
  const onlyLibtorch = still.needs.join() === 'libtorch';
  const mayDownload = onlyLibtorch && !process.env.TAPER_NO_INSTALL;
  const isDeclined = mayDownload && !noArchive && !agrees(archive);
  if (mayDownload && !noArchive && !isDeclined) return { archive };
  const obstacles = [
    failure?.obstacle ?? 'installing the packages did not bring it',
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
  const obstacle = `what ${archive.url} holds does not serve`;
  throw new SetupFailure(instructions({ needs: ['libtorch'], packages: [], looked, obstacle }), 2);
}
