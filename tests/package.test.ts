// What `npm pack` publishes: what is in it, under which name people call it, and that it works where npm has installed it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const project = fileURLToPath(new URL('../..', import.meta.url));

/** What `npm pack` says of the one package. */
function pack(...words: string[]): { filename: string; files: { path: string }[] } {
  const output = execFileSync('npm', ['pack', '--json', ...words], { cwd: project, encoding: 'utf8' });
  const listed: unknown = JSON.parse(output);
  return (Array.isArray(listed) ? listed : Object.values(listed as object))[0];
}

test("the package holds only the program, not a user's texts, runs, tests or logs that lie beside it", (t) => {
  const stray = ['my/texts/package-test.txt', 'runs/package-test/config.json', 'package-test.txt'];
  for (const path of stray) {
    mkdirSync(join(project, path, '..'), { recursive: true });
    writeFileSync(join(project, path), 'mine');
  }
  t.after(() => {
    rmSync(join(project, 'package-test.txt'));
    rmSync(join(project, 'runs/package-test'), { recursive: true });
    rmSync(join(project, 'my/texts/package-test.txt'));
    for (const folder of ['runs', 'my/texts', 'my']) {
      if (readdirSync(join(project, folder)).length === 0) rmSync(join(project, folder), { recursive: true });
    }
  });
  const paths = pack('--dry-run').files.map(({ path }) => path);
  const known = /^(configs|dist\/(dashboard|src)|docs|native|setup)\/|^(LICENSE|README\.md|package\.json)$/;
  assert.deepEqual(
    paths.filter((path) => !known.test(path) || /\.(test|fixture)\./.test(path)),
    [],
  );
  for (const path of ['dist/src/cli/main.js', 'dist/src/index.d.ts', 'native/CMakeLists.txt', 'setup/setup.mjs']) {
    assert.ok(paths.includes(path), path);
  }
});

test('no text calls the program by the npm name of another package', () => {
  const folders = ['src', 'docs', 'setup', 'configs', 'bench'];
  const files = folders.flatMap((folder) =>
    readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const wrong = ['README.md', ...files]
    .filter((file) => /\.(ts|tsx|mjs|md|yaml)$/.test(file))
    .filter((file) => /\bnpx taper(?!-lm)|from 'taper['/]/.test(readFileSync(join(project, file), 'utf8')));
  assert.deepEqual(wrong, []);
});

/** What a program does with the package. */
const program = `import { type Config, loadConfig, type Metrics, pretrain, type Sink } from 'taper-lm';
import { type DepthMethod, expectedDepth } from 'taper-lm/depth';

const { config }: { config: Config } = loadConfig({
  overrides: {
    model: { layers: 2, hiddenSize: 32, heads: 2, vocabSize: 60, maxPositions: 16 },
    data: { cache: 'cache', sequenceLength: 16 },
    train: { steps: 100, batchSize: 4, threads: 1, evalEvery: 0, saveEvery: 0 },
  },
});
const depth: DepthMethod = (step) => ({ theta: 1, keepRates: [1, step % 2], branchScales: [1, 1] });
const samples = {
  name: 'garden',
  *[Symbol.iterator]() {
    for (let i = 0; i < 100; i++) yield 'The cat sees the dog in the old garden. '.repeat(1 + (i % 3));
  },
};
const controller = new AbortController();
const depths: number[] = [];
const sink: Sink = (line: Metrics) => {
  if (line.type !== 'step') return;
  depths.push(line.depth);
  if (line.step === 4) controller.abort('enough');
};
const { signal } = controller;
const { step, stoppedBy } = await pretrain(config, { out: 'run', depth, samples, sinks: [sink], signal });
console.log(JSON.stringify({ step, stoppedBy, depths, expected: expectedDepth(depth(1).keepRates) }));
`;

