// The things that are made here: node_modules, the native addon, the compiled TypeScript, and the page of the dashboard.
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { glibcVersion, onPath, runLogged, SetupFailure, say } from './shell.mjs';
import { fingerprint, readJson, writeJson } from './state.mjs';

/** The workspace that has the packages of the tests, as npm links it. */
const testsWorkspace = 'node_modules/taper-tests';

/**
 * Runs `npm ci` unless node_modules holds what package-lock.json asks for, put there by this npm on this Node: another one may
 * have left out an optional package that this one needs. What somebody else installed is taken as it is.
 * The packages of the tests, a workspace, are installed when they are wanted or were there before; returns whether they are there now.
 */
export function installNodeModules(root, wantsTests) {
  const stateFile = join(root, 'build/setup.json');
  const { npm: before, ...state } = readJson(stateFile);
  const npm = {
    node: `${process.platform}-${process.arch}-${process.versions.modules}`,
    version: npmVersion(before?.version),
  };
  const wanted = readJson(join(root, 'package-lock.json')).packages ?? {};
  // npm writes this list last, so an installation that was cut short does not have it.
  const installed = readJson(join(root, 'node_modules/.package-lock.json')).packages ?? {};
  const hasTests = wantsTests || testsWorkspace in installed;
  const { dependencies, devDependencies } = wanted[''] ?? {};
  const own = new Set(Object.keys({ ...dependencies, ...devDependencies }).map((name) => `node_modules/${name}`));
  // Without the tests, npm leaves out what only they need; what is needed in all cases it has written down last.
  const mayBeAbsent = (path, { optional, devOptional }) => optional || devOptional || (!hasTests && !own.has(path));
  const isInstalled = ([path, entry]) =>
    path === '' || installed[path]?.version === entry.version || (!installed[path] && mayBeAbsent(path, entry));
  const isWhole = existsSync(join(root, 'node_modules')) && Object.entries(wanted).every(isInstalled);
  const isOfThisNpm =
    before === undefined || (before.node === npm.node && (before.version ?? npm.version) === npm.version);
  if (isWhole && isOfThisNpm) {
    if (!isSame(before, npm)) writeJson(stateFile, { npm, ...state });
    return hasTests;
  }

  say(`installing the npm packages${hasTests ? ', with those of the tests' : ''}`);
  const log = join(root, 'build/npm.log');
  rmSync(log, { force: true });
  runLogged('npm', ['ci', '--include=dev', ...(hasTests ? [] : ['--workspaces=false'])], { log, cwd: root });
  removeForeignPackages(root, wanted);
  writeJson(stateFile, { npm, ...state });
  return hasTests;
}

/** npm 9.2, Debian's, installs packages for musl beside those for glibc. */
function removeForeignPackages(root, packages) {
  if (!glibcVersion()) return;
  for (const [path, { libc }] of Object.entries(packages)) {
    if (libc && !libc.includes('glibc')) rmSync(join(root, path), { recursive: true, force: true });
  }
}

/** The version of the npm that runs the set-up, or `otherwise` where none does. */
function npmVersion(otherwise) {
  return /^npm\/(\S+)/.exec(process.env.npm_config_user_agent ?? '')?.[1] ?? otherwise;
}

/**
 * Builds build/native/taper.node unless it was made from the same native/, libtorch and compiler. It serves every Node.
 * A change of native/ alone compiles only what it touches; any other change starts from an empty folder. Without `development`
 * the precompiled header, 300 MB, is removed afterwards, and a change of native/ compiles everything.
 */
export function buildAddon(root, libtorch, development) {
  const stateFile = join(root, 'build/setup.json');
  const folder = join(root, 'build/native');
  const configurationFile = join(folder, 'configuration.json');
  const configuration = configurationOf(root, libtorch);
  const addon = { ...configuration, native: fingerprint(root, ['native']) };
  const state = readJson(stateFile);
  if (isSame(state.addon, addon) && existsSync(join(folder, 'taper.node'))) return;

  if (!isSame(readJson(configurationFile), configuration)) rmSync(folder, { recursive: true, force: true });
  compile(root, libtorch, { folder, log: join(root, 'build/native.log') });
  writeJson(configurationFile, configuration);
  if (!development) {
    const headers = join(folder, 'CMakeFiles/taper.dir/cmake_pch.hxx');
    for (const ending of ['gch', 'pch']) rmSync(`${headers}.${ending}`, { force: true });
  }
  writeJson(stateFile, { ...state, libtorch, addon });
}

/** The addon of a package that npm installed, in the user's cache: its `file`, and what it is made from; undefined without libtorch. */
export function addonInCache(root, libtorch, cache) {
  if (!libtorch) return undefined;
  const addon = { ...configurationOf(root, libtorch), native: fingerprint(root, ['native']) };
  const key = createHash('sha256').update(JSON.stringify(addon)).digest('hex').slice(0, 16);
  return { addon, file: join(cache, 'addon', key, 'taper.node') };
}

/**
 * Builds that addon, once for each libtorch, platform and source, so that neither another project nor `npm ci` builds it again. Returns
 * its path.
 */
