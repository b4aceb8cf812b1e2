import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-setup-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const emptyFolder = join(folder, 'empty');
mkdirSync(emptyFolder);

type Environment = Record<string, string | undefined>;
interface Libtorch {
  source: string;
  prefix: string;
  cmakePrefix: string;
  version: string;
  cuda?: { compiler: string; root: string; architectures: string; hasGpu: boolean };
}
interface LibtorchModule {
  findLibtorch(
    environment: Environment,
    prefixes: string[],
    usualCuda?: string,
  ): { libtorch?: Libtorch; looked: { place: string; found: string }[] };
}
interface SystemModule {
  instructions(about: {
    needs: string[];
    packages: string[];
    looked: { place: string; found: string }[];
    obstacle: string;
    canDownload?: boolean;
    isRoot: boolean;
  }): string;
  withoutOldLibtorch(packages: string[], environment: Environment): string[];
  findMissing(libtorch: Libtorch | undefined, environment: Environment): { needs: string[]; packages: string[] };
}
interface StepsModule {
  numCompilers(processors?: number, memory?: number): number;
}
interface NodeModule {
  nodeMistake(version: string): string | undefined;
}
interface Lock {
  packages: Record<
    string,
    { dev?: boolean; dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> }
  >;
}

// The set-up is plain JavaScript without declarations, so its modules are given their types here.
const { findLibtorch } = (await import(pathToFileURL(join(root, 'setup/libtorch.mjs')).href)) as LibtorchModule;
const { findMissing, instructions, withoutOldLibtorch } = (await import(
  pathToFileURL(join(root, 'setup/system.mjs')).href
)) as SystemModule;
const stepsFile = join(root, 'setup/steps.mjs');
const { numCompilers } = (await import(pathToFileURL(stepsFile).href)) as StepsModule;
const { nodeMistake } = (await import(pathToFileURL(join(root, 'setup/node.mjs')).href)) as NodeModule;

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** A libtorch that CMake finds and that holds nothing. */
function makeLibtorch(prefix: string, version = '2.3.1', cmakeFolder = 'share/cmake'): string {
  write(join(prefix, cmakeFolder, 'Torch/TorchConfig.cmake'), 'set(Torch_FOUND TRUE)\n');
  write(join(prefix, cmakeFolder, 'Torch/TorchConfigVersion.cmake'), `set(PACKAGE_VERSION "${version}")\n`);
  return prefix;
}

function executable(path: string, text: string): void {
  write(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** A folder for PATH whose python3 has its module torch in `torchFolder`. */
function makePython(name: string, torchFolder: string): string {
  const bin = join(folder, name);
  executable(join(bin, 'python3'), `echo '${torchFolder}'`);
  return bin;
}

function runSetup(
  project: string,
  environment: Environment,
  words: string[] = [],
): { status: number | null; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(project, 'setup/setup.mjs'), ...words], {
    env: {
      ...process.env,
      LIBTORCH: undefined,
      TAPER_NO_INSTALL: '1',
      XDG_CACHE_HOME: emptyFolder,
      npm_config_user_agent: undefined,
      ...environment,
    },
    encoding: 'utf8',
  });
  assert.equal(stdout, '', 'standard output belongs to the program that runs after the set-up');
  return { status, stderr };
}

test("a Node that package.json's engines do not name is refused with what is needed, the others are not", () => {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { engines: { node: string } };
  assert.equal(engines.node, '^20.19 || >=22.12');
  for (const version of ['12.22.12', '18.20.4', '20.9.0', '20.18.3', '21.7.3', '22.5.0', '22.11.0']) {
    assert.match(
      nodeMistake(version)!,
      /^setup: this is Node [\d.]+; taper needs Node 20\.19 .* 22\.12 or newer/,
      version,
    );
  }
  for (const version of ['20.19.0', '20.20.2', '22.12.0', '23.0.0', '24.1.0', '26.0.0-nightly']) {
    assert.equal(nodeMistake(version), undefined, version);
  }
});

