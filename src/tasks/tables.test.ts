import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DataError } from '../config/index.ts';
import { readTable } from './tables.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-tables-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string | Buffer): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

test('in a TSV a quote is a character, and lines of another number of columns are left out and counted', async () => {
  const path = file(
    'a.tsv',
    'index\tsentence\tlabel\r\n0\t"Never" said he\t1\r\n1\tan " open quote\t0\r\n2\ttoo\tmany\tcells\r\n\r\n',
  );
  assert.deepEqual(await readTable(path), {
    rows: [
      { index: '0', sentence: '"Never" said he', label: '1' },
      { index: '1', sentence: 'an " open quote', label: '0' },
    ],
    malformed: 1,
  });
  const headless = file('b.tsv', 'gj04\t1\t\tIt works.\n');
  const { rows } = await readTable(headless, ['source', 'label', 'mark', 'sentence']);
  assert.deepEqual(rows, [{ source: 'gj04', label: '1', mark: '', sentence: 'It works.' }]);
});

test('in a CSV quotes quote, over lines and commas', async () => {
  const path = file('a.csv', '\ufefftext,label\n"one, ""two""\nthree",yes\nfour,no\n');
  assert.deepEqual((await readTable(path)).rows, [
    { text: 'one, "two"\nthree', label: 'yes' },
    { text: 'four', label: 'no' },
  ]);
});

test('JSON lines keep their numbers', async () => {
  const path = file('a.jsonl', '{"text": "one", "score": 1.5}\n\n{"text": "two", "score": 2}\n');
  assert.deepEqual((await readTable(path)).rows, [
    { text: 'one', score: 1.5 },
    { text: 'two', score: 2 },
  ]);
});

test('what is no table is refused with the file and the reason', async () => {
  const refused = (path: string, reason: RegExp) =>
    assert.rejects(readTable(path), (error) => error instanceof DataError && reason.test(error.message));
  await refused(join(folder, 'none.tsv'), /none\.tsv: no such file/);
  await refused(file('empty.tsv', ''), /empty\.tsv: holds no row/);
  await refused(file('header.tsv', 'sentence\tlabel\n'), /header\.tsv: holds no row/);
  await refused(file('a.xlsx', 'x'), /a\.xlsx: not a table that is known: \.tsv \.csv \.jsonl \.parquet/);
  await refused(file('broken.jsonl', '{"a": 1}\n{"a": \n'), /broken\.jsonl: .*JSON/);
  await refused(file('broken.csv', 'a,b\n1,2,3\n'), /broken\.csv: /);
  await refused(file('broken.parquet', 'PAR1'), /broken\.parquet: /);
  await refused(file('latin1.tsv', Buffer.from([0x61, 0xe9, 0x0a])), /latin1\.tsv: .*not valid/);
});
