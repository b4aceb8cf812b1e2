import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readApi, readPublicApi, root, throwsMistakes, undocumented } from './public-api.fixture.ts';
import { surfaceOf } from './public-surface.fixture.ts';

// The public surface: src/index.ts and the other exports of package.json, as TypeDoc reads them.

const api = await readPublicApi();

test('the modules have the names that programs import them by', () => {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    name: string;
    exports: object;
  };
  const expected = Object.keys(exports).filter((path) => path !== './package.json');
  assert.deepEqual(
    api.project.children!.map((module) => module.name).sort(),
    expected.map((path) => path.replace('.', name)).sort(),
  );
});

test('every public name has a doc comment', () => {
  assert.deepEqual(undocumented(api), []);
});

test('every public function that throws says so in @throws, by the class of the error', () => {
  assert.deepEqual(throwsMistakes(api), []);
});

test('the reference is written without a warning, and begins with the README', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-api-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await api.write(folder);
  const advice = 'export a type that is not included, or name it in tests/public-api.fixture.ts';
  assert.equal(api.warnings.join('\n'), '', `${api.warnings.join('\n')}\n${advice}`);
  const page = (path: string) => readFileSync(join(folder, path), 'utf8');
  for (const text of ['<title>taper</title>', 'npm start']) assert.ok(page('index.html').includes(text), text);
  for (const text of ['2010.13369', 'RangeError'])
    assert.ok(page('functions/taper-lm_depth.pld.html').includes(text), text);
});

test('the public surface is the one in tests/public-surface.txt', () => {
  const file = join(root, 'tests/public-surface.txt');
  const found = surfaceOf(api);
  if (process.env.TAPER_SURFACE === 'write') writeFileSync(file, `${found.join('\n')}\n`);
  const pinned = readFileSync(file, 'utf8').trimEnd().split('\n');
  const gone = pinned.filter((line) => !found.includes(line)).map((line) => `- ${line}`);
  const come = found.filter((line) => !pinned.includes(line)).map((line) => `+ ${line}`);
  const advice = 'where that is meant, write it down: TAPER_SURFACE=write npm test -- tests/api';
  const message = ['the public surface has changed', ...gone, ...come, advice].join('\n');
  assert.ok(found.join('\n') === pinned.join('\n'), message);
});

const mistakes = `/**
 * With mistakes. See {@link nowhere}.
 *
 * @module mistakes
 */
export function bare({ at }: { at: string }): void {
  at.trim();
}
/** Has a method. */
export class Thing {
  readonly size: { least?: number }[] = [];
  method(): never {
    throw new TypeError();
  }
}
/**
 * Throws another one.
 *
 * @throws TypeError always.
 */
export function other(): never {
  throw new RangeError();
}
/**
 * Passes on what it caught, and what a function inside throws is not its own.
 */
export function passesOn(f: () => void): () => never {
  try {
    f();
  } catch (error) {
    throw error;
  }
  return () => {
    throw new Error();
  };
}
/**
 * Says nothing.
 *
 * @throws what others throw.
 */
export function vague(): void {}
`;

test('a name without a comment, a throw without @throws and a link to nothing are found', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-api-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'tsconfig.json'), '{ "compilerOptions": { "types": [] }, "files": ["mistakes.ts"] }');
  writeFileSync(join(folder, 'mistakes.ts'), mistakes);
  const found = await readApi({ entryPoints: [join(folder, 'mistakes.ts')], tsconfig: join(folder, 'tsconfig.json') });
  assert.deepEqual(undocumented(found), ['mistakes.bare', 'mistakes.Thing.method']);
  assert.deepEqual(throwsMistakes(found), [
    'mistakes.other: its body throws RangeError, without a line @throws',
    'mistakes.vague: @throws what names no error class',
    'mistakes.Thing.method: its body throws TypeError, without a line @throws',
  ]);
  assert.equal(found.warnings.length, 1);
  assert.match(found.warnings[0]!, /"nowhere"/);
  assert.deepEqual(surfaceOf(found).slice(0, 5), [
    'mistakes: class Thing',
    'mistakes: new Thing(): Thing',
    'mistakes: Thing.method(): never',
    'mistakes: readonly Thing.size: { least?: number }[]',
    'mistakes: bare(options: { at: string }): void',
  ]);
});