test("LIBTORCH comes before the system's libtorch, that before Python's, and that before the downloaded one", () => {
  const named = makeLibtorch(join(folder, 'named'), '2.1.0');
  const inPython = makeLibtorch(join(folder, 'site-packages/torch'), '2.2.0');
  const ofSystem = makeLibtorch(join(folder, 'usr'), '1.13.0', 'lib/x86_64-linux-gnu/cmake');
  const XDG_CACHE_HOME = join(folder, 'cache');
  const platform = `${process.platform}-${process.arch}`;
  const kept = makeLibtorch(join(XDG_CACHE_HOME, `taper/libtorch-${platform}-0123456789ab`), '2.3.0');
  makeLibtorch(join(XDG_CACHE_HOME, `taper/libtorch-${platform}-00000.part/torch`), '2.4.0');
  const PATH = makePython('bin', inPython);
  const found = (environment: Environment, prefixes: string[]) => {
    const { libtorch, looked } = findLibtorch({ XDG_CACHE_HOME, ...environment }, prefixes);
    return [libtorch?.source, libtorch?.prefix, libtorch?.version, looked.length];
  };

  assert.deepEqual(found({ LIBTORCH: named, PATH }, [ofSystem]), ['LIBTORCH', named, '2.1.0', 1]);
  assert.deepEqual(found({ PATH }, [ofSystem]), ['system', ofSystem, '1.13.0', 2]);
  assert.deepEqual(found({ PATH }, []), ['python', inPython, '2.2.0', 3]);
  assert.deepEqual(found({ PATH: emptyFolder }, []), ['downloaded', kept, '2.3.0', 4]);
  const another = { TAPER_LIBTORCH_URL: 'https://a/b.zip', TAPER_LIBTORCH_SHA256: 'f'.repeat(64) };
  assert.deepEqual(found({ PATH: emptyFolder, ...another }, []), [undefined, undefined, undefined, 4]);
  const { libtorch } = findLibtorch({ PATH }, [ofSystem]);
  assert.equal(libtorch?.cmakePrefix, join(ofSystem, 'lib/x86_64-linux-gnu/cmake'));
});

