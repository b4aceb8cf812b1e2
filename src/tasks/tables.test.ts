// cspell:ignore ncaf
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { DataError } from '../errors/index.ts';
import { numberedLines, readRows, readTable } from './tables.ts';

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
  const { rows: found, malformed } = await readTable(path);
  assert.deepEqual(found, [
    { index: '0', sentence: '"Never" said he', label: '1' },
    { index: '1', sentence: 'an " open quote', label: '0' },
  ]);
  assert.deepEqual(malformed, [4]);
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

test('a file that is not a table is refused with the reason', async () => {
  const refused = (path: string, reason: RegExp) =>
    assert.rejects(readTable(path), (error) => error instanceof DataError && reason.test(error.message));
  await refused(join(folder, 'none.tsv'), /none\.tsv: no such file/);
  await refused(file('empty.tsv', ''), /empty\.tsv: has no rows/);
  await refused(file('header.tsv', 'sentence\tlabel\n'), /header\.tsv: has no rows/);
  await refused(file('a.xlsx', 'x'), /a\.xlsx: not a table that taper reads \(\.tsv \.txt \.csv \.jsonl \.parquet\)/);
  await refused(file('broken.jsonl', '{"a": 1}\n{"a": \n'), /broken\.jsonl, line 2: is not JSON/);
  await refused(file('broken.csv', 'a,b\n1,2,3\n'), /broken\.csv, line 2: has 3 columns, but the header has 2/);
  await refused(file('header.csv', 'sentence,label\r\n'), /header\.csv: has no rows/);
  await refused(
    file('utf16.csv', Buffer.from('\ufefftext,label\n', 'utf16le')),
    /utf16\.csv: is UTF-16 text, not UTF-8; convert it: mv \S+utf16\.csv \S+utf16\.csv\.bak && iconv -f UTF-16 -t UTF-8 \S+utf16\.csv\.bak > /,
  );
  const unmarked = Buffer.from('text\tlabel\none\t1\n', 'utf16le');
  await refused(file('unmarked.tsv', unmarked), /unmarked\.tsv: is UTF-16LE text, not UTF-8; convert it: [^;]*$/);
  await refused(
    file('zero.csv', 'a,b\n1,\0\n'),
    /zero\.csv: contains a zero byte, so it is not text; give another table/,
  );
  await refused(
    file('latin1.csv', Buffer.from('text,label\ncaf\xe9,1\n', 'latin1')),
    /latin1\.csv: is not UTF-8 text; if it is WINDOWS-1252, as of Excel, convert it: .*; otherwise give another table$/,
  );
  await refused(file('broken.parquet', 'PAR1'), /broken\.parquet: /);
  await refused(file('latin1.tsv', Buffer.from([0x61, 0xe9, 0x0a])), /latin1\.tsv: is not UTF-8 text/);
});

test('line endings may be mixed, and do not become part of a label', async () => {
  const labelsOf = async (path: string) => (await readTable(path)).rows.map(({ label }) => label);
  const mixed = 'text,label\r\na,ham\nb,spam\r\nc,ham\rd,spam\r\r\ne,ham';
  assert.deepEqual(await labelsOf(file('mixed.csv', mixed)), ['ham', 'spam', 'ham', 'spam', 'ham']);
  assert.deepEqual(await labelsOf(file('mixed2.csv', 'text,label\na,ham\r\nb,spam\n')), ['ham', 'spam']);
  assert.deepEqual(await labelsOf(file('mac.csv', 'text,label\ra,ham\rb,spam\r')), ['ham', 'spam']);
  const tabs = 'text\tlabel\r\na\tham\nb\tspam\r\r\nc\tham\r';
  assert.deepEqual(await labelsOf(file('mixed.tsv', tabs)), ['ham', 'spam', 'ham']);
  assert.deepEqual(await labelsOf(file('mac.tsv', 'text\tlabel\ra\tham\rb\tspam')), ['ham', 'spam']);
  const lines = '{"label":"ham"}\r\n\n{"label":"spam"}\n{"label":"ham"}\r\n';
  assert.deepEqual(await labelsOf(file('mixed.jsonl', lines)), ['ham', 'spam', 'ham']);
});

test('a quoted cell keeps its own line endings', async () => {
  const { rows } = await readTable(file('quoted.csv', 'text,label\n"one\r\ntwo\rthree\n",x\r\n'));
  assert.deepEqual(rows, [{ text: 'one\r\ntwo\rthree\n', label: 'x' }]);
});

test('a header with one name twice is refused, naming it', async () => {
  for (const [name, header] of [
    ['twice.csv', 'text,label,text\na,b,c\n'],
    ['twice.tsv', '\n\ntext\tlabel\t text\na\tb\tc\n'],
  ] as const) {
    await assert.rejects(
      readTable(file(name, header)),
      /line \d: the header has the column "text" more than once; rename/,
    );
  }
  // A spreadsheet's columns without a name are nobody's mistake.
  assert.deepEqual((await readTable(file('unnamed.csv', 'text,label,,\na,b,,\n'))).rows, [
    { text: 'a', label: 'b', '': '' },
  ]);
});

