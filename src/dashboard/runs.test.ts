import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tinyConfig } from '../train/tiny.fixture.ts';
import { Runs } from './runs.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-runs-'));
after(() => rmSync(folder, { recursive: true }));

const at = (path: string) => join(folder, path);

function writeRun(path: string): void {
  mkdirSync(at(path), { recursive: true });
  writeFileSync(join(at(path), 'config.json'), JSON.stringify(tinyConfig()));
  writeFileSync(join(at(path), 'metrics.jsonl'), '');
}

test('runs behind symbolic links are listed: links to runs, to folders of runs, and a folder of runs that is a link', () => {
  for (const run of ['runs/own', 'disk/moved', 'disk/more/a', 'disk/more/deep/b']) writeRun(run);
  symlinkSync(at('disk/moved'), at('runs/linked'));
  symlinkSync('../disk/more', at('runs/others'));
  symlinkSync(at('runs'), at('link-to-runs'));
  for (const root of ['runs', 'link-to-runs']) {
    const runs = new Runs(at(root));
    const names = runs.list().map(({ name, state }) => `${name} ${state}`);
    assert.deepEqual(names, ['linked stopped', 'others/a stopped', 'others/deep/b stopped', 'own stopped']);
    assert.equal(runs.folderOf('linked'), at(`${root}/linked`));
    for (const name of ['../disk/moved', 'linked/../own', at('disk/moved'), 'others'])
      assert.equal(runs.folderOf(name), undefined, name);
  }
  symlinkSync(at('disk/moved'), at('one'));
  assert.deepEqual(
    new Runs(at('one')).list().map(({ name }) => name),
    ['one'],
  );
});

test('a run is listed once, by its own name, and links in a circle, upwards or to nowhere lead to none', () => {
  for (const run of ['circle/z/run', 'beside']) writeRun(run);
  symlinkSync(at('circle/z/run'), at('circle/latest'));
  mkdirSync(at('circle/a'));
  symlinkSync('../z', at('circle/a/again'));
  symlinkSync('.', at('circle/self'));
  symlinkSync('..', at('circle/up'));
  symlinkSync('/', at('circle/top'));
  symlinkSync('two', at('circle/one'));
  symlinkSync('one', at('circle/two'));
  symlinkSync('nowhere', at('circle/broken'));
  writeFileSync(at('circle/file'), '');
  symlinkSync('file', at('circle/to-a-file'));
  assert.deepEqual(
    new Runs(at('circle')).list().map(({ name }) => name),
    ['z/run'],
  );
});
