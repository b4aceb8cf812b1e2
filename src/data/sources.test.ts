// cspell:ignore ahabaabqqv eins lait zwei
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { DataError } from '../errors/index.ts';
import { temporaryFolder } from './fixtures.ts';
import { listSources } from './listing.ts';
import { readParts, readTexts } from './sources.ts';

// pyarrow 25: pq.write_table(pa.table({'title': ['a', 'b', 'c'], 'text': ['The first row, of the first group.', '',
// 'Third row: naïve café.']}), row_group_size=2, compression='zstd', write_statistics=False, store_schema=False)
const parquet =
  'UEFSMRUEFRQVJkwVBBUAEgAAKLUv/SAKUQAAAQAAAGEBAAAAYhUAFRIVJCwVBBUQFQYVBhwAAAAotS/9IAlJAAACAAAABAEBAwIVBBVUFWZMFQQVABIA' +
  'ACi1L/0gKlEBACIAAABUaGUgZmlyc3Qgcm93LCBvZiB0aGUgZmlyc3QgZ3JvdXAuAAAAABUAFRIVJCwVBBUQFQYVBhwAAAAotS/9IAlJAAACAAAABAEB' +
  'AwIVBBUKFRxMFQIVABIAACi1L/0gBSkAAAEAAABjFQAVEhUkLBUCFRAVBhUGHAAAACi1L/0gCUkAAAIAAAACAQECABUEFTgVSkwVAhUAEgAAKLUv/SAc' +
  '4QAAGAAAAFRoaXJkIHJvdzogbmHDr3ZlIGNhZsOpLhUAFRIVJCwVAhUQFQYVBhwAAAAotS/9IAlJAAACAAAAAgEBAgAVBBk8NQAYBnNjaGVtYRUEABUM' +
  'JQIYBXRpdGxlJQBMHAAAABUMJQIYBHRleHQlAEwcAAAAFgYZLBksJgAcFQwZNQAGEBkYBXRpdGxlFQwWBBZoFowBJkomCCksFQQVABUCABUAFRAVAgA8' +
  'FgQZBhkmAAQAAAAmABwVDBk1AAYQGRgEdGV4dBUMFgQWqAEWzAEmlgImlAEpLBUEFQAVAgAVABUQFQIAPBZEGQYZJgAEAAAAFpACFgQmCBbYAgAZLCYA' +
  'HBUMGTUABhAZGAV0aXRsZRUMFgIWXhaCASaYAybgAiksFQQVABUCABUAFRAVAgA8FgIZBhkmAAIAAAAmABwVDBk1AAYQGRgEdGV4dBUMFgIWjAEWsAEm' +
  'yAQm4gMpLBUEFQAVAgAVABUQFQIAPBYwGQYZJgACAAAAFuoBFgIm4AIWsgIAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI1LjAuMRksHAAAHAAA' +
  'AHABAABQQVIx';

