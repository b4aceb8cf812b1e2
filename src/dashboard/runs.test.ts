import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type FineTuning, fineTuningFile } from '../runs/index.ts';
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
    const names = runs
      .list()
      .runs.map(({ name, state }) => `${name} ${state}`)
      .sort();
    assert.deepEqual(names, ['linked stopped', 'others/a stopped', 'others/deep/b stopped', 'own stopped']);
    assert.equal(runs.folderOf('linked'), at(`${root}/linked`));
    for (const name of ['../disk/moved', 'linked/../own', at('disk/moved'), 'others'])
      assert.equal(runs.folderOf(name), undefined, name);
  }
  symlinkSync(at('disk/moved'), at('one'));
  assert.deepEqual(
    new Runs(at('one')).list().runs.map(({ name }) => name),
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
    new Runs(at('circle')).list().runs.map(({ name }) => name),
    ['z/run'],
  );
});

test('the newest run comes first, and a fine-tuned model knows the run that it was made from', () => {
  for (const [i, run] of ['tuned/old', 'tuned/new'].entries()) {
    writeRun(run);
    utimesSync(at(`${run}/config.json`), 1000 + i, 1000 + i);
  }
  const writeModel = (path: string, files: Record<string, object>) => {
    mkdirSync(at(path), { recursive: true });
    for (const [name, content] of Object.entries({ 'config.json': {}, ...files }))
      writeFileSync(join(at(path), name), JSON.stringify(content));
  };
  const trainer = { head: { kind: 'single-label', labels: ['ham', 'spam'] } };
  const record = (from: string): FineTuning => ({
    ...{ from, time: '2026-01-01T00:00:00Z', command: [], task: 'mails.csv', labels: ['ham', 'spam'], examples: 9 },
    seeds: [],
    decidedBy: null,
    baselines: [],
  });
  writeModel('tuned/mails', { 'trainer.json': trainer, [fineTuningFile]: record('../old/checkpoints/step-1') });
  mkdirSync(at('tuned/old/checkpoints/step-1'), { recursive: true });
  writeModel('tuned/elsewhere', { 'trainer.json': trainer, [fineTuningFile]: record('../gone') });
  writeModel('tuned/earlier', { 'trainer.json': trainer });
  writeModel('tuned/imported', { 'trainer.json': {} });
  const { runs, tunings } = new Runs(at('tuned')).list();
  assert.deepEqual(
    runs.map(({ name }) => name),
    ['new', 'old'],
  );
  assert.deepEqual(tunings.map(({ name, parent, record }) => [name, parent, record?.task]).sort(), [
    ['earlier', null, undefined],
    ['elsewhere', null, 'mails.csv'],
    ['mails', 'old', 'mails.csv'],
  ]);
});
