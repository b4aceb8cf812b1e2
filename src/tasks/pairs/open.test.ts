import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DataError } from '../../errors/index.ts';
import { openPairTask } from './open.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-pairs-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const learned = {
  head: { kind: 'embedding', pooling: 'mean', normalized: true, dimensions: [] },
  temperature: 0.05,
  isUnsupervised: false,
} as const;
type Columns = Parameters<typeof openPairTask>[1];
type Files = Parameters<typeof openPairTask>[0];
const open = (files: Files, columns: Columns, more = {}) =>
  openPairTask(files, columns, { ...learned, ...more }, assert.fail);

const scored = 'id\ta\tb\tscore\n1\tOne.\tTwo.\t3.5\n2\tThree.\tFour.\t1\n';

test('scored pairs come from a table with or without a header', async () => {
  const train = file('scored.txt', scored);
  const expected = [
    { texts: ['One.', 'Two.'], score: 3.5 },
    { texts: ['Three.', 'Four.'], score: 1 },
  ];
  const { train: found } = await open({ train, dev: train }, { texts: ['a', 'b'], score: 'score' });
  assert.deepEqual(found.examples, expected);
  const bare = file('bare.tsv', '3.5\tOne.\tTwo.\n1\tThree.\tFour.\n');
  const named = { texts: ['a', 'b'], score: 's', all: ['s', 'a', 'b'] };
  assert.deepEqual((await open({ train: bare, dev: bare }, named)).train.examples, expected);
  const csv = file('bare.csv', '3.5,One.,Two.\n1,Three.,Four.\n');
  assert.deepEqual((await open({ train: csv, dev: csv }, named)).train.examples, expected);
});

test('pairs without scores may be judged by scored ones', async () => {
  const train = file('triples.csv', 'a,b,c\nq1,yes1,no1\nq2,yes2,no2\n');
  const dev = file('scored.tsv', scored);
  const plain = await open({ train, dev: train }, { texts: ['a', 'b', 'c'] });
  assert.deepEqual(plain.train.examples[0], { texts: ['q1', 'yes1', 'no1'] });
  const judged = await open({ train, dev }, { texts: ['a', 'b'], score: 'score' });
  assert.deepEqual([judged.train.examples[0]!.score, judged.devs[0]!.examples[0]!.score], [undefined, 3.5]);
});

test('without supervision each distinct text is an example, and nothing is held out', async () => {
  const train = file('texts.csv', 'a,b\nOne.,Two.\nTwo.,Three.\n');
  const task = await open({ train }, { texts: ['a', 'b'] }, { isUnsupervised: true });
  assert.deepEqual(
    task.train.examples.map(({ texts }) => texts),
    [['One.'], ['Two.'], ['Three.']],
  );
  assert.deepEqual(task.devs, []);
});

test('a tenth of pairs is held out where no set to judge by is given', async () => {
  const rows = Array.from({ length: 40 }, (_, i) => `left ${i},right ${i}\n`).join('');
  const task = await open({ train: file('many.csv', `a,b\n${rows}`) }, { texts: ['a', 'b'] });
  assert.deepEqual([task.train.examples.length, task.devs[0]!.examples.length, task.isHeldOut], [36, 4, true]);
});

test('scored pairs of three texts, and pairs to judge by of one, are refused', async () => {
  const three = file('three.csv', 'a,b,c,s\nx,y,z,1\nu,v,w,2\n');
  await assert.rejects(
    open({ train: three, dev: three }, { texts: ['a', 'b', 'c'], score: 's' }),
    /--text a b c: scored pairs have two texts; leave out the third text, or leave out --score/,
  );
  await assert.rejects(
    open({ train: three, dev: three }, { texts: ['a'] }, { isUnsupervised: true }),
    /--text a: a development or test set for embeddings needs pairs; name two text columns/,
  );
});

test('a pair of one text, and four text columns, are refused', async () => {
  const train = file('four.csv', 'a,b,c,d\nx,y,z,w\n');
  await assert.rejects(open({ train }, { texts: ['a'] }), /--text a: a pair has two texts; name both columns/);
  for (const isUnsupervised of [false, true])
    await assert.rejects(
      open({ train }, { texts: ['a', 'b', 'c', 'd'] }, { isUnsupervised }),
      /--text a b c d: takes 3 columns at most; merge columns of the file first/,
    );
});

test('a malformed pair is refused with its line', async () => {
  const refused = (text: string, reason: RegExp, columns: Columns = { texts: ['a', 'b'], score: 's' }) =>
    assert.rejects(
      open({ train: file('bad.csv', text), dev: file('bad.csv', text) }, columns),
      (error) => error instanceof DataError && reason.test(error.message),
      reason.source,
    );
  await refused('a,b,s\nx,,1\ny,z,2\n', /bad\.csv, line 2: the column "b" is empty; fill it in, or remove the line/);
  await refused('a,b,s\nx,y,1\nz,w,high\n', /bad\.csv, line 3: the score "high" is not a number/);
  await refused('a,b,s\nx,y,\n', /line 2: the score "" is not a number/);
  await refused('a,b,s\nx,y,2\nz,w,2\n', /every pair has the s 2; leave out --score/);
  await refused('a,b\nx,y\n', /no column "s"; found "a", "b"; name the right one/);
  await refused('a,b\nx,y\n', /no column "c"/, { texts: ['a', 'c'] });
  await refused('a,b\nx,y\n', /has 2 columns, but the list of --columns has 3/, {
    texts: ['a', 'b'],
    all: ['a', 'b', 'c'],
  });
});
