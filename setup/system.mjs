// What the machine must have beside Node, and how it is installed where that is possible.
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
// runs its own threads against libtorch's OpenMP threads and is slow, so the OpenMP build is wanted; Gloo's headers are
// wanted for several ranks. Nothing else breaks without these two.
const debianLibtorch = ['libtorch-dev', 'libdnnl-dev', 'libopenblas0-openmp', 'libgloo-dev'];
const wanted = { 'libopenblas0-openmp': 'float32 will be slow', 'libgloo-dev': 'npx taper-lm launch will not work' };

/** Whether taper does without this package, if worse. */
export function isOnlyWanted(name) {
  return name in wanted;
}

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

/**
 * Installs Debian packages with apt-get where that is possible. Returns why not everything was installed, or undefined: the
 * `obstacle`, and `packages`, those of the missing ones that this release has.
 */
export function installMissing({ needs, packages }, { logs, mayInstall }) {
  const { prefix, obstacle } = mayInstall
    ? installer()
    : { obstacle: 'a first use installs nothing; `npx taper-lm setup` does' };
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
  say('reading the lists of Debian packages with apt-get');
  try {
    aptGet('update');
  } catch {
    // One unreachable source among many is common, and the packages may well come from the others.
    say('apt-get update failed; trying with the package lists that are there');
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
    ? { obstacle: `this release has no libtorch-dev of ${oldestVersion} or newer`, packages: [] }
    : undefined;
}

/** Debian packages without libtorch's, where apt knows that this release has none that is new enough. */
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

/** The version that apt would install, without its epoch, in what `apt-cache policy` says. */
function candidateIn(text, name) {
  const section = text.split(/^(?=\S)/m).find((part) => part.startsWith(`${name}:`)) ?? '';
  const version = /^ +Candidate: (\S+)$/m.exec(section)?.[1];
  return version === '(none)' ? undefined : version?.replace(/^\d+:/, '');
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

/** What is missing, where libtorch was looked for with what was found there, and what to do about it. */
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
      missingTools.length > 0 && 'with the rest there',
      process.env.TAPER_NO_INSTALL && 'without TAPER_NO_INSTALL',
    ];
    if (canDownload)
      advice.push(['any of these', `${first.filter(Boolean).join(' and ')}, the set-up downloads libtorch itself`]);
    advice.push([
      'another place',
      'LIBTORCH=/path/to/libtorch, the folder that has share/cmake/Torch/TorchConfig.cmake',
    ]);
  }
  return `setup: missing: ${needs.join(', ')}; not installed, because ${obstacle}
  libtorch was looked for in
${places.join('\n')}
  To fix it, do what fits this machine, and run the same command again
${advice.map(([where, what]) => `    ${where.padEnd(16)}${what}`).join('\n')}
  docs/setup.md says more.`;
}