test('a CSV is separated by the comma, semicolon or tab that its first two lines agree on', async () => {
  const expected = [{ text: 'one, two', label: 'x' }];
  const { rows } = await readTable(file('comma.csv', 'Text, raw;label;"a,b"\none;two;three\n'));
  assert.deepEqual(rows, [{ 'Text, raw': 'one', label: 'two', 'a,b': 'three' }]);
  assert.deepEqual((await readTable(file('semicolon.csv', 'text;label\none, two;x\n'))).rows, expected);
  assert.deepEqual((await readTable(file('tab.csv', '\n"text"\tlabel\n"one, two"\tx\n'))).rows, expected);
  assert.deepEqual((await readTable(file('comma.csv', 'text,"a;b"\nx,y\n'))).rows, [{ text: 'x', 'a;b': 'y' }]);
});

test('rows and mistakes are reported with the line of the file, blank lines and lines within quotes counted', async () => {
  const { rows, where } = await readTable(file('lines.csv', '\ntext,label\r\n\r\n"a\r\nb\nc",x\n   \nd,y\r\n'));
  assert.deepEqual(
    rows.map((_, i) => where(i)),
    [`${join(folder, 'lines.csv')}, line 4`, `${join(folder, 'lines.csv')}, line 8`],
  );
  const refused = (name: string, text: string, reason: RegExp) => assert.rejects(readTable(file(name, text)), reason);
  await refused('r.csv', 'text,label\n\n"a\nb",x\n\nc,y,z\n', /r\.csv, line 6: has 3 columns, but the header has 2/);
  await refused(
    'c.csv',
    'text,label\n"a"b,y\n',
    /c\.csv, line 2: has more after the quotation mark that closes a text; write/,
  );
  await refused(
    'q.csv',
    'text,label\r\n\r\n"a\r\nb",x\r\nc,"y\r\n1,2\r\n',
    /q\.csv, line 5: a quotation mark opens here and is never closed; write/,
  );
  await refused(
    'o.csv',
    'text,label\n\nab"c,y\n',
    /o\.csv, line 3: has a quotation mark in a text without .* each quotation mark in it as ""$/,
  );
  await refused('a.jsonl', '\n{"a": 1}\n\n  \r\n{"a"\n', /a\.jsonl, line 5: is not JSON/);
  await refused('b.jsonl', '{"a": 1}\n\n[1]\n', /b\.jsonl, line 3: is not a JSON object/);
  const json = await readTable(file('c.jsonl', '\n\n{"a": 1}\n\n{"a": 2}'));
  assert.deepEqual(
    json.rows.map((_, i) => json.where(i).replace(/.*, /, '')),
    ['line 3', 'line 5'],
  );
});

test('rows are read one after the other, with the lines of the whole file: a fault far behind them is found later', async () => {
  // Several times as long as what is read at once.
  const text = 'é, "quoted"\r\nin two lines '.repeat(10);
  const count = 20_000;
  const quoted = `"${text.replaceAll('"', '""')}"`;
  const [plain, json] = [text.replaceAll(/\s/g, ' '), JSON.stringify({ text })];
  for (const [name, head, row, linesPerRow, fault] of [
    ['long.csv', 'text,label\n', `${quoted},x\n\n`, 12, 'a,b,c\n'],
    ['long.tsv', 'text\tlabel\n', `${plain}\tx\r\n`, 1, Buffer.from([0xff, 0x0a])],
    ['long.jsonl', '', `${json}\n`, 1, '{"text"\n'],
  ] as const) {
    const path = file(name, Buffer.concat([Buffer.from(head + row.repeat(count)), Buffer.from(fault)]));
    const numbers: number[] = [];
    const readAll = async () => {
      for await (const { number } of readRows(path)) numbers.push(number);
    };
    await assert.rejects(readAll, DataError);
    const first = head === '' ? 1 : 2;
    assert.ok(numbers.length > count / 2, `${name}: ${numbers.length} rows before the fault`);
    const expected = numbers.map((_, i) => first + i * linesPerRow);
    assert.deepEqual(numbers, expected, name);
  }
});

test('a reader that stops early closes its file', { skip: process.platform !== 'linux' }, async () => {
  const targetOf = (descriptor: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return ''; // closed since
    }
  };
  const openFiles = () =>
    readdirSync('/proc/self/fd')
      .map(targetOf)
      .filter((path) => path.startsWith(folder));
  const paths = [
    file('long.csv', `text,label\n${'a,b\n'.repeat(200_000)}`),
    file('long.tsv', 'text\tlabel\n'.repeat(200_000)),
  ];
  for (const path of [...paths, ...paths]) {
    for await (const { number } of readRows(path)) {
      assert.equal(number, 2);
      break;
    }
  }
  await setTimeout(100);
  assert.deepEqual(openFiles(), []);
});

test('lines end alike wherever a text is cut', async () => {
  async function* parts(...some: string[]) {
    yield* some;
  }
  for (const cut of [
    ['a\r', '\nb\r\nc\r\n'],
    ['a\r', 'b', '\rc'],
    ['a', '\rb\r', 'c\r'],
    ['a\nb', '\nc'],
  ]) {
    const lines: unknown[] = [];
    for await (const line of numberedLines(parts(...cut))) lines.push(line);
    assert.deepEqual(
      lines,
      ['a', 'b', 'c'].map((text, i) => ({ line: i + 1, text })),
      JSON.stringify(cut),
    );
  }
});
