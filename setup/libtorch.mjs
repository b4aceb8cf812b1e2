// Finds libtorch: in LIBTORCH, the system, Python's torch, or the set-up's download.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cacheFolder, findArchive } from './archive.mjs';
import { findCuda } from './cuda.mjs';
import { onPath, SetupFailure } from './shell.mjs';

export const oldestVersion = '1.13';
const systemPrefixes = ['/usr', '/usr/local', '/opt/homebrew'];

// The last two are Debian's; the empty one is a folder as `torch.utils.cmake_prefix_path` gives it.
const cmakeFolders = ['', 'share/cmake', 'lib/cmake', 'lib/x86_64-linux-gnu/cmake', 'lib/aarch64-linux-gnu/cmake'];

/**
 * Looks for libtorch and takes the first that is complete and new enough: LIBTORCH; Python's, if it was built for GPUs and there is
 * one; the system's, which comes with Gloo and oneDNN; Python's; the one that the set-up downloaded.
 * Returns `libtorch` (`source`; `prefix`, the folder above its lib and include; `cmakePrefix`, the folder above
 * Torch/TorchConfig.cmake; `version`; `modified`; `cuda`, the toolkit, if it was built for GPUs), or undefined if there is
 * none, and `looked`: for each place, what was found. One built for GPUs needs the toolkit. Throws if LIBTORCH is set
 * but wrong.
 */
export function findLibtorch(environment = process.env, prefixes = systemPrefixes, usualCuda = '/usr/local/cuda') {
  const machine = { environment, prefixes, usualCuda };
  const hasDriver = onPath('nvidia-smi', environment) !== undefined;
  const forGpus = hasDriver ? [lookInPythonForGpus] : [];
  const looked = new Map();
  const result = (libtorch) => ({ libtorch, looked: [...looked].map(([place, found]) => ({ place, found })) });
  for (const look of [lookInVariable, ...forGpus, lookInSystem, lookInPython, lookInCache]) {
    const { place, found, libtorch } = look(machine);
    looked.set(place, found);
    if (libtorch) return result(libtorch);
  }
  return result(undefined);
}

function lookInVariable(machine) {
  const place = 'LIBTORCH';
  const folder = machine.environment.LIBTORCH;
  if (!folder) return { place, found: 'not set' };
  const { found, libtorch } = inspect('LIBTORCH', resolve(folder), machine);
  if (!libtorch) {
    throw new SetupFailure(
      `setup: LIBTORCH=${folder}: ${found}; give a folder that has share/cmake/Torch/TorchConfig.cmake, or unset it`,
      2,
    );
  }
  return { place, found, libtorch };
}

function lookInPythonForGpus(machine) {
  const { place, found, libtorch } = lookInPython(machine);
  if (!libtorch) return { place, found };
  return libtorch.cuda?.hasGpu ? { place, found, libtorch } : { place, found: `${found}, tried after the system's` };
}

function lookInPython(machine) {
  const { environment } = machine;
  const place = 'Python torch';
  const python = onPath('python3', environment);
  if (!python) return { place, found: 'no python3 on PATH' };
  // Importing torch takes seconds; asking where it is does not. Away from `/`, a folder named torch would be found.
  const script =
    "import importlib.util as u; s = u.find_spec('torch'); print(*(s.submodule_search_locations if s else []))";
  const answer = spawnSync(python, ['-c', script], { cwd: '/', env: environment, encoding: 'utf8' });
  const folder = answer.stdout?.trim();
  if (!folder) return { place, found: `${python} has no module torch` };
  return { place, ...inspect('python', folder, machine) };
}

function lookInSystem(machine) {
  const { prefixes } = machine;
  const place = 'the system';
  let tooOld;
  for (const prefix of prefixes) {
    const { found, libtorch } = inspect('system', prefix, machine);
    if (libtorch) return { place, found, libtorch };
    if (cmakePrefixIn(prefix)) tooOld = found;
  }
  return { place, found: tooOld ?? `no TorchConfig.cmake under ${prefixes.join(', ')}` };
}

function lookInCache(machine) {
  const { environment } = machine;
  const place = 'downloaded';
  const cache = cacheFolder(environment);
  const kept = cache && existsSync(cache) ? readdirSync(cache) : [];
  const others = kept.filter((name) => name.startsWith(`libtorch-${process.platform}-${process.arch}-`));
  const { folder } = findArchive(environment);
  // An older one will do as well, unless the user asks for a specific one.
  const candidates = [folder, ...(environment.TAPER_LIBTORCH_URL ? [] : others.map((name) => join(cache, name)))];
  const there = candidates.find((path) => path && existsSync(path) && !path.endsWith('.part'));
  return { place, ...(there ? inspect('downloaded', there, machine) : { found: 'none' }) };
}

function inspect(source, folder, { environment, usualCuda }) {
  const cmakePrefix = cmakePrefixIn(folder);
  if (!cmakePrefix) return { found: `no TorchConfig.cmake in ${folder}` };
  const version = versionOf(cmakePrefix);
  if (!isNewEnough(version)) return { found: `${cmakePrefix} is version ${version}, older than ${oldestVersion}` };
  const prefix = cmakePrefix.replace(/\/(share|lib|lib\/[^/]+)\/cmake$/, '');
  const isForGpus = existsSync(join(prefix, 'lib/libtorch_cuda.so'));
  const cuda = isForGpus ? findCuda(environment, usualCuda) : undefined;
  if (isForGpus && !cuda) {
    return {
      found: `${cmakePrefix} is built for CUDA and needs the CUDA toolkit, but nvcc is neither on PATH nor in CUDA_HOME`,
    };
  }
  const modified = statSync(join(cmakePrefix, 'Torch/TorchConfig.cmake')).mtimeMs;
  return {
    found: `version ${version} in ${cmakePrefix}`,
    libtorch: { source, prefix, cmakePrefix, version, modified, ...(cuda && { cuda }) },
  };
}

function cmakePrefixIn(folder) {
  return cmakeFolders
    .map((inner) => join(folder, inner))
    .find((path) => existsSync(join(path, 'Torch/TorchConfig.cmake')));
}

function versionOf(cmakePrefix) {
  const file = join(cmakePrefix, 'Torch/TorchConfigVersion.cmake');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return /PACKAGE_VERSION "([^"]+)"/.exec(text)?.[1] ?? 'unknown';
}

/** Whether a version of libtorch is new enough. */
export function isNewEnough(version) {
  // An unknown version is accepted; the compiler will tell.
  return version === 'unknown' || version.localeCompare(oldestVersion, 'en', { numeric: true }) >= 0;
}