test("Python's libtorch comes first where it was built for CUDA and the toolkit and a GPU are there", () => {
  const forGpus = makeLibtorch(join(folder, 'cuda/site-packages/torch'), '2.11.0');
  write(join(forGpus, 'lib/libtorch_cuda.so'), '');
  const ofSystem = makeLibtorch(join(folder, 'usr-cuda'), '1.13.0', 'lib/cmake');
  const bin = makePython('bin-cuda', forGpus);
  const usual = join(folder, 'no-cuda');
  const without = findLibtorch({ PATH: bin }, [ofSystem], usual);
  assert.equal(without.libtorch?.prefix, ofSystem);
  const alone = findLibtorch({ PATH: bin }, [], usual);
  assert.equal(alone.libtorch, undefined);
  assert.match(
    alone.looked.find(({ place }) => place === 'Python torch')!.found,
    /built for CUDA and needs its toolkit, whose nvcc is not on PATH nor in CUDA_HOME$/,
  );

  // Debian and others have a script on PATH in place of nvcc.
  const toolkit = join(folder, 'toolkit');
  executable(join(bin, 'nvcc'), `echo '#$ _HERE_=${toolkit}/bin' >&2`);
  const cuda = { compiler: join(toolkit, 'bin/nvcc'), root: toolkit };
  assert.equal(findLibtorch({ PATH: bin }, [ofSystem], usual).libtorch?.prefix, ofSystem);
  const only = findLibtorch({ PATH: bin }, [], usual).libtorch;
  assert.deepEqual([only?.prefix, only?.cuda], [forGpus, { ...cuda, architectures: '80;90', hasGpu: false }]);

  executable(join(bin, 'nvidia-smi'), 'echo No devices were found; exit 6');
  const broken = findLibtorch({ PATH: bin }, [ofSystem], usual);
  assert.equal(broken.libtorch?.prefix, ofSystem);
  assert.match(broken.looked[1]!.found, /^version 2\.11\.0 in .*, after the system's$/);
  executable(join(bin, 'nvidia-smi'), "printf '9.0\\n8.6\\n9.0\\n'");
  const found = findLibtorch({ PATH: bin }, [ofSystem], usual).libtorch;
  assert.deepEqual([found?.prefix, found?.cuda], [forGpus, { ...cuda, architectures: '86;90', hasGpu: true }]);
});

test('LIBTORCH may be the folder that Python gives as torch.utils.cmake_prefix_path', () => {
  const prefix = makeLibtorch(join(folder, 'given-deep'));
  const { libtorch } = findLibtorch({ LIBTORCH: join(prefix, 'share/cmake') }, []);
  assert.equal(libtorch?.prefix, prefix);
});

test("a Python torch without TorchConfig.cmake, as Debian's is, and a libtorch older than 1.13 are passed over", () => {
  const withoutCmake = join(folder, 'dist-packages/torch');
  mkdirSync(withoutCmake, { recursive: true });
  const old = makeLibtorch(join(folder, 'old'), '1.8.1');
  const { libtorch, looked } = findLibtorch({ PATH: makePython('bin-debian', withoutCmake) }, [emptyFolder, old]);
  assert.equal(libtorch, undefined);
  assert.deepEqual(looked, [
    { place: 'LIBTORCH', found: 'not set' },
    { place: 'the system', found: `${join(old, 'share/cmake')} is version 1.8.1, older than 1.13` },
    { place: 'Python torch', found: `no TorchConfig.cmake in ${withoutCmake}` },
    { place: 'downloaded', found: 'none' },
  ]);
});

test('a machine with nothing on it is given every package, and one with a libtorch of its own only the tools', () => {
  assert.deepEqual(findMissing(undefined, { PATH: emptyFolder }).packages, [
    'libtorch-dev',
    'libdnnl-dev',
    'libopenblas0-openmp',
    'libgloo-dev',
    'g++',
    'cmake',
    'make',
  ]);
  const { libtorch } = findLibtorch({ LIBTORCH: makeLibtorch(join(folder, 'own')) }, []);
  assert.deepEqual(findMissing(libtorch, { PATH: emptyFolder }), {
    needs: ['a C++ compiler', 'cmake', 'make'],
    packages: ['g++', 'cmake', 'make'],
  });
});

test('a wrong LIBTORCH ends the set-up with exit code 2 and one line', () => {
  const { status, stderr } = runSetup(root, { LIBTORCH: '/nonexistent' });
  assert.equal(status, 2);
  assert.match(stderr, /^setup: LIBTORCH=\/nonexistent: no TorchConfig\.cmake in \/nonexistent; [^\n]+\n$/);
});

test('where nothing may be installed, the set-up says what is missing, where it looked and what to do', () => {
  const { status, stderr } = runSetup(root, { PATH: emptyFolder });
  assert.equal(status, 2);
  assert.match(stderr, /a C\+\+ compiler, cmake, make; not installed, because TAPER_NO_INSTALL is set/);
  assert.match(stderr, /^ {4}LIBTORCH +not set$/m);
  assert.match(stderr, /^ {4}the system +(version|no TorchConfig\.cmake under) /m);
  assert.match(stderr, /apt-get install -y --no-install-recommends .*g\+\+ cmake make$/m);
});

const looked = [{ place: 'LIBTORCH', found: 'not set' }];

test('the advice says sudo to those alone who are not root, and names no package that is not there', () => {
  const needs = ['libtorch', 'a C++ compiler'];
  const advice = { needs, packages: ['g++'], looked, obstacle: 'why', canDownload: true };
  const toRoot = instructions({ ...advice, isRoot: true });
  assert.match(toRoot, /^ {4}Debian, Ubuntu +apt-get update && apt-get install -y --no-install-recommends g\+\+$/m);
  assert.doesNotMatch(toRoot, /sudo|administrator/);
  const toUser = instructions({ ...advice, isRoot: false });
  assert.match(toUser, /Ubuntu +sudo apt-get update && sudo apt-get install -y --no-install-recommends g\+\+$/m);
  assert.match(toUser, /ask an administrator for a C\+\+ compiler,/);
  assert.match(toUser, /with the rest there[^,]*, the set-up downloads libtorch itself$/m);
  assert.doesNotMatch(instructions({ ...advice, packages: [], needs: ['libtorch'], isRoot: false }), /apt-get|dnf/);
});

test("a release's libtorch that is too old, or that it does not have, is not installed; without lists nobody knows", () => {
  const release = (name: string, policy: string) => {
    executable(join(folder, name, 'apt-cache'), `cat <<'END'\n${policy}\nEND`);
    return { PATH: `${join(folder, name)}:/bin:/usr/bin` };
  };
  const compiler = 'g++:\n  Installed: (none)\n  Candidate: 4:11.2.0-1ubuntu1\n  Version table:';
  const torch = (version: string) => `${compiler}\nlibtorch-dev:\n  Installed: (none)\n  Candidate: ${version}\n`;
  const all = ['libtorch-dev', 'libdnnl-dev', 'libopenblas0-openmp', 'libgloo-dev', 'cmake'];
  assert.deepEqual(withoutOldLibtorch(all, release('apt-old', torch('1.8.1-2'))), ['cmake']);
  assert.deepEqual(withoutOldLibtorch(all, release('apt-none', compiler)), ['cmake']);
  assert.deepEqual(withoutOldLibtorch(all, release('apt-empty', torch('(none)'))), ['cmake']);
  assert.deepEqual(withoutOldLibtorch(all, release('apt-new', torch('1:2.6.0+dfsg-7'))), all);
  assert.deepEqual(withoutOldLibtorch(all, release('apt-lists', 'N: Unable to locate package g++')), all);
  assert.deepEqual(withoutOldLibtorch(all, { PATH: emptyFolder }), all);
  const tools = ['g++', 'cmake'];
  assert.deepEqual(withoutOldLibtorch(tools, release('apt-tools', compiler)), tools);
});

/** A project with the real set-up, an addon of one line, one TypeScript file and a page without anything on it. */
function makeProject(name: string): string {
  const project = join(folder, name);
  for (const name of ['setup', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.run.json']) {
    cpSync(join(root, name), join(project, name), { recursive: true });
  }
  mkdirSync(join(project, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
  }
  write(
    join(project, 'native/CMakeLists.txt'),
    `cmake_minimum_required(VERSION 3.18)
project(taper CXX)
find_package(Torch REQUIRED)
add_library(taper SHARED addon.cc)
target_precompile_headers(taper PRIVATE <vector>)
set_target_properties(taper PROPERTIES PREFIX "" SUFFIX ".node")
`,
  );
  write(join(project, 'native/addon.cc'), 'int answer() { return 42; }\n');
  write(join(project, 'src/index.ts'), 'export const answer: number = 42;\n');
  write(join(project, 'src/cli/main.ts'), 'export {};\n');
  const page = 'src/dashboard/page';
  write(join(project, page, 'index.html'), '<!doctype html><title>page</title>\n');
  cpSync(join(root, page, 'vite.config.ts'), join(project, page, 'vite.config.ts'));
  return project;
}

/** The scripts that were compiled in a project, sorted. */
function findCompiled(project: string): string[] {
  return readdirSync(join(project, 'dist'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('dist', name))
    .filter((name) => /^dist\/(src|tests)\/.*\.js$/.test(name))
    .sort();
}

test('the set-up makes a project ready, then does only what a change asks for, and a failure is mended by running it again', () => {
  const project = makeProject('project');
  const LIBTORCH = makeLibtorch(join(folder, 'libtorch'));
  const setUp = () => runSetup(project, { LIBTORCH });
  const builds = /^setup: building .*\nsetup: built in \d+ s\n$/;
  const compiles = 'setup: compiling the TypeScript\n';

  assert.deepEqual(setUp().status, 0);
  assert.ok(existsSync(join(project, 'build/native/taper.node')));
  assert.ok(existsSync(join(project, 'dist/src/index.js')));
  assert.ok(existsSync(join(project, 'dist/dashboard/index.html')));
  accessSync(join(project, 'dist/src/cli/main.js'), constants.X_OK); // npx runs it
  const { libtorch } = JSON.parse(readFileSync(join(project, 'build/setup.json'), 'utf8')) as { libtorch: Libtorch };
  assert.deepEqual([libtorch.prefix, libtorch.version], [LIBTORCH, '2.3.1']);

  const start = performance.now();
  assert.deepEqual(setUp(), { status: 0, stderr: '' });
  assert.ok(performance.now() - start < 15_000, 'a set-up with nothing to do is quick');

  write(join(project, 'src/index.ts'), "export const answer: number = 'wrong';\n");
  const wrongTypes = setUp();
  assert.equal(wrongTypes.status, 1);
  assert.match(wrongTypes.stderr, /src\/index\.ts\(1,14\): error TS2322/);
  write(join(project, 'src/index.ts'), 'export const answer: number = 43;\n');
  assert.deepEqual(setUp(), { status: 0, stderr: compiles });

  write(join(project, 'native/addon.cc'), 'int answer() { return "wrong"; }\n');
  for (const attempt of [setUp(), setUp()]) {
    assert.equal(attempt.status, 1);
    assert.match(attempt.stderr, /error: invalid conversion|error: cannot initialize/);
    assert.ok(attempt.stderr.includes(join(project, 'build/native.log')));
  }
  write(join(project, 'native/addon.cc'), 'int answer() { return 43; }\n');
  assert.match(setUp().stderr, builds);

  makeLibtorch(LIBTORCH, '2.4.0');
  assert.match(setUp().stderr, /^setup: building the native addon on libtorch 2\.4\.0 /);

  writeFileSync(join(project, 'build/setup.json'), '{ "libtorch": ');
  assert.equal(setUp().status, 0);
  assert.deepEqual(setUp(), { status: 0, stderr: '' });
});

test('another npm or Node than that of the last time installs the npm packages again, and builds nothing', () => {
  const project = join(folder, 'project'); // ready, from the test above
  const LIBTORCH = join(folder, 'libtorch');
  const calls = join(folder, 'npm-calls');
  const bin = join(folder, 'bin-npm');
  executable(join(bin, 'npm'), `echo "$@" >> '${calls}'`);
  const setUp = (npm: string | undefined) =>
    runSetup(project, {
      LIBTORCH,
      PATH: `${bin}:${process.env.PATH}`,
      npm_config_user_agent: npm && `npm/${npm} node/v22.12.0 linux x64`,
    });
  const nothing = { status: 0, stderr: '' };
  const installs = { status: 0, stderr: 'setup: installing the npm packages, with those for development\n' };
  const stateFile = join(project, 'build/setup.json');
  const { npm: _npm, ...state } = JSON.parse(readFileSync(stateFile, 'utf8')) as { npm: object };
  writeFileSync(stateFile, JSON.stringify(state));

  assert.deepEqual(setUp(undefined), nothing);
  assert.deepEqual(setUp('10.8.2'), nothing);
  assert.deepEqual(setUp('10.8.2'), nothing);
  assert.deepEqual(setUp('11.1.0'), installs);
  assert.deepEqual(setUp('11.1.0'), nothing);
  assert.deepEqual(setUp(undefined), nothing);
  const text = readFileSync(stateFile, 'utf8');
  writeFileSync(stateFile, text.replace(/("node": "\w+-\w+-)\d+"/, '$183"'));
  assert.notEqual(readFileSync(stateFile, 'utf8'), text);
  assert.deepEqual(setUp('11.1.0'), installs);
  assert.deepEqual(setUp('11.1.0'), nothing);
  assert.equal(readFileSync(calls, 'utf8'), 'ci --include=dev\n'.repeat(2));
});

test('without --dev no packages for development are installed and no tests compiled; where they are there, they stay', () => {
  const project = makeProject('project-run');
  write(join(project, 'tests/some.test.ts'), 'export {};\n');
  write(join(project, 'src/some.test.ts'), 'export {};\n');
  rmSync(join(project, 'node_modules/.package-lock.json'));
  // What npm does is known; here it writes only the list of what it has installed.
  const calls = join(folder, 'npm-calls-run');
  const lists = join(folder, 'lists');
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const list = (name: string, entries: object) => write(join(lists, name), JSON.stringify({ packages: entries }));
  list('--include=dev', packages);
  list('--omit=dev', Object.fromEntries(Object.entries(packages).filter(([, { dev }]) => !dev)));
  const bin = join(folder, 'bin-npm-run');
  executable(join(bin, 'npm'), `echo "$@" >> '${calls}'; cp '${lists}/'"$2" node_modules/.package-lock.json`);
  const LIBTORCH = makeLibtorch(join(folder, 'libtorch-run'));
  const setUp = (...words: string[]) => runSetup(project, { LIBTORCH, PATH: `${bin}:${process.env.PATH}` }, words);
  const nothing = { status: 0, stderr: '' };

  assert.match(setUp().stderr, /^setup: installing the npm packages\n/);
  assert.deepEqual([...findCompiled(project)], ['dist/src/cli/main.js', 'dist/src/index.js']);
  const headers = () =>
    readdirSync(join(project, 'build/native/CMakeFiles/taper.dir')).filter((name) => /\.[gp]ch$/.test(name));
  assert.deepEqual(headers(), [], 'the precompiled header is removed');
  write(join(project, 'native/addon.cc'), 'int answer() { return 44; }\n');
  assert.match(setUp().stderr, /^setup: building .*\nsetup: built in \d+ s\n$/);
  assert.deepEqual(setUp(), nothing);
  assert.match(setUp('--dev').stderr, /installing the npm packages, with those for development\n.*compiling/);
  write(join(project, 'native/addon.cc'), 'int answer() { return 45; }\n');
  assert.match(setUp().stderr, /^setup: building/);
  assert.equal(headers().length, 1, 'who develops compiles often');
  const all = ['dist/src/cli/main.js', 'dist/src/index.js', 'dist/src/some.test.js', 'dist/tests/some.test.js'];
  assert.deepEqual(findCompiled(project), all);
  assert.deepEqual([setUp(), setUp('--dev'), setUp()], [nothing, nothing, nothing]);
  assert.equal(readFileSync(calls, 'utf8'), 'ci --omit=dev\nci --include=dev\n');
});

test('as many compilers run at once as the memory holds, also where a control group limits it', (t) => {
  assert.deepEqual([numCompilers(8, 64e9), numCompilers(8, 6.1e9), numCompilers(8, 1e9)], [8, 4, 1]);
  const group = '/sys/fs/cgroup/memory/taper-setup-test'; // version 1
  const other = '/sys/fs/cgroup/taper-setup-test';
  const made = [
    [group, 'memory.limit_in_bytes'],
    [other, 'memory.max'],
  ].find(([path, name]) => {
    try {
      mkdirSync(path!);
      writeFileSync(join(path!, name!), '2000000000');
      return true;
    } catch {
      if (existsSync(path!)) rmdirSync(path!);
      return false;
    }
  })?.[0];
  if (made === undefined) return t.skip('this user may make no control group');
  t.after(() => rmdirSync(made));
  const script = `import('${pathToFileURL(stepsFile)}').then((m) => console.log(m.numCompilers(8)))`;
  const { stdout } = spawnSync(
    'sh',
    ['-c', `echo $$ > ${made}/cgroup.procs && exec "$0" -e "$1"`, process.execPath, script],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(stdout, '1\n');
});

test('packages for another C library, which some npm install as well, are removed', (t) => {
  const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
  if (!glibcVersionRuntime) return t.skip('this is no machine with glibc');
  const project = makeProject('project-musl');
  rmSync(join(project, 'node_modules/.package-lock.json'));
  const list = join(root, 'node_modules/.package-lock.json');
  const bin = join(folder, 'bin-npm-musl');
  const [musl, glibc] = ['linux-x64-musl', 'linux-x64-gnu'].map((name) =>
    join(project, 'node_modules', `lightningcss-${name}/foreign`),
  ) as [string, string];
  for (const path of [musl, glibc]) rmSync(dirname(path), { recursive: true, force: true });
  executable(
    join(bin, 'npm'),
    `mkdir -p '${dirname(musl)}' '${dirname(glibc)}'; touch '${musl}' '${glibc}'; cp '${list}' node_modules/`,
  );
  const LIBTORCH = makeLibtorch(join(folder, 'libtorch-run'));
  runSetup(project, { LIBTORCH, PATH: `${bin}:${process.env.PATH}` });
  assert.deepEqual([existsSync(dirname(musl)), existsSync(glibc)], [false, true]);
});

test('package-lock.json holds every package that another one may ask for, on any platform, as npm ci demands', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const absent = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`])
      .map((name) => `${path} asks for ${name}`),
  );
  assert.deepEqual(absent, []);
});

test('docs/dependencies.md gives a reason for each dependency, and for nothing else', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const { packages } = findMissing(undefined, { PATH: emptyFolder });
  const rows = readFileSync(join(root, 'docs/dependencies.md'), 'utf8').matchAll(/^\| `([^`]+)` \| \S/gm);
  assert.deepEqual(
    [...rows].map((row) => row[1]).sort(),
    [...Object.keys(dependencies), ...Object.keys(devDependencies), ...packages].sort(),
  );
});
