// cspell:ignore nlibtorch
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Environment,
  emptyFolder,
  executable,
  folder,
  makeLibtorch,
  root,
  runSetup,
  setupModule,
  write,
} from './setup.fixture.ts';

// What the set-up finds on a machine, and what it does about what is missing.

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

const { findLibtorch } = await setupModule<LibtorchModule>('libtorch.mjs');
const { findMissing, instructions, withoutOldLibtorch } = await setupModule<SystemModule>('system.mjs');

/** A folder for PATH whose python3 has its module torch in `torchFolder`. */
function makePython(name: string, torchFolder: string): string {
  const bin = join(folder, name);
  executable(join(bin, 'python3'), `echo '${torchFolder}'`);
  return bin;
}

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
    /built for CUDA and needs the CUDA toolkit, but nvcc is neither on PATH nor in CUDA_HOME$/,
  );

  // Debian and others have a script on PATH instead of nvcc.
  const toolkit = join(folder, 'toolkit');
  executable(join(bin, 'nvcc'), `echo '#$ _HERE_=${toolkit}/bin' >&2`);
  const cuda = { compiler: join(toolkit, 'bin/nvcc'), root: toolkit };
  assert.equal(findLibtorch({ PATH: bin }, [ofSystem], usual).libtorch?.prefix, ofSystem);
  const only = findLibtorch({ PATH: bin }, [], usual).libtorch;
  assert.deepEqual([only?.prefix, only?.cuda], [forGpus, { ...cuda, architectures: '80;90', hasGpu: false }]);

  executable(join(bin, 'nvidia-smi'), 'echo No devices were found; exit 6');
  const broken = findLibtorch({ PATH: bin }, [ofSystem], usual);
  assert.equal(broken.libtorch?.prefix, ofSystem);
  assert.match(broken.looked[1]!.found, /^version 2\.11\.0 in .*, tried after the system's$/);
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

test('only those who are not root are told to use sudo, and only existing packages are named', () => {
  const needs = ['libtorch', 'a C++ compiler'];
  const advice = { needs, packages: ['g++'], looked, obstacle: 'why', canDownload: true };
  const toRoot = instructions({ ...advice, isRoot: true });
  assert.match(toRoot, /^ {4}Debian, Ubuntu +apt-get update && apt-get install -y --no-install-recommends g\+\+$/m);
  assert.doesNotMatch(toRoot, /sudo|administrator/);
  const toUser = instructions({ ...advice, isRoot: false });
  assert.match(toUser, /Ubuntu +sudo apt-get update && sudo apt-get install -y --no-install-recommends g\+\+$/m);
  assert.match(toUser, /ask an administrator for a C\+\+ compiler,/);
  assert.match(toUser, /once the rest is installed[^,]*, the set-up downloads libtorch itself$/m);
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
