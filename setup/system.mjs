// What the machine needs besides Node, and how it is installed if possible.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isNewEnough, oldestVersion } from './libtorch.mjs';
import { onPath, runLogged, say } from './shell.mjs';

const tools = [
  { name: 'a C++ compiler', programs: ['c++', 'g++', 'clang++'], variable: 'CXX', debianPackage: 'g++' },
  { name: 'cmake', programs: ['cmake'], debianPackage: 'cmake' },
  { name: 'make', programs: ['ninja', 'make'], debianPackage: 'make' },
];

// Debian's libtorch-dev does not depend on libdnnl-dev, but its TorchConfig.cmake links it. OpenBLAS's default build
// is slow because its threads compete with libtorch's OpenMP threads, so the OpenMP build is wanted; Gloo's headers are
// wanted for several ranks. Nothing else breaks without these two.
const debianLibtorch = ['libtorch-dev', 'libdnnl-dev', 'libopenblas0-openmp', 'libgloo-dev'];
const wanted = { 'libopenblas0-openmp': 'float32 will be slow', 'libgloo-dev': 'npx taper-lm launch will not work' };

/** Whether taper also works without this package, with limitations. */
export function isOnlyWanted(name) {
  return name in wanted;
}

/**
 * What is missing on this machine, given the libtorch that was found (or undefined).
 * Returns `needs` (for messages) and `packages` (Debian's names); both are empty if nothing is missing.
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

/**
 * Installs Debian packages with apt-get if possible. Returns undefined, or, if something was not installed, the
 * `obstacle` and `packages`, the missing packages that this release has.
 */
export function installMissing({ needs, packages }, { logs, mayInstall }) {
  const { prefix, obstacle } = mayInstall ? installer() : { obstacle: 'only `npx taper-lm setup` installs packages' };
  if (obstacle) {
    if (needs.every(isOnlyWanted)) {
      const losses = needs.map((name) => `${name} (${wanted[name]})`).join(', ');
      say(`missing and not installed, because ${obstacle}: ${losses}; see docs/setup.md`);
    }
    return { obstacle, packages: withoutOldLibtorch(packages) };
  }
  const log = join(logs, 'apt.log');
  rmSync(log, { force: true });
  const aptGet = (...words) => runLogged(prefix[0], [...prefix.slice(1), ...words], { log });
  say('updating the package lists with apt-get');
  try {
    aptGet('update');
  } catch {
    // One unreachable source among many is common, and the others may have the packages.
    say('apt-get update failed; using the existing package lists');
  }
  const installable = withoutOldLibtorch(packages);
  if (installable.length > 0) {
    say(`installing ${installable.join(' ')} with apt-get`);
    try {
      aptGet('install', '-y', '--no-install-recommends', ...installable);
    } catch (error) {
      process.stderr.write(`${error.message}\n`);
      return { obstacle: 'apt-get failed', packages: installable };
    }
  }
  return installable.length < packages.length
    ? { obstacle: `this release has no libtorch-dev ${oldestVersion} or newer`, packages: [] }
    : undefined;
}

/** The packages without libtorch's if apt knows that this release has none that is new enough. */
export function withoutOldLibtorch(packages, environment = process.env) {
  if (!packages.includes('libtorch-dev')) return packages;
  const answer = spawnSync('apt-cache', ['policy', 'g++', 'libtorch-dev'], {
    encoding: 'utf8',
    env: { ...environment, LC_ALL: 'C' },
  });
  const candidate = (name) => candidateIn(answer.stdout ?? '', name);
  // Without lists apt knows no package at all.
  if (!candidate('g++') || isNewEnough(candidate('libtorch-dev') ?? '0')) return packages;
  return packages.filter((name) => !debianLibtorch.includes(name));
}

/** The version that apt would install, without its epoch, from the output of `apt-cache policy`. */
function candidateIn(text, name) {
  const section = text.split(/^(?=\S)/m).find((part) => part.startsWith(`${name}:`)) ?? '';
  const version = /^ +Candidate: (\S+)$/m.exec(section)?.[1];
  return version === '(none)' ? undefined : version?.replace(/^\d+:/, '');
}

/** The start of an apt-get command line that runs as root without a password, or the obstacle. */
function installer() {
  if (process.env.TAPER_NO_INSTALL) return { obstacle: 'TAPER_NO_INSTALL is set' };
  if (process.platform !== 'linux' || !onPath('apt-get')) return { obstacle: 'apt-get is not available' };
  // A machine that has just booted often installs updates; wait for them.
  const aptGet = ['env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C', 'apt-get', '-o', 'DPkg::Lock::Timeout=300'];
  if (process.getuid() === 0) return { prefix: aptGet };
  if (spawnSync('sudo', ['-n', 'true']).status === 0) return { prefix: ['sudo', '-n', ...aptGet] };
  return { obstacle: 'installing needs root, and sudo is missing or asks for a password' };
}

/** The message that says what is missing, where libtorch was looked for, and how to fix it. */
export function instructions({ needs, packages, looked, obstacle, canDownload, isRoot = process.getuid() === 0 }) {
  const places = looked.map(({ place, found }) => `    ${place.padEnd(14)}${found}`);
  const sudo = isRoot ? '' : 'sudo ';
  const missingTools = tools.filter(({ name }) => needs.includes(name));
  const advice = [];
  if (process.platform === 'darwin') advice.push(['macOS', 'xcode-select --install; brew install pytorch cmake']);
  if (process.platform === 'linux' && packages.length > 0) {
    const install = `${sudo}apt-get install -y --no-install-recommends ${packages.join(' ')}`;
    advice.push(['Debian, Ubuntu', `${sudo}apt-get update && ${install}`]);
  }
  if (process.platform === 'linux' && missingTools.length > 0) {
    advice.push(['Fedora, RHEL', `${sudo}dnf install -y gcc-c++ cmake make`]);
    if (!isRoot) {
      const names = missingTools.map(({ name }) => name).join(', ');
      advice.push(['without root', `ask an administrator for ${names}, or load a module that has them`]);
    }
  }
  if (needs.includes('libtorch')) {
    const first = [
      missingTools.length > 0 && 'once the rest is installed',
      process.env.TAPER_NO_INSTALL && 'without TAPER_NO_INSTALL',
    ];
    if (canDownload)
      advice.push(['all systems', `${first.filter(Boolean).join(' and ')}, the set-up downloads libtorch itself`]);
    advice.push([
      'your libtorch',
      'LIBTORCH=/path/to/libtorch, the folder that has share/cmake/Torch/TorchConfig.cmake',
    ]);
  }
  return `setup: missing: ${needs.join(', ')}; not installed, because ${obstacle}
  Searched for libtorch in:
${places.join('\n')}
  To fix it, do what fits this machine, then run the same command again:
${advice.map(([where, what]) => `    ${where.padEnd(16)}${what}`).join('\n')}
  See docs/setup.md for details.`;
}
