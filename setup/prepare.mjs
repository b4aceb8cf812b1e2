// The steps of the set-up, in their order.
import { fileURLToPath } from 'node:url';
import { findLibtorch } from './libtorch.mjs';
import { SetupFailure } from './shell.mjs';
import { buildAddon, buildPage, compileTypeScript, installNodeModules } from './steps.mjs';
import { findMissing, installMissing, instructions } from './system.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Does every step that is not done yet; a step that fails sets the exit code and says why. The packages for development come
 * when they are asked for, and stay.
 */
export function prepare(wantsDevelopment) {
  try {
    const libtorch = provideLibtorch();
    const hasDevelopment = installNodeModules(root, wantsDevelopment);
    buildAddon(root, libtorch, hasDevelopment);
    compileTypeScript(root, hasDevelopment);
    buildPage(root);
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

/** Finds libtorch and the build tools, installing what is missing where that is possible. */
function provideLibtorch() {
  const before = findLibtorch();
  const missing = findMissing(before.libtorch);
  if (missing.needs.length === 0) return before.libtorch;
  installMissing(missing, before.looked, root);
  const after = findLibtorch();
  if (!after.libtorch) {
    const { needs, packages } = findMissing(after.libtorch);
    throw new SetupFailure(instructions(needs, packages, after.looked, 'installing the packages did not bring it'), 2);
  }
  return after.libtorch;
}
