// What the machine must have beside Node, and how it is installed where that is possible.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { onPath, runLogged, SetupFailure, say } from './shell.mjs';

const tools = [
  { name: 'a C++ compiler', programs: ['c++', 'g++', 'clang++'], variable: 'CXX', debianPackage: 'g++' },
  { name: 'cmake', programs: ['cmake'], debianPackage: 'cmake' },
  { name: 'make', programs: ['ninja', 'make'], debianPackage: 'make' },
];

// Debian's libtorch-dev does not depend on libdnnl-dev, but its TorchConfig.cmake links it. OpenBLAS's default build
// runs its own threads against libtorch's OpenMP threads and is slow, so the OpenMP build is wanted; Gloo's headers are
// wanted for several ranks. Nothing else breaks without these two.
const debianLibtorch = ['libtorch-dev', 'libdnnl-dev', 'libopenblas0-openmp', 'libgloo-dev'];
const wanted = { 'libopenblas0-openmp': 'float32 will be slow', 'libgloo-dev': 'npx taper-lm launch will not work' };

/**
 * What is missing on this machine, given the libtorch that was found (or undefined).
 * Returns `needs` (names for people) and `packages` (Debian's names); both are empty when nothing is missing.
 */
export function findMissing(libtorch, environment = process.env) {
  const missingTools = tools.filter(
    ({ programs, variable }) => ![environment[variable], ...programs].some((program) => onPath(program, environment)),
  );
  const missingPackages = missingDebianPackages(libtorch, environment);
  return {
    needs: [...(libtorch ? missingPackages : ['libtorch']), ...missingTools.map((tool) => tool.name)],
    packages: [...missingPackages, ...missingTools.map((tool) => tool.debianPackage)],
  };
}

function missingDebianPackages(libtorch, environment) {
  if (!libtorch) return debianLibtorch;
  const dpkgQuery = onPath('dpkg-query', environment);
  if (!dpkgQuery || !/^\/usr\/(lib|share)\//.test(libtorch.cmakePrefix)) return [];
  const answer = spawnSync(dpkgQuery, ['--status', ...debianLibtorch], { encoding: 'utf8' });
  const installed = [...answer.stdout.matchAll(/^Package: (.+)\nStatus: .+ ok installed$/gm)].map((match) => match[1]);
  return debianLibtorch.filter((name) => !installed.includes(name));
}

/** Installs Debian packages with apt-get, or throws what to do by hand (exit code 2) where that is not possible. */
export function installMissing({ needs, packages }, looked, root) {
  const { prefix, obstacle } = installer();
  if (obstacle && needs.every((name) => name in wanted)) {
    const losses = needs.map((name) => `${name} (${wanted[name]})`).join(', ');
    say(`missing and not installed, because ${obstacle}: ${losses}; see docs/setup.md`);
    return;
  }
  if (obstacle) throw new SetupFailure(instructions(needs, packages, looked, obstacle), 2);
  say(`installing ${packages.join(' ')} with apt-get`);
  const log = join(root, 'build/apt.log');
  rmSync(log, { force: true });
  const aptGet = (...words) => runLogged(prefix[0], [...prefix.slice(1), ...words], { log });
  try {
    aptGet('update');
  } catch {
    // One unreachable source among many is common, and the packages may well come from the others.
    say('apt-get update failed; trying with the package lists that are there');
  }
  try {
    aptGet('install', '-y', '--no-install-recommends', ...packages);
  } catch (error) {
    throw new SetupFailure(`${error.message}\n${instructions(needs, packages, looked, 'apt-get failed')}`, 2);
  }
}

/** The start of an apt-get command line that runs as root without asking, or the obstacle to it. */
function installer() {
  if (process.env.TAPER_NO_INSTALL) return { obstacle: 'TAPER_NO_INSTALL is set' };
  if (process.platform !== 'linux' || !onPath('apt-get')) return { obstacle: 'there is no apt-get here' };
  // A machine that has just started is often installing updates of its own; wait for them.
  const aptGet = ['env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C', 'apt-get', '-o', 'DPkg::Lock::Timeout=300'];
  if (process.getuid() === 0) return { prefix: aptGet };
  if (spawnSync('sudo', ['-n', 'true']).status === 0) return { prefix: ['sudo', '-n', ...aptGet] };
  return { obstacle: 'that takes root, and sudo is not there or asks for a password' };
}

/** What is missing, where libtorch was looked for with what was found there, and what to install. */
export function instructions(needs, packages, looked, obstacle) {
  const places = looked.map(({ place, found }) => `    ${place.padEnd(14)}${found}`);
  return `setup: missing: ${needs.join(', ')}; not installed, because ${obstacle}
  libtorch was looked for in
${places.join('\n')}
  To mend it, do what fits this machine, and run the same command again
    Debian, Ubuntu  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(' ')}
    any Python      pip install torch cmake ninja, with its python3 first on PATH, and a C++ compiler
    macOS           xcode-select --install; brew install pytorch cmake
    another place   LIBTORCH=/path/to/libtorch, the folder that has share/cmake/Torch/TorchConfig.cmake
  docs/setup.md says more.`;
}
