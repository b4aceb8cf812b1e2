import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { HubServer } from '../hub/server.fixture.ts';
import { listSources } from './listing.ts';
import { pinNames } from './remote.ts';
import { readTexts } from './sources.ts';

let server: HubServer;
let cacheDir: string;
const oldEnv = { ...process.env };
const texts = Array.from({ length: 3000 }, (_, i) => `Text ${i} ${'word '.repeat(i % 20)}`.trim());
/** Characters that no compression shortens much. */
const noise = texts.map((_, i) => Array.from({ length: 60 }, (_, j) => Math.sin(i * 60 + j).toString(36)).join(''));
let parquet: Buffer;

before(async () => {
  server = await new HubServer().start();
  const columns = { title: noise.map((each) => each.slice(0, 300)), text: texts, page: noise };
  const columnData = Object.entries(columns).map(([name, data]) => ({ name, data, type: 'STRING' as const }));
  parquet = Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 700 }));
  server.commit('datasets/org/pages', { 'README.md': '# Pages', 'train.parquet': parquet, 'test/other.parquet': 'no' });
});
after(async () => {
  await server.close();
  process.env = oldEnv;
});
beforeEach((t) => {
  cacheDir = mkdtempSync(join(tmpdir(), 'taper-remote-'));
  Object.assign(process.env, server.env);
  server.sent = 0;
  server.requests.length = 0;
  server.ranges = true;
  (t as unknown as { after(end: () => void): void }).after(() => rmSync(cacheDir, { recursive: true }));
});

const train = 'hf:datasets/org/pages/train.parquet';

async function textsOf(name: string, textField: string): Promise<string[]> {
  const found: string[] = [];
  const files = await listSources([name], { cacheDir, textField });
  for await (const text of readTexts(files, { textField })) found.push(text);
  return found;
}

test('of a Parquet file that is mostly something else only the column of the text comes', async () => {
  assert.deepEqual(await textsOf(train, 'text'), texts);
  assert.ok(server.sent < parquet.length / 4, `${server.sent} of ${parquet.length}`);
  const [file] = await listSources([train], { cacheDir, textField: 'text' });
  assert.match(file!.path, /\/train\.text-only\.parquet$/);
  assert.equal(file!.bytes, parquet.length);
  const { blocks } = statSync(file!.path);
  assert.ok(blocks * 512 < parquet.length / 2, `${blocks * 512} on the disk`);
});

test('a Parquet file is downloaded whole if the column is most of it, or if the server does not support ranges', async () => {
  assert.deepEqual(await textsOf(train, 'page'), noise);
  const [file] = await listSources([train], { cacheDir, textField: 'page' });
  assert.deepEqual(readFileSync(file!.path), parquet);
  assert.deepEqual(readdirSync(dirname(file!.path)).sort(), ['README.md', 'train.parquet']);
  rmSync(file!.path);
  server.ranges = false;
  assert.deepEqual(await textsOf(train, 'text'), texts);
});

test('a Parquet file that is broken is refused as one on the disk is', async () => {
  const broken = { footer: Buffer.from(parquet), length: Buffer.from(parquet), ending: parquet.subarray(0, -1) };
  broken.footer.subarray(-300, -8).fill(255);
  broken.length.subarray(-8, -4).fill(255);
  for (const [kind, content] of Object.entries(broken)) {
    server.commit('datasets/org/broken', { 'train.parquet': content });
    const path = join(cacheDir, `${kind}.parquet`);
    writeFileSync(path, content);
    const errorOf = (name: string) =>
      textsOf(name, 'text').then(
        () => assert.fail('is read'),
        ({ name, message }: Error) => [name, message.replace(/^.*\.parquet: /, '')],
      );
    assert.deepEqual(await errorOf('hf:datasets/org/broken'), await errorOf(path));
  }
});

test('the error for a missing column lists the columns of the file', async () => {
  await assert.rejects(
    textsOf(train, 'content'),
    /no field "content"; found "title", "text", "page"; name the one that contains the text: --set data\.textField=text/,
  );
});

test('the parts of a column that an earlier process brought are not asked for again', async () => {
  let heard = 0;
  const onDownload = () => {
    heard += 1;
    if (heard === 5) throw new Error('stopped');
  };
  await assert.rejects(listSources([train], { cacheDir, onDownload }), /stopped/);
  server.requests.length = 0;
  assert.deepEqual(await textsOf(train, 'text'), texts);
  const ranges = server.requests.flatMap(({ server, range }) => (server === 'storage' ? [range!] : []));
  assert.equal(ranges[0], 'bytes=-65536');
  assert.ok(ranges.length >= 3 && ranges.length <= 4, ranges.join(' '));
});

