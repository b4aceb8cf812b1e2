import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { DataError } from '../config/errors.ts';
import { temporaryFolder } from './fixtures.ts';
import { listSources, readParts, readTexts } from './sources.ts';

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

test('files, folders and globs expand to text files in the order they are named, sorted within each, each once', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['b.txt', 'a.md', 'deep/er/c.jsonl.gz', 'deep/photo.png', 'deep/valid.txt', '(x) [y]/d.txt']) {
    write(folder, name, 'text');
  }
  const names = async (paths: string[], exclude?: string[]) =>
    (await listSources(paths, exclude)).map(({ path }) => relative(folder, path));
  const all = ['(x) [y]/d.txt', 'a.md', 'b.txt', 'deep/er/c.jsonl.gz', 'deep/valid.txt'];
  assert.deepEqual(await names([folder]), all);
  assert.deepEqual(await names([join(folder, 'b.txt'), folder, join(folder, '*.txt')]), [
    'b.txt',
    ...all.filter((name) => name !== 'b.txt'),
  ]);
  assert.deepEqual(await names([`${folder}/**/*.txt`]), ['(x) [y]/d.txt', 'b.txt', 'deep/valid.txt']);
  assert.deepEqual(await names([folder], ['valid*', 'deep/er/*']), ['(x) [y]/d.txt', 'a.md', 'b.txt']);
  assert.deepEqual(await names([join(folder, '(x) [y]/d.txt'), join(folder, 'deep/valid.txt')], ['valid.*']), [
    '(x) [y]/d.txt',
  ]);
});

test('a path that names nothing usable is an error that names it', async (t) => {
  const folder = temporaryFolder(t);
  const photo = write(folder, 'photo.png', 'x');
  await rejectsWith(join(folder, 'absent.txt'), /no such file or folder/);
  await rejectsWith(join(folder, '*.txt'), /matches 0 files/);
  await rejectsWith(photo, /not a kind of text file .*\.txt .*\.parquet/);
  await rejectsWith(folder, /matches 1 files, none of them ending in/);
  const text = write(folder, 'a.txt', 'x');
  await assert.rejects(listSources([text], ['*.txt']), /no text files left/);
  await assert.rejects(listSources([]), /no text files left/);
});

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

test('a byte order mark is no text', async (t) => {
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
  await assert.rejects(documentsOf(path, 'body'), /no field "body", but "title", "text"/);
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

test('what is not whole text is an error that says where and why', async (t) => {
  const folder = temporaryFolder(t);
  const gzip = gzipSync('{"text":"word"}\n'.repeat(1000));
  const flipped = Uint8Array.from(gzip);
  flipped[flipped.length - 6]! ^= 1; // in the checksum
  await rejectsWith(write(folder, 'empty.txt', ''), /holds no text/);
  await rejectsWith(write(folder, 'blank.txt', ' \n\t\n'), /holds no text/);
  await rejectsWith(write(folder, 'empty.jsonl', '{"text":""}\n'), /holds no text/);
  await rejectsWith(write(folder, 'zero.txt', 'a\0b'), /zero byte/);
  await rejectsWith(write(folder, 'latin1.txt', Buffer.from('caf\xe9 au lait', 'latin1')), /not UTF-8/);
  await rejectsWith(write(folder, 'half.txt', Buffer.from('café').subarray(0, 4)), /not UTF-8/);
  await rejectsWith(write(folder, 'cut.jsonl.gz', gzip.subarray(0, gzip.length - 9)), /cut short/);
  await rejectsWith(write(folder, 'flipped.jsonl.gz', flipped), /not whole gzip data/);
  await rejectsWith(write(folder, 'plain.jsonl.gz', '{"text":"word"}'), /not whole gzip data/);
  await rejectsWith(write(folder, 'bad.jsonl', '{"text":"a"}\n\n{"text":\n'), /line 3: not JSON/);
  await rejectsWith(write(folder, 'array.jsonl', '["a"]'), /line 1: not a JSON object/);
  await rejectsWith(write(folder, 'other.jsonl', '{"body":"a","id":1}'), /line 1: no field "text", but "body", "id"/);
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
