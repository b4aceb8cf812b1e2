// What `npm pack` would publish, and under which name people call it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../..', import.meta.url));

test("the package holds the program alone, not a user's texts, runs, tests or logs that lie beside it", (t) => {
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
  const output = execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: project, encoding: 'utf8' });
  const listed: unknown = JSON.parse(output);
  const [pack] = (Array.isArray(listed) ? listed : Object.values(listed as object)) as [{ files: { path: string }[] }];
  const paths = pack.files.map(({ path }) => path);
  const known = /^(configs|dist\/(dashboard|src)|docs|native|setup)\/|^(LICENSE|README\.md|package\.json)$/;
  assert.deepEqual(
    paths.filter((path) => !known.test(path) || /\.(test|fixture)\./.test(path)),
    [],
  );
  for (const path of ['dist/src/cli/main.js', 'dist/src/index.d.ts', 'native/CMakeLists.txt', 'setup/setup.mjs']) {
    assert.ok(paths.includes(path), path);
  }
});

test('no text calls the program by the npm name of somebody else', () => {
  const folders = ['src', 'docs', 'setup', 'configs', 'bench'];
  const files = folders.flatMap((folder) =>
    readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const wrong = ['README.md', ...files]
    .filter((file) => /\.(ts|tsx|mjs|md|yaml)$/.test(file))
    .filter((file) => /\bnpx taper(?!-lm)|from 'taper'/.test(readFileSync(join(project, file), 'utf8')));
  assert.deepEqual(wrong, []);
});