test('files of a pinned revision are the same after another download, so their tokens are found again', async () => {
  const [name] = await pinNames([train], { cacheDir });
  assert.match(name!, /train\.parquet@[0-9a-f]{40}$/);
  const first = await listSources([name!], { cacheDir });
  rmSync(first[0]!.path);
  assert.deepEqual(await listSources([name!], { cacheDir }), first);
});

test('names are pinned to what they mean now, and keep the commit that they had', async () => {
  const commit = server.commit('datasets/org/moving', { 'a.txt': 'one' });
  const name = 'hf:datasets/org/moving';
  assert.deepEqual(await pinNames([name, 'texts', 'https://example.org/a.txt'], { cacheDir }), [
    `${name}@${commit}`,
    'texts',
    'https://example.org/a.txt',
  ]);
  const next = server.commit('datasets/org/moving', { 'a.txt': 'two' });
  const known = [`${name}/a.txt@${'0'.repeat(40)}`, `${name}@${commit}`];
  assert.deepEqual(await pinNames([name], { cacheDir, known }), [`${name}@${commit}`]);
  assert.deepEqual(await pinNames([`${name}@${commit}`], { cacheDir }), [`${name}@${commit}`]);
  assert.deepEqual(await pinNames([name], { cacheDir }), [`${name}@${next}`]);
  const [old] = await listSources([`${name}@${commit}`], { cacheDir });
  assert.equal(readFileSync(old!.path, 'utf8'), 'one');
});

test('a name with a revision keeps the commit that it had, and another revision gets its own', async () => {
  const repo = 'datasets/org/branched';
  const commit = server.commit(repo, { 'a.txt': 'one' }, { branch: 'refs/convert/parquet' });
  const name = `hf:${repo}:train@refs/convert/parquet`;
  const known = await pinNames([name], { cacheDir });
  assert.deepEqual(known, [`${name}@${commit}`]);
  server.commit(repo, { 'a.txt': 'two' }, { branch: 'refs/convert/parquet' });
  const other = server.commit(repo, { 'a.txt': 'three' }, { branch: 'v2' });
  rmSync(cacheDir, { recursive: true }); // nor does it take what the cache was asked for
  server.requests.length = 0;
  assert.deepEqual(await pinNames([name], { cacheDir, known }), known);
  assert.deepEqual(await pinNames(known, { cacheDir, known }), known);
  assert.deepEqual(server.requests, []);
  const v2 = `hf:${repo}:train@v2`;
  assert.deepEqual(await pinNames([v2], { cacheDir, known }), [`${v2}@${other}`]);
  const [file] = await listSources(known, { cacheDir });
  assert.equal(readFileSync(file!.path, 'utf8'), 'one');
});

test('remote and local texts can be combined, and excluded files are not downloaded', async () => {
  server.commit('datasets/org/many', {
    'train/a.txt': 'a',
    'train/b.txt': 'b',
    'train/deep/c.txt': 'c',
    'train/empty.txt': '',
  });
  writeFileSync(join(cacheDir, 'own.txt'), 'own');
  const names = async (exclude: string[]) =>
    (await listSources([join(cacheDir, 'own.txt'), 'hf:datasets/org/many:train'], { cacheDir, exclude })).map(
      ({ path }) => path.replace(/^.*\/(train|taper-remote-\w+)\//, ''),
    );
  assert.deepEqual(await names(['b.txt', 'train/deep/**']), ['own.txt', 'a.txt']);
  assert.equal(server.requestsFor('b.txt').length, 0);
  assert.deepEqual(await names([]), ['own.txt', 'a.txt', 'b.txt', 'deep/c.txt']);
  const sources = await listSources(['hf:datasets/org/many/train/deep@main'], { cacheDir });
  assert.deepEqual(
    sources.map(({ name }) => name),
    ['hf:datasets/org/many/train/deep/c.txt@main'],
  );
  await assert.rejects(listSources(['hf:datasets/org/many'], { cacheDir, exclude: ['*.txt'] }), /no text files left/);
  await assert.rejects(listSources(['hf:datasets/org/many/train/empty.txt'], { cacheDir }), /no text in 1 text file/);
});

test('lists in the cache that are damaged are asked for again, and passwords in addresses are refused', async () => {
  await listSources([train], { cacheDir, textField: 'text' });
  const lists = readdirSync(cacheDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
  assert.ok(lists.length > 0);
  for (const name of lists) writeFileSync(join(cacheDir, name), '{"et');
  assert.deepEqual(await textsOf(train, 'text'), texts);
  await assert.rejects(listSources(['http://me:secret@127.0.0.1:9/a.txt'], { cacheDir }), ({ message }: Error) => {
    return /^http:\/\/127.0.0.1:9\/a.txt: the address contains a user name or password/.test(message);
  });
});
