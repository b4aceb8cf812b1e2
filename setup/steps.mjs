// The build steps: node_modules, the native addon, the compiled TypeScript, and the dashboard page.
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { glibcVersion, onPath, runLogged, SetupFailure, say } from './shell.mjs';
import { fingerprint, readJson, writeJson } from './state.mjs';

/** How many threads of other programs ran before the set-up. */
const [loadBefore] = loadavg();

/** The workspace of the test packages, as npm links it. */
const testsWorkspace = 'node_modules/taper-tests';

/**
 * Runs `npm ci` unless node_modules holds what package-lock.json requires, installed by this npm on this Node: another one may
 * have left out an optional package that this one needs. An installation made outside the set-up is accepted as it is.
 * The test packages, a workspace, are installed if wanted or if they were installed before; returns whether they are.
 */
export function installNodeModules(root, wantsTests) {
  const stateFile = join(root, 'build/setup.json');
  const { npm: before, ...state } = readJson(stateFile);
  const npm = {
    node: `${process.platform}-${process.arch}-${process.versions.modules}`,
    version: npmVersion(before?.version),
  };
  const wanted = readJson(join(root, 'package-lock.json')).packages ?? {};
  // npm writes this list last, so an interrupted installation does not have it.
  const installed = readJson(join(root, 'node_modules/.package-lock.json')).packages ?? {};
  const hasTests = wantsTests || testsWorkspace in installed;
  const { dependencies, devDependencies } = wanted[''] ?? {};
  const own = new Set(Object.keys({ ...dependencies, ...devDependencies }).map((name) => `node_modules/${name}`));
  // Without the tests, npm leaves out what only they need; the project's own dependencies are always required.
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

  say(`installing the npm packages${hasTests ? ', including those for tests' : ''}`);
  const log = join(root, 'build/npm.log');
  rmSync(log, { force: true });
  runLogged('npm', ['ci', '--include=dev', ...(hasTests ? [] : ['--workspaces=false'])], { log, cwd: root });
  removeForeignPackages(root, wanted);
  writeJson(stateFile, { npm, ...state });
  return hasTests;
}

/** Removes packages for musl, which npm 9.2 (Debian's) installs along with those for glibc. */
function removeForeignPackages(root, packages) {
  if (!glibcVersion()) return;
  for (const [path, { libc }] of Object.entries(packages)) {
    if (libc && !libc.includes('glibc')) rmSync(join(root, path), { recursive: true, force: true });
  }
}

/** The version of the npm that runs the set-up, or `otherwise` if none does. */
function npmVersion(otherwise) {
  return /^npm\/(\S+)/.exec(process.env.npm_config_user_agent ?? '')?.[1] ?? otherwise;
}

/**
 * Builds build/native/taper.node unless it was built from the same native/, libtorch and compiler. It works with every Node.
 * If only native/ changed, the build is incremental; any other change starts from an empty folder. Without `development`
 * the precompiled header (300 MB) is removed afterwards, so that a change in native/ recompiles everything.
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

/** The addon of an npm-installed package in the user's cache: its `file`, and its inputs; undefined without libtorch. */
export function addonInCache(root, libtorch, cache) {
  if (!libtorch) return undefined;
  const addon = { ...configurationOf(root, libtorch), native: fingerprint(root, ['native']) };
  const key = createHash('sha256').update(JSON.stringify(addon)).digest('hex').slice(0, 16);
  return { addon, file: join(cache, 'addon', key, 'taper.node') };
}

/**
 * Builds that addon once per libtorch, platform and source, so that neither another project nor `npm ci` builds it again. Returns
 * its path.
 */
export function buildAddonInCache(root, libtorch, cache) {
  const { addon, file } = addonInCache(root, libtorch, cache);
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    const folder = mkdtempSync(join(cache, 'addon', 'building-'));
    try {
      compile(root, libtorch, { folder, log: join(cache, 'addon', 'native.log') });
      renameSync(join(folder, 'taper.node'), file); // complete, or not at all
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  writeJson(join(cache, 'addon.json'), { libtorch, addon });
  return file;
}

/** The inputs of an addon besides its source. */
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

/** Compiles native/ in a folder, which may hold an earlier build with the same settings. */
function compile(root, libtorch, { folder, log }) {
  const { version, cmakePrefix, cuda } = libtorch;
  const forGpus = cuda ? `, with CUDA from ${cuda.root} for ${cuda.architectures}` : '';
  const isBusy = loadBefore > availableParallelism();
  const busy = isBusy ? `, longer now: other programs are using the CPU (load ${loadBefore.toFixed(1)})` : '';
  say(
    `building the native addon with libtorch ${version} from ${cmakePrefix}${forGpus}; this takes about a minute${busy}`,
  );
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

/** The CMake definitions to build native/ with a libtorch. */
function cmakeDefinitions(root, { prefix, cmakePrefix, cuda }) {
  const settings = {
    CMAKE_BUILD_TYPE: 'Release',
    // TorchConfig.cmake looks for libc10 in the system first, unless its own folder is named here.
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

/** The folder of an npm package, in this node_modules or that of the project that taper is installed in. */
function packageOf(root, name) {
  const folders = createRequire(join(root, 'package.json')).resolve.paths(name);
  return (
    folders.map((folder) => join(folder, name)).find((folder) => existsSync(folder)) ?? join(root, 'node_modules', name)
  );
}

function isSame(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The number of compilers to run at once: each needs 1.5 GB for libtorch's headers, too much for many cores on a small machine or in a container. */
export function numCompilers(
  processors = availableParallelism(),
  memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
) {
  return Math.max(1, Math.min(processors, Math.floor(memory / 1.5e9)));
}

/** Compiles the TypeScript to dist/ unless dist/ was built from the same sources: all of it, or without `development` only what runs. */
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
  // tsc's incremental state, which does not cover what was written without development.
  if (!development) rmSync(join(root, 'dist/tsconfig.tsbuildinfo'), { force: true });
  runLogged(join(root, 'node_modules/.bin/tsc'), ['-p', join(root, project), '--pretty', 'false'], { log });
  // npx makes the program executable only once, when it first sees this folder, not when dist/ is rebuilt.
  const program = join(root, 'dist/src/cli/main.js');
  if (existsSync(program)) chmodSync(program, 0o755);
  writeJson(stateFile, { ...state, sources });
}

/** Builds the dashboard page, a few static files in dist/dashboard, unless it was built from the same sources. */
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
