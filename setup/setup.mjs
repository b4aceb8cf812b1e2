// Makes a fresh checkout ready to run, and does nothing when it is. Runs before every `npm start` and `npm test`, and
// before there are any npm packages, so it is plain JavaScript on Node alone.
import { fileURLToPath } from 'node:url';
import { findLibtorch } from './libtorch.mjs';
import { SetupFailure } from './shell.mjs';
import { buildAddon, buildPage, compileTypeScript, installNodeModules } from './steps.mjs';
import { findMissing, installMissing, instructions } from './system.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const oldestNode = 20;

try {
  checkNode();
  const libtorch = provideLibtorch();
  installNodeModules(root);
  buildAddon(root, libtorch);
  compileTypeScript(root);
  buildPage(root);
} catch (error) {
  if (!(error instanceof SetupFailure)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}

function checkNode() {
  if (Number.parseInt(process.versions.node, 10) < oldestNode) {
    throw new SetupFailure(`setup: this is Node ${process.versions.node}; taper needs Node ${oldestNode} or newer`, 2);
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