describe('in an empty folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-package-'));
  const at = (path: string) => join(folder, path);
  const environment = { ...process.env, XDG_CACHE_HOME: at('user-cache') };
  const run = (command: string, ...words: string[]) =>
    spawnSync(command, words, { cwd: folder, encoding: 'utf8', env: environment });
  after(() => rmSync(folder, { recursive: true, force: true }));

  before(() => {
    const { filename } = pack('--pack-destination', folder);
    writeFileSync(at('package.json'), '{ "name": "user", "private": true, "type": "module" }');
    const installed = run(
      'npm',
      'install',
      '--ignore-scripts',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      `./${filename}`,
    );
    assert.equal(installed.status, 0, installed.stderr);
    cpSync(join(project, 'node_modules/@types/node'), at('node_modules/@types/node'), { recursive: true });
    cpSync(join(project, 'node_modules/undici-types'), at('node_modules/undici-types'), { recursive: true });
    writeFileSync(at('program.ts'), program);
  });

  test('the program type-checks under NodeNext and under bundler', () => {
    for (const [module, moduleResolution] of [
      ['NodeNext', 'NodeNext'],
      ['ESNext', 'bundler'],
    ] as const) {
      const words = [
        '--noEmit',
        '--strict',
        '--target',
        'ES2022',
        '--lib',
        'ES2023,ESNext.Disposable',
        '--types',
        'node',
      ];
      const tsc = join(project, 'node_modules/.bin/tsc');
      const { status, stdout } = run(
        tsc,
        ...words,
        '--module',
        module,
        '--moduleResolution',
        moduleResolution,
        'program.ts',
      );
      assert.equal(status, 0, `${moduleResolution}: ${stdout}`);
    }
  });

  test('plan works without an addon, and where one cannot be built training says what to do', () => {
    const { status, stdout } = run('npx', 'taper-lm', 'plan', '--set', 'model.preset=bert-mini', 'train.steps=1000');
    assert.equal(status, 0);
    assert.match(stdout, /^method +dense/m);
    assert.ok(!existsSync(at('user-cache')), 'nothing was built');
    const bare = { ...environment, LIBTORCH: at('nowhere') };
    const bench = spawnSync('npx', ['taper-lm', 'bench', 'step', '--steps', '1'], {
      cwd: folder,
      encoding: 'utf8',
      env: bare,
    });
    assert.notEqual(bench.status, 0);
    assert.match(bench.stderr, /LIBTORCH=.*nowhere: no TorchConfig.cmake/);
    assert.match(bench.stderr, /then run npx taper-lm setup/);
  });

  test('the program trains with its own depth method, documents, sink and signal, on the addon in the user’s cache', async () => {
    await keepAddon(at('node_modules/taper-lm'), at('user-cache/taper'));
    const tsc = run(
      join(project, 'node_modules/.bin/tsc'),
      '--target',
      'ES2022',
      '--module',
      'NodeNext',
      '--skipLibCheck',
      'program.ts',
    );
    assert.equal(tsc.status, 0, tsc.stdout);
    const { status, stdout, stderr } = run(process.execPath, 'program.js');
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '', 'the library says nothing by itself');
    assert.deepEqual(JSON.parse(stdout), { step: 4, stoppedBy: 'enough', depths: [1, 2, 1, 2], expected: 2 });
    assert.deepEqual(readdirSync(at('run')).sort(), ['checkpoints', 'config.json', 'log.jsonl']);
  });
});

/** Puts the addon of this checkout, which was built of the same source, where the first use would build it. */
async function keepAddon(root: string, cache: string): Promise<void> {
  const load = (file: string) => import(pathToFileURL(join(root, 'setup', file)).href);
  const { findLibtorch } = (await load('libtorch.mjs')) as { findLibtorch(): { libtorch: object } };
  const { addonInCache } = (await load('steps.mjs')) as {
    addonInCache(root: string, libtorch: object, cache: string): { file: string };
  };
  const { file } = addonInCache(root, findLibtorch().libtorch, cache);
  mkdirSync(dirname(file), { recursive: true });
  copyFileSync(join(project, 'build/native/taper.node'), file);
}
