import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { DataError } from '../errors/index.ts';
import { temporaryFolder } from './fixtures.ts';
import { listSources, sharedSources } from './listing.ts';

function write(folder: string, name: string, content: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

function rejectsWith(path: string, message: RegExp): Promise<void> {
  return assert.rejects(
    listSources([path]),
    (error: Error) => error instanceof DataError && message.test(error.message) && error.message.includes(path),
  );
}

test('files, folders and globs expand to text files in the order they are named, sorted within each, each once', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['b.txt', 'a.md', 'deep/er/c.jsonl.gz', 'deep/photo.png', 'deep/valid.txt', '(x) [y]/d.txt']) {
    write(folder, name, 'text');
  }
  const names = async (paths: string[], exclude: string[] = []) =>
    (await listSources(paths, { exclude })).map(({ path }) => relative(folder, path));
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
  await rejectsWith(photo, /not a text file that taper reads .*\.txt .*\.parquet/);
  await rejectsWith(folder, /matches 1 file, which does not end in \.txt/);
  const text = write(folder, 'a.txt', 'x');
  await assert.rejects(listSources([text], { exclude: ['*.txt'] }), /no text files left/);
  await assert.rejects(listSources([]), /no text files left/);
});

test('files of other types in a folder are named in a warning, if there is text beside them', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['a.txt', 'b.docx', 'c.docx', 'd.png', 'e.png']) write(folder, name, 'x');
  const warnings: string[] = [];
  await listSources([folder], { onWarning: (message) => warnings.push(message) });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /: left out 4 files of other types: b\.docx, c\.docx, d\.png …$/);
});

test("a table that is another program's file gets no command", async (t) => {
  const excel = write(temporaryFolder(t), 'mails.csv', 'PK\x03\x04');
  await rejectsWith(
    excel,
    /mails\.csv: not a text file .*; it is an Excel, Word or zip file, not text; .* save it as CSV UTF-8 or as plain text$/,
  );
});

test('a table is refused with a command that converts it', async (t) => {
  const folder = temporaryFolder(t);
  const tables = {
    "it's.csv": 'subject,text\n"Hello, you",A mail.\n',
    'b.tsv': 'subject\ttext\nHello "you\tA mail.\n',
  };
  for (const [name, table] of Object.entries(tables)) {
    const path = write(folder, name, table);
    const error = await listSources([path]).catch((cause: Error) => cause);
    const [, command] = /not a text file .*; convert the table, .*?: (node .*)$/.exec((error as Error).message)!;
    const { status, stderr } = spawnSync('sh', ['-c', command!], { cwd: folder, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const [line] = readFileSync(path.replace(/\w+$/, 'jsonl'), 'utf8').trim().split('\n');
    const subject = name === 'b.tsv' ? 'Hello "you' : 'Hello, you';
    assert.deepEqual(JSON.parse(line!), { subject, text: 'A mail.' });
  }
});

test('a folder with only empty text files is reported', async (t) => {
  const folder = temporaryFolder(t);
  write(folder, 'a.txt', '');
  write(folder, 'photo.png', 'x');
  await rejectsWith(folder, /contains 1 text file, which is empty \(0 bytes\)/);
  write(folder, 'b/c.jsonl', '');
  await rejectsWith(folder, /contains 2 text files, all empty \(0 bytes\)/);
  await rejectsWith(join(folder, '*.txt'), /contains 1 text file, which is empty/);
  await rejectsWith(join(folder, 'a.txt'), /contains no text: it is empty \(0 bytes\)/);
  write(folder, 'notes.doc', 'x');
  await assert.rejects(
    listSources([folder], { exclude: ['*.txt', '*.jsonl'] }),
    /matches 2 files, none of which end in \.txt/,
  );
});

test('a file is listed once, even if several links lead to it', async (t) => {
  const folder = temporaryFolder(t);
  const texts = join(folder, 'texts');
  write(texts, 'b.txt', 'text');
  write(texts, 'deep/c.txt', 'text');
  symlinkSync('b.txt', join(texts, 'a-link.txt'));
  linkSync(join(texts, 'b.txt'), join(texts, 'hard.txt'));
  symlinkSync('deep', join(texts, 'also-deep'));
  symlinkSync('..', join(texts, 'deep', 'loop'));
  symlinkSync('.', join(texts, 'again'));
  symlinkSync(texts, join(folder, 'other'));
  // A link gives a file its ending, as in the cache of Hugging Face's hub.
  write(folder, 'blobs/0123', 'text');
  symlinkSync('../blobs/0123', join(texts, 'd.txt'));
  const names = async (paths: string[]) => (await listSources(paths)).map(({ path }) => relative(folder, path));
  const all = await names([texts]);
  assert.deepEqual(all, ['texts/a-link.txt', 'texts/also-deep/c.txt', 'texts/d.txt']);
  assert.deepEqual(await names([texts, join(folder, 'other'), join(texts, 'b.txt')]), all);
  assert.deepEqual(await names([join(texts, 'b.txt'), join(texts, 'a-link.txt')]), ['texts/b.txt']);
  assert.deepEqual(await names([`${texts}/**/*.txt`]), all);
  const shared = await sharedSources(await listSources([texts]), await listSources([join(folder, 'other/hard.txt')]));
  assert.deepEqual(shared, [join(folder, 'other/hard.txt')]);
});

test('links to nothing and names that are not UTF-8 are passed over with a warning that names them', async (t) => {
  const folder = temporaryFolder(t);
  const bytes = (name: string) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);
  write(folder, 'a.txt', 'text');
  symlinkSync('nowhere.txt', join(folder, 'gone.txt'));
  symlinkSync('nowhere', join(folder, 'ignored.png'));
  symlinkSync('itself.txt', join(folder, 'itself.txt'));
  try {
    writeFileSync(bytes('caf\xe9.txt'), 'text');
    writeFileSync(bytes('caf\xe9.png'), 'x');
    mkdirSync(bytes('d\xe9p\xf4t'));
    writeFileSync(bytes('d\xe9p\xf4t/b.txt'), 'text');
  } catch {
    t.skip('this file system has no such names');
    return;
  }
  for (const path of [folder, `${folder}/**/*.txt`]) {
    const warnings: string[] = [];
    const files = await listSources([path], { onWarning: (message) => warnings.push(message) });
    assert.deepEqual(
      files.map((file) => file.path),
      [join(folder, 'a.txt')],
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /4 entries left out: /);
    assert.match(warnings[0]!, /; and 1 more$/);
    const all = warnings.join();
    const named = [
      /gone\.txt is a broken link/,
      /itself\.txt is a broken link/,
      /caf\\xe9\.txt has a name that is not UTF-8/,
      /d\\xe9p\\xf4t has/,
    ];
    assert.equal(named.filter((name) => name.test(all)).length, 3);
  }
  await rejectsWith(join(folder, 'gone.txt'), /no such file or folder/);
});
