import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { emptyFolder, executable, folder, makeLibtorch, root, runSetup, setupModule, write } from './setup.fixture.ts';

interface SystemModule {
  findMissing(libtorch: undefined, environment: Record<string, string>): { packages: string[] };
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
    Partial<Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Record<string, string>>>
  >;
}

const { findMissing } = await setupModule<SystemModule>('system.mjs');
const { numCompilers } = await setupModule<StepsModule>('steps.mjs');
const { nodeMistake } = await setupModule<NodeModule>('node.mjs');
const stepsFile = join(root, 'setup/steps.mjs');

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

test('the set-up makes a project ready, then does only what a change requires, and a second run repairs a failed one', () => {
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
  const { libtorch } = JSON.parse(readFileSync(join(project, 'build/setup.json'), 'utf8')) as {
    libtorch: { prefix: string; version: string };
  };
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
  assert.match(setUp().stderr, /^setup: building the native addon with libtorch 2\.4\.0 /);

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
  const installs = { status: 0, stderr: 'setup: installing the npm packages, including those for tests\n' };
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

test('without --dev the packages of the tests are not installed and no tests compiled; where they are there, they stay', () => {
  const project = makeProject('project-run');
  write(join(project, 'tests/some.test.ts'), 'export {};\n');
  write(join(project, 'src/some.test.ts'), 'export {};\n');
  rmSync(join(project, 'node_modules/.package-lock.json'));
  // What npm does is known; here it writes only the list of what it has installed.
  const calls = join(folder, 'npm-calls-run');
  const lists = join(folder, 'lists');
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const list = (name: string, entries: object) => write(join(lists, name), JSON.stringify({ packages: entries }));
  const own = new Set(Object.keys({ ...packages['']?.dependencies, ...packages['']?.devDependencies }));
  list('all', packages);
  list(
    'own',
    Object.fromEntries(Object.entries(packages).filter(([path]) => own.has(path.replace('node_modules/', '')))),
  );
  const bin = join(folder, 'bin-npm-run');
  executable(
    join(bin, 'npm'),
    `echo "$@" >> '${calls}'; cp '${lists}/'$([ $# = 3 ] && echo own || echo all) node_modules/.package-lock.json`,
  );
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
  assert.match(setUp('--dev').stderr, /installing the npm packages, including those for tests\n.*compiling/);
  write(join(project, 'native/addon.cc'), 'int answer() { return 45; }\n');
  assert.match(setUp().stderr, /^setup: building/);
  assert.equal(headers().length, 1, 'who develops compiles often');
  const all = ['dist/src/cli/main.js', 'dist/src/index.js', 'dist/src/some.test.js', 'dist/tests/some.test.js'];
  assert.deepEqual(findCompiled(project), all);
  assert.deepEqual([setUp(), setUp('--dev'), setUp()], [nothing, nothing, nothing]);
  assert.equal(readFileSync(calls, 'utf8'), 'ci --include=dev --workspaces=false\nci --include=dev\n');
});

test('as many compilers run in parallel as fit into memory, also under the limit of a control group', (t) => {
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
  // Node looks beside a package, then in each folder that holds it.
  const foldersOf = (path: string) => [
    '',
    ...[...path.matchAll(/(?=\/node_modules\/)|$/g)].map(({ index }) => `${path.slice(0, index)}/`),
  ];
  const absent = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !foldersOf(path).some((folder) => packages[`${folder}node_modules/${name}`]))
      .map((name) => `${path} asks for ${name}`),
  );
  assert.deepEqual(absent, []);
});

test('docs/dependencies.md gives a reason for each dependency, and for nothing else', () => {
  const named = ['package.json', 'tests/package.json'].flatMap((file) => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, file), 'utf8'));
    return Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  });
  const { packages } = findMissing(undefined, { PATH: emptyFolder });
  const rows = readFileSync(join(root, 'docs/dependencies.md'), 'utf8').matchAll(/^\| `([^`]+)` \| \S/gm);
  assert.deepEqual([...rows].map((row) => row[1]).sort(), [...new Set([...named, ...packages])].sort());
});