function write(folder: string, name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function documentsOf(path: string, textField = 'text'): Promise<string[]> {
  const documents: string[] = [];
  let text = '';
  for (const file of await listSources([path])) {
    for await (const part of readParts(file, { textField })) {
      text += part.text;
      if (!part.endsDocument) continue;
      documents.push(text);
      text = '';
    }
  }
  return documents;
}

function rejectsWith(path: string, message: RegExp): Promise<void> {
  return assert.rejects(documentsOf(path), (error: Error) => {
    assert.ok(error instanceof DataError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.includes(basename(path)), error.message);
    assert.ok(!error.message.includes('\n'));
    return true;
  });
}

test('a text file of any length is one document, read in parts that are cut at white space', async (t) => {
  const folder = temporaryFolder(t);
  // "né " is four bytes, so that borders of chunks fall inside of a character too.
  const text = `x${'né '.repeat(1_000_000)}\n\nend`;
  for (const [name, content] of [
    ['a.txt', text],
    ['b.txt.gz', gzipSync(text)],
  ] as const) {
    const path = write(folder, name, content);
    assert.deepEqual(await documentsOf(path), [text]);
    const parts: string[] = [];
    for await (const part of readTexts(await listSources([path]), { textField: 'text' })) parts.push(part);
    assert.ok(parts.length >= 2);
    assert.ok(parts.slice(1).every((part) => /^\s/.test(part)));
    assert.ok(Math.max(...parts.map((part) => part.length)) < 3 * 2 ** 20);
  }
});

test('a byte order mark is not text', async (t) => {
  assert.deepEqual(await documentsOf(write(temporaryFolder(t), 'a.txt', '\uFEFFword')), ['word']);
});

test('a Markdown file is one document without its marks', async (t) => {
  const path = write(temporaryFolder(t), 'a.md', '# Title\n\nSome **bold** prose.\n');
  assert.deepEqual(await documentsOf(path), ['Title\n\nSome bold prose.\n']);
});

test('JSON lines hold a document each, in the field that is named', async (t) => {
  const folder = temporaryFolder(t);
  const lines = '{"text":"one\\n1","body":"eins"}\r\n\n{"text":"  ","body":"leer"}\n{"text":"zwö","body":"zwei"}';
  assert.deepEqual(await documentsOf(write(folder, 'a.jsonl', lines)), ['one\n1', 'zwö']);
  assert.deepEqual(await documentsOf(write(folder, 'b.jsonl.gz', gzipSync(lines))), ['one\n1', 'zwö']);
  assert.deepEqual(await documentsOf(join(folder, 'a.jsonl'), 'body'), ['eins', 'leer', 'zwei']);
});

test('Parquet rows of all row groups are a document each', async (t) => {
  const path = write(temporaryFolder(t), 'a.parquet', Buffer.from(parquet, 'base64'));
  assert.deepEqual(await documentsOf(path), ['The first row, of the first group.', 'Third row: naïve café.']);
  await assert.rejects(documentsOf(path, 'body'), /no field "body"; found "title", "text"/);
});

test('a null or blank text is passed over and counted; a field that is missing is an error', async (t) => {
  const folder = temporaryFolder(t);
  const lines = '{"text":null}\n{"text":"a"}\n{"text":" "}\n{"text":"","id":1}\n{"text":"b"}';
  const parquet = parquetWriteBuffer({
    columnData: [{ name: 'text', data: ['a', null, '', ' \n', 'b'], type: 'STRING', nullable: true }],
  });
  for (const [path, places] of [
    [write(folder, 'a.jsonl', lines), ['line 1', 'line 3', 'line 4']],
    [write(folder, 'a.parquet', new Uint8Array(parquet)), ['row 2', 'row 3', 'row 4']],
  ] as const) {
    const blank: string[] = [];
    const texts: string[] = [];
    for (const file of await listSources([path])) {
      const options = { textField: 'text', onBlank: (where: string) => blank.push(where) };
      for await (const { text } of readParts(file, options)) texts.push(text);
    }
    assert.deepEqual(texts, ['a', 'b']);
    assert.deepEqual(
      blank,
      places.map((place) => `${path}, ${place}`),
    );
  }
  await rejectsWith(write(folder, 'b.jsonl', '{"text":"a"}\n{"body":"b"}'), /line 2: no field "text"; found "body"/);
  await rejectsWith(
    write(folder, 'c.jsonl', '{"text":null}\n{"text":""}'),
    /contains no text: its 2 rows have none in "text"/,
  );
});

test('a file without any text among others is passed over', async (t) => {
  const folder = temporaryFolder(t);
  write(folder, 'a.txt', 'word');
  for (const [name, content] of Object.entries({
    'b.txt': ' \n',
    'c.jsonl': '\n',
    'd.jsonl': '{"text":null}',
    'e.md': '![x](y)',
  })) {
    write(folder, name, content);
  }
  const texts: string[] = [];
  for await (const text of readTexts(await listSources([folder]), { textField: 'text' })) texts.push(text);
  assert.deepEqual(texts, ['word']);
});

test('a byte order mark at the start of a document is dropped', async (t) => {
  const folder = temporaryFolder(t);
  const mark = '\uFEFF';
  assert.deepEqual(await documentsOf(write(folder, 'a.txt.gz', gzipSync(`${mark}word`))), ['word']);
  assert.deepEqual(await documentsOf(write(folder, 'a.md', `${mark}# Title`)), ['Title\n']);
  assert.deepEqual(await documentsOf(write(folder, 'a.jsonl', `${mark}{"text":"${mark}a"}\n{"text":"${mark}"}`)), [
    'a',
  ]);
  const columnData = [{ name: 'text', data: [`${mark}a`, 'b'] }];
  assert.deepEqual(await documentsOf(write(folder, 'a.parquet', new Uint8Array(parquetWriteBuffer({ columnData })))), [
    'a',
    'b',
  ]);
});

test('a long text of a row comes in parts, which together are the text', async (t) => {
  const text = `${'né '.repeat(1_500_000)}${'x'.repeat(3_000_000)}${'\u{1F600}'.repeat(1_500_001)}`;
  const folder = temporaryFolder(t);
  const path = write(folder, 'a.jsonl', `${JSON.stringify({ text })}\n{"text":"next"}`);
  const [whole, next] = await documentsOf(path);
  assert.ok(whole === text);
  assert.equal(next, 'next');
  for await (const part of readTexts(await listSources([path]), { textField: 'text' })) {
    assert.ok(part.length <= 2 ** 21);
    assert.doesNotMatch(part.slice(-1), /[\ud800-\udbff]/); // no half of a pair
  }
});

test('text of another encoding is an error that names it and the command that converts it', async (t) => {
  const folder = temporaryFolder(t);
  const little = Buffer.from('The café.\n', 'utf16le');
  const big = Buffer.from(little).swap16();
  const wide = Buffer.from(Uint32Array.from('The café.\n', (c) => c.codePointAt(0)!).buffer);
  const chinese = Buffer.from(`${'中文字'.repeat(12)}。 \n`.repeat(20), 'utf16le');
  for (const [name, bytes, encoding, text] of [
    ['a.txt', Buffer.concat([Buffer.from([0xff, 0xfe]), little]), 'UTF-16', 'The café.'],
    ['b.txt', Buffer.concat([Buffer.from([0xfe, 0xff]), big]), 'UTF-16', 'The café.'],
    ['c.txt', little, 'UTF-16LE', 'The café.'],
    ['d.txt', big, 'UTF-16BE', 'The café.'],
    ['e.txt', wide, 'UTF-32LE', 'The café.'],
    ['f.txt', Buffer.concat([Buffer.from([0xff, 0xfe, 0, 0]), wide]), 'UTF-32', 'The café.'],
    ["it's g.txt", Buffer.from('caf\xe9 au lait', 'latin1'), 'WINDOWS-1252', 'café au lait'],
    ['h.txt', Buffer.from('a \x96 b \x93c\x94', 'latin1'), 'WINDOWS-1252', 'a – b “c”'],
    ['i.txt.gz', gzipSync(little), 'UTF-16LE', 'The café.'],
    ['j.txt', chinese, 'UTF-16LE', '中文字'],
  ] as const) {
    const path = write(folder, name, bytes);
    const error = await documentsOf(path).then(
      () => assert.fail(name),
      (reason: Error) => reason,
    );
    assert.match(error.message, new RegExp(`(is|if it is) ${encoding}\\b`), name);
    const [, command] = /convert it: (.*?)(?:; otherwise exclude it)?$/.exec(error.message)!;
    if (spawnSync('iconv', ['--version']).status !== 0) continue;
    assert.equal(spawnSync('sh', ['-c', command!]).status, 0, command);
    assert.ok((await documentsOf(path))[0]!.startsWith(text), name);
    assert.deepEqual(readFileSync(`${path}.bak`), Buffer.from(bytes), 'the original is kept');
  }
});

test('a file of another program is an error that names its kind, whatever its ending says', async (t) => {
  const folder = temporaryFolder(t);
  for (const [bytes, message] of [
    ['PK\x03\x04\x14\0', /is an Excel, Word or zip file, not text; .* save it as CSV UTF-8 or as plain text$/],
    ['\xd0\xcf\x11\xe0\xa1', /is an old Excel or Word file/],
    ['%PDF-1.7\n', /is a PDF file, not text; convert it with pdftotext$/],
    ['PAR1\x15', /is a Parquet file/],
    ['\x1f\x8b\x08', /is a gzip file/],
  ] as const) {
    await rejectsWith(write(folder, 'mails.txt', Buffer.from(bytes, 'latin1')), message);
  }
});

test('a part of each file is read for a sample', async (t) => {
  const folder = temporaryFolder(t);
  write(folder, 'a.jsonl', '{"text":"a1"}\n{"text":"a2"}\n{"text":"a3"}');
  write(folder, 'b.jsonl', '{"text":"b1"}\n{"text":"b2"}\n{"text":"b3"}');
  const texts: string[] = [];
  for await (const text of readTexts(await listSources([folder]), { textField: 'text', maxBytesPerFile: 3 })) {
    texts.push(text);
  }
  assert.deepEqual(texts, ['a1', 'a2', 'b1', 'b2']);
});

test('broken text is an error with its place and reason', async (t) => {
  const folder = temporaryFolder(t);
  const gzip = gzipSync('{"text":"word"}\n'.repeat(1000));
  const flipped = Uint8Array.from(gzip);
  flipped[flipped.length - 6]! ^= 1; // in the checksum
  await rejectsWith(write(folder, 'empty.txt', ''), /contains no text/);
  await rejectsWith(write(folder, 'blank.txt', ' \n\t\n'), /contains no text/);
  await rejectsWith(write(folder, 'empty.jsonl', '{"text":""}\n'), /contains no text/);
  await rejectsWith(write(folder, 'zero.txt', 'a\0b'), /zero byte/);
  await rejectsWith(write(folder, 'latin1.txt', Buffer.from('caf\xe9 au lait', 'latin1')), /not UTF-8/);
  await rejectsWith(write(folder, 'half.txt', Buffer.from('café').subarray(0, 4)), /not UTF-8/);
  await rejectsWith(write(folder, 'cut.jsonl.gz', gzip.subarray(0, gzip.length - 9)), /truncated gzip data/);
  await rejectsWith(write(folder, 'flipped.jsonl.gz', flipped), /not valid gzip data/);
  await rejectsWith(write(folder, 'plain.jsonl.gz', '{"text":"word"}'), /not valid gzip data/);
  await rejectsWith(write(folder, 'bad.jsonl', '{"text":"a"}\n\n{"text":\n'), /line 3: not JSON/);
  await rejectsWith(write(folder, 'array.jsonl', '["a"]'), /line 1: not a JSON object/);
  await rejectsWith(write(folder, 'other.jsonl', '{"body":"a","id":1}'), /line 1: no field "text"; found "body", "id"/);
  await rejectsWith(write(folder, 'number.jsonl', '{"text":7}'), /line 1: the field "text" is 7, not a string/);
  await rejectsWith(write(folder, 'bad.parquet', 'not parquet at all'), /parquet/);
  const cut = Buffer.from(parquet, 'base64').subarray(0, 300);
  await rejectsWith(write(folder, 'cut.parquet', cut), /parquet/);
});

test('a file without permission to read is an error', { skip: process.getuid?.() === 0 }, async (t) => {
  const path = write(temporaryFolder(t), 'a.txt', 'word');
  chmodSync(path, 0);
  await rejectsWith(path, /cannot be read \(EACCES\)/);
});