export function buildAddonInCache(root, libtorch, cache) {
  const { addon, file } = addonInCache(root, libtorch, cache);
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    const folder = mkdtempSync(join(cache, 'addon', 'building-'));
    try {
      compile(root, libtorch, { folder, log: join(cache, 'addon', 'native.log') });
      renameSync(join(folder, 'taper.node'), file); // whole, or not at all
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  writeJson(join(cache, 'addon.json'), { libtorch, addon });
  return file;
}

/** What an addon depends on beside its source. */
function configurationOf(root, { cmakePrefix, version, modified, cuda }) {
  return {
    libtorch: { cmakePrefix, version, modified, ...(cuda && { cuda }) },
    platform: `${process.platform}-${process.arch}`,
    headers: ['node-addon-api', 'node-api-headers'].map(
      (name) => readJson(join(packageOf(root, name), 'package.json')).version,
    ),
    compiler: [process.env.CXX ?? '', process.env.CXXFLAGS ?? ''],
    generator: onPath('ninja') ? 'Ninja' : 'Unix Makefiles',
  };
}

/** Compiles native/ in a folder, which may hold what was compiled before with the same settings. */
function compile(root, libtorch, { folder, log }) {
  const { version, cmakePrefix, cuda } = libtorch;
  const forGpus = cuda ? `, with CUDA of ${cuda.root} for ${cuda.architectures}` : '';
  say(`building the native addon on libtorch ${version} of ${cmakePrefix}${forGpus}, about a minute`);
  const start = performance.now();
  rmSync(log, { force: true });
  if (!existsSync(join(folder, 'CMakeCache.txt'))) {
    const place = ['-S', join(root, 'native'), '-B', folder, '-G', configurationOf(root, libtorch).generator];
    runLogged('cmake', [...place, ...cmakeDefinitions(root, libtorch)], { log });
  }
  runLogged('cmake', ['--build', folder, '--parallel', String(numCompilers())], { log });
  if (!existsSync(join(folder, 'taper.node'))) throw new SetupFailure(`setup: no taper.node was built; see ${log}`);
  say(`built in ${Math.round((performance.now() - start) / 1000)} s`);
}

/** What CMake is told to build native/ on a libtorch. */
export function cmakeDefinitions(root, { prefix, cmakePrefix, cuda }) {
  const settings = {
    CMAKE_BUILD_TYPE: 'Release',
    // TorchConfig.cmake looks for libc10 in the system before its own folder, unless its own is named here.
    CMAKE_PREFIX_PATH: `${prefix};${cmakePrefix}`,
    NODE_INCLUDE: join(packageOf(root, 'node-api-headers'), 'include'),
    NODE_ADDON_API: packageOf(root, 'node-addon-api'),
    ...(cuda && {
      CMAKE_CUDA_COMPILER: cuda.compiler,
      CUDA_TOOLKIT_ROOT_DIR: cuda.root,
      CUDAToolkit_ROOT: cuda.root,
      TAPER_CUDA_ARCHITECTURES: cuda.architectures,
    }),
  };
  return Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
}

/** The folder of an npm package, in node_modules here or of the project that taper is installed in. */
function packageOf(root, name) {
  const folders = createRequire(join(root, 'package.json')).resolve.paths(name);
  return (
    folders.map((folder) => join(folder, name)).find((folder) => existsSync(folder)) ?? join(root, 'node_modules', name)
  );
}

function isSame(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** libtorch's headers take a compiler 1.5 GB, which is soon more than a small machine, or a container's limit, with many cores has. */
export function numCompilers(
  processors = availableParallelism(),
  memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
) {
  return Math.max(1, Math.min(processors, Math.floor(memory / 1.5e9)));
}

/** Compiles the TypeScript into dist/ unless that was made from the same sources: all of it, or what runs without `development`. */
export function compileTypeScript(root, development) {
  const stateFile = join(root, 'build/setup.json');
  const state = readJson(stateFile);
  const project = development ? 'tsconfig.json' : 'tsconfig.run.json';
  const more = development ? ['tests'] : ['tsconfig.run.json'];
  const sources = fingerprint(root, ['src', 'bench', 'tsconfig.json', 'package-lock.json', ...more]);
  if (state.sources === sources && existsSync(join(root, 'dist/src'))) return;

  say('compiling the TypeScript');
  const log = join(root, 'build/typescript.log');
  rmSync(log, { force: true });
  // Where tsc notes what it has written of all; it does not know what was written without development.
  if (!development) rmSync(join(root, 'dist/tsconfig.tsbuildinfo'), { force: true });
  runLogged(join(root, 'node_modules/.bin/tsc'), ['-p', join(root, project), '--pretty', 'false'], { log });
  // npx makes the program executable once, when it first sees this folder, and not again when dist/ is new.
  const program = join(root, 'dist/src/cli/main.js');
  if (existsSync(program)) chmodSync(program, 0o755);
  writeJson(stateFile, { ...state, sources });
}

/** Makes the dashboard's page, a few static files in dist/dashboard, unless it was made from the same sources. */
export function buildPage(root) {
  const stateFile = join(root, 'build/setup.json');
  const state = readJson(stateFile);
  const page = fingerprint(root, ['src/dashboard', 'src/report', 'package-lock.json']);
  if (state.page === page && existsSync(join(root, 'dist/dashboard/index.html'))) return;

  const log = join(root, 'build/page.log');
  rmSync(log, { force: true });
  runLogged(join(root, 'node_modules/.bin/vite'), ['build', '-c', join(root, 'src/dashboard/page/vite.config.ts')], {
    log,
  });
  writeJson(stateFile, { ...state, page });
}
