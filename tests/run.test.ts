import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'taper-run-'));
after(() => rmSync(project, { recursive: true, force: true }));
cpSync(join(root, 'tests/run.mjs'), join(project, 'tests/run.mjs'));

function addFile(path: string, text: string): void {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), text);
}

/** A compiled test file and, empty, the source that the runner finds it by. */
function addTests(name: string, compiled: string): void {
  addFile(`${name}.test.ts`, '');
  addFile(`dist/${name}.test.js`, compiled);
}

function runTests(...words: string[]): { status: number | null; lines: string[] } {
  // A test runner inside a test must not think that it reports to the outer one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [join(project, 'tests/run.mjs'), ...words], {
    env,
    encoding: 'utf8',
  });
  return { status, lines: stdout.trimEnd().split('\n') };
}

addFile('package.json', '{ "type": "module" }');
addTests('src/good', "import { test } from 'node:test'; test('one', () => {}); test.skip('two', () => {});");
addTests(
  'src/mixed',
  "import { test } from 'node:test'; test('outer', async (t) => { await t.test('inner', () => { throw new Error('the reason'); }); });" +
    "test('other', () => {});",
);
addTests('tests/crash', "import { test } from 'node:test'; test('ends', () => process.exit(3));");
addTests(
  'tests/absent',
  "import { describe, test } from 'node:test'; describe('the page', { skip: 'there is no browser' }, () => { test('a', () => {}); test('b', () => {}); });",
);
addTests('tests/nothing', 'export const answer = 42;');
addFile('dist/src/stale.test.js', "throw new Error('its source was deleted');");

test('the runner counts each test once and ends with the totals', () => {
  const { status, lines } = runTests('src', 'tests');
  assert.equal(lines.at(-1), '2 passed, 3 failed, 2 skipped');
  assert.equal(status, 1);
});

test('the runner prints the error of a failing test, and how the process of a file ended', () => {
  const { lines } = runTests('src', 'tests');
  const after = (line: string) => lines[lines.indexOf(line) + 1]?.trim();
  assert.equal(after('FAILED  src/mixed.test.ts: inner'), 'Error: the reason');
  assert.equal(after('FAILED  tests/crash.test.ts: the whole file'), 'ended with exit code 3');
  assert.equal(after('FAILED  tests/nothing.test.ts: the whole file'), 'no test ran');
});

test('the runner says why tests are skipped', () => {
  const { status, lines } = runTests('absent');
  assert.deepEqual(lines.at(0), 'skipped tests/absent.test.ts: the page: there is no browser');
  assert.deepEqual([lines.at(-1), status], ['0 passed, 0 failed, 1 skipped', 0]);
});

test('words choose the test files, and words that choose none are a failure', () => {
  const good = runTests('good');
  assert.equal(good.lines.length, 2);
  assert.equal(good.lines.at(-1), '1 passed, 0 failed, 1 skipped');
  assert.equal(good.status, 0);
  assert.equal(runTests('nowhere').status, 1);
  assert.equal(runTests('stale').status, 1);
});
