import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { ask, persistently } from './ask.ts';
import { type DownloadProgress, download } from './download.ts';
import { parseHubName } from './names.ts';
import { openRepository } from './repository.ts';
import { HubServer } from './server.fixture.ts';
import { hubSettings } from './settings.ts';
import { fetchAddress } from './web.ts';

const large = Buffer.from(Array.from({ length: 300_000 }, (_, i) => 97 + ((i * i) % 26)));
const small = 'a small file\n';
let server: HubServer;
let cacheDir: string;
let commit: string;
const oldEnv = { ...process.env };

before(async () => {
  server = await new HubServer().start();
  commit = server.commit('datasets/org/texts', {
    'README.md': '# Texts',
    'large.txt': large,
    'small.txt': small,
    'a/b c.txt': small,
  });
});
after(async () => {
  await server.close();
  process.env = oldEnv;
});
beforeEach((t) => {
  cacheDir = mkdtempSync(join(tmpdir(), 'taper-hub-'));
  Object.assign(process.env, server.env);
  server.requests.length = 0;
  server.faults.clear();
  server.sent = 0;
  server.ranges = true;
  (t as unknown as { after(end: () => void): void }).after(() => rmSync(cacheDir, { recursive: true }));
});

/** As a new process would: what this one has asked for is not known to it. */
const freshFetch = async () => ((await import(`./web.js?${Math.random()}`)) as typeof import('./web.ts')).fetchAddress;

const open = (options = {}) =>
  openRepository(parseHubName('hf:datasets/org/texts', 'dataset'), { cacheDir, ...options });

test('a file is downloaded once, checked, to a place that its commit names', async () => {
  const repository = await open();
  assert.equal(repository.name, `hf:datasets/org/texts@${commit}`);
  const path = await repository.fetch('large.txt');
  assert.ok(
    path.endsWith(
      `downloads/${new URL(server.endpoint).host.replace(':', '_')}/datasets/org/texts/${commit}/large.txt`,
    ),
    path,
  );
  assert.deepEqual(readFileSync(path), large);
  assert.equal(readFileSync(await repository.fetch('a/b c.txt'), 'utf8'), small);
  assert.equal(statSync(path).mtimeMs, 0);
  const count = server.requests.length;
  await (await open()).fetch('large.txt');
  assert.deepEqual(
    server.requests.slice(count).map((request) => request.path.replace(/\?.*/, '')),
    ['/api/datasets/org/texts/revision/main'],
  );
});

test('the token is sent to the Hub, but not to its redirects or other hosts', async () => {
  process.env.HF_TOKEN = server.token;
  await (await open()).fetch('large.txt');
  const [hub, storage] = ['hub', 'storage'].map((name) => server.requests.filter((request) => request.server === name));
  assert.deepEqual([...new Set(hub!.map(({ authorization }) => authorization))], [`Bearer ${server.token}`]);
  assert.deepEqual(
    storage!.map(({ authorization }) => authorization),
    [undefined],
  );
  server.web.set('x.txt', { content: Buffer.from(small) });
  await fetchAddress(`${server.endpoint.replace('127.0.0.1', 'localhost')}/web/x.txt`, { cacheDir });
  assert.deepEqual(
    server.requestsFor('/web/x.txt').map(({ authorization }) => authorization),
    [undefined],
  );
});

test('after a connection that is cut the rest comes, of the same version', async () => {
  server.faults.set('large.txt', { times: 2, cutAfter: 100_000 });
  const heard: DownloadProgress[] = [];
  const path = await (await open({ onDownload: (progress: DownloadProgress) => heard.push(progress) })).fetch(
    'large.txt',
  );
  assert.deepEqual(readFileSync(path), large);
  const asked = server.requests.filter((request) => request.server === 'storage');
  const etag = `"${createHash('sha256').update(large).digest('hex')}"`;
  assert.deepEqual(
    asked.map(({ range, ifRange }) => [range, ifRange]),
    [
      [undefined, undefined],
      ['bytes=100000-', etag],
      ['bytes=200000-', etag],
    ],
  );
  assert.equal(server.sent, large.length);
  assert.ok(heard.every(({ bytes }) => bytes === large.length));
  assert.equal(heard.at(-1)!.bytesDone, large.length);
  assert.ok(heard.some(({ pause }) => pause !== undefined));
  assert.deepEqual(readdirSync(join(path, '..')), ['large.txt']);
});

test('a server that is busy is asked again when it says', async () => {
  server.faults.set('/resolve/', { times: 2, status: 429, headers: { 'retry-after': '0.3' } });
  const started = performance.now();
  await (await open()).fetch('large.txt');
  assert.ok(performance.now() - started >= 600);
  server.faults.set('/revision/', { times: 1, status: 503, headers: { 'retry-after': '0' } });
  await open();
  server.faults.set('/revision/', { times: 1, status: 429, headers: { 'retry-after': '7200' } });
  await assert.rejects(
    openRepository(parseHubName('hf:datasets/org/texts@v1', 'dataset'), { cacheDir }),
    /cannot be downloaded \(too many requests \(429\); it asks to wait 120 minutes\)/,
  );
});

test('bytes that differ from those that the Hub lists are refused', async () => {
  const wrong = Buffer.from(large);
  wrong[150_000]! ^= 1;
  const repository = await open();
  const faults = {
    'has 300001 bytes instead of 300000': Buffer.concat([large, Buffer.from('x')]),
    'has the SHA-256 [0-9a-f]{64} instead of': wrong,
  };
  for (const [reason, content] of Object.entries(faults)) {
    server.faults.set('large.txt', { times: 9, content });
    await assert.rejects(
      repository.fetch('large.txt'),
      new RegExp(
        `DataError: hf:datasets/org/texts@${commit}: large.txt: ${reason}.*; the download was deleted; run the same command again$`,
      ),
    );
  }
  server.faults.set('small.txt', { times: 1, content: Buffer.from('a smalL file\n') });
  await assert.rejects(repository.fetch('small.txt'), /has the SHA-1 [0-9a-f]{40} instead of/);
  server.faults.clear();
  assert.equal(readFileSync(await repository.fetch('small.txt'), 'utf8'), small);
});

test('a partial file of another version is discarded, and the whole file is downloaded', async () => {
  const repository = await open();
  const path = await repository.fetch('large.txt');
  rmSync(path);
  writeFileSync(`${path}.${hostname()}.part`, 'not the start of the file');
  assert.deepEqual(readFileSync(await repository.fetch('large.txt')), large);
  server.ranges = false;
  rmSync(path);
  writeFileSync(`${path}.${hostname()}.part`, large.subarray(0, 1000));
  assert.deepEqual(readFileSync(await repository.fetch('large.txt')), large);
});

test('a file with less than was promised is asked for again a few times', async () => {
  server.faults.set('large.txt', { times: 99, content: large.subarray(0, 1000) });
  const reasons: string[] = [];
  const onDownload = ({ pause }: DownloadProgress) => {
    if (pause && pause.reason !== reasons.at(-1)) reasons.push(pause.reason);
    if (reasons.length === 2) throw new Error('enough');
  };
  await assert.rejects((await open({ onDownload })).fetch('large.txt'), /enough/);
  assert.deepEqual(reasons, ['the connection ended after 1000 of 300000 bytes', 'the file has changed on the server']);
});

test('of several that want a file one downloads it and the others wait', async () => {
  server.faults.set('large.txt', { times: 1, cutAfter: 50_000 });
  const repositories = await Promise.all([open(), open(), open()]);
  const paths = await Promise.all(repositories.map((repository) => repository.fetch('large.txt')));
  assert.equal(new Set(paths).size, 1);
  assert.equal(server.sent, large.length);
});

test('while another process downloads a file its process id is reported each second, and the wait can be ended', {
  timeout: 10_000,
}, async () => {
  const repository = await open();
  const path = await repository.fetch('large.txt');
  rmSync(path);
  writeFileSync(`${path}.${hostname()}.lock`, `${process.ppid}\n`);
  const heard: DownloadProgress[] = [];
  const onDownload = (progress: DownloadProgress) => {
    if (heard.push(progress) === 2) throw new Error('interrupted');
  };
  await assert.rejects((await open({ onDownload })).fetch('large.txt'), /interrupted/);
  assert.equal(heard[1]!.pause!.reason, `process ${process.ppid} is downloading it`);
});

test('an error in a listener ends a download, which resumes there the next time', async () => {
  const end = new Error('stopped');
  const onDownload = ({ bytesDone }: DownloadProgress) => {
    if (bytesDone > 60_000) throw end;
  };
  await assert.rejects((await open({ onDownload })).fetch('large.txt'), end);
  const before = server.sent;
  await (await open()).fetch('large.txt');
  const asked = server.requests.filter((request) => request.server === 'storage');
  assert.match(asked.at(-1)!.range!, /^bytes=[1-9]\d*-$/);
  assert.ok(server.sent - before < large.length);
});

test('each refusal has its reason and a fix', async () => {
  server.commit('datasets/org/gated', { 'large.txt': large }, { isGated: true });
  server.commit('datasets/org/private', { 'large.txt': large }, { isPrivate: true });
  const fetch = async (name: string) =>
    (await openRepository(parseHubName(`hf:datasets/org/${name}`, 'dataset'), { cacheDir })).fetch('large.txt');
  const { endpoint } = server;
  await assert.rejects(
    fetch('none'),
    new RegExp(
      `^DataError: hf:datasets/org/none: no such data set on ${endpoint}, or it is private; check the name, or set HF_TOKEN to a token that can read it$`,
    ),
  );
  await assert.rejects(fetch('private'), /no such data set .* or it is private/);
  await assert.rejects(
    fetch('gated'),
    new RegExp(
      `the data set is gated: accept its conditions at ${endpoint}/datasets/org/gated, then set HF_TOKEN to a token of the account that accepted them$`,
    ),
  );
  await assert.rejects(
    fetch('gated@v2'),
    new RegExp(
      `^DataError: hf:datasets/org/gated@v2: no revision v2; ${endpoint}/datasets/org/gated/tree/main lists what exists$`,
    ),
  );
  process.env.HF_TOKEN = 'hf_wrong';
  await assert.rejects(fetch('private'), /rejected your token; set HF_TOKEN to a valid one$/);
  process.env.HF_TOKEN = server.token;
  assert.deepEqual(readFileSync(await fetch('gated')), large);
  assert.deepEqual(readFileSync(await fetch('private')), large);
});

test('without a network the last version is used, and one that was pinned asks for nothing', async () => {
  await (await open()).fetch('large.txt');
  const name = parseHubName(`hf:datasets/org/texts@${commit}`, 'dataset');
  process.env.HF_HUB_OFFLINE = '1';
  const count = server.requests.length;
  await (await openRepository(name, { cacheDir })).fetch('large.txt');
  await (await open()).fetch('large.txt');
  assert.equal(server.requests.length, count);
  await assert.rejects(
    (await open()).fetch('small.txt'),
    /is not in .* and HF_HUB_OFFLINE is set; unset it to download/,
  );
  await assert.rejects(
    openRepository(parseHubName('hf:datasets/org/other', 'dataset'), { cacheDir }),
    /HF_HUB_OFFLINE is set/,
  );
  process.env.HF_HUB_OFFLINE = '';
  server.faults.set('/revision/', { times: 99, status: 503, headers: { 'retry-after': '0' } });
  const warnings: string[] = [];
  await (await open({ onWarning: (message: string) => warnings.push(message) })).fetch('large.txt');
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0]!,
    new RegExp(`cannot be downloaded \\(the server answered 503\\): using the version downloaded last, ${commit}$`),
  );
});

test('the token is read from where `hf auth login` writes it', async () => {
  const file = join(cacheDir, 'token');
  writeFileSync(file, `${server.token}\n`);
  process.env.HF_TOKEN_PATH = file;
  await open();
  assert.equal(server.requests[0]!.authorization, `Bearer ${server.token}`);
});

test('a file on the web is asked for again, and comes again when it has changed', async () => {
  const address = `${server.endpoint}/web/texts/one.txt?download=1`;
  const headers = { etag: '"1"', 'last-modified': 'Mon, 02 Nov 2026 10:00:00 GMT' };
  server.web.set('texts/one.txt?download=1', { content: large, headers });
  const fetched = async (file = address) => (await freshFetch())(file, { cacheDir });
  const path = await fetched();
  assert.deepEqual(readFileSync(path), large);
  assert.equal(statSync(path).mtimeMs, Date.parse(headers['last-modified']));
  server.sent = 0;
  await fetched();
  assert.equal(server.sent, 0); // 304
  server.web.set('texts/one.txt?download=1', { content: Buffer.from(small), headers: { ...headers, etag: '"2"' } });
  assert.equal(readFileSync(await fetched(), 'utf8'), small);
  await assert.rejects(
    fetched(`${server.endpoint}/web/none.txt`),
    /none\.txt: the server answered 404 \(Not Found\); check the address and your access/,
  );
  server.web.set('page.txt', { content: large, headers: { 'content-type': 'text/html; charset=utf-8' } });
  await assert.rejects(fetched(`${server.endpoint}/web/page.txt`), /sent a web page instead of the file/);
});

test('a file on the web is used as it is in the cache where the server cannot be asked', async () => {
  const address = `${server.endpoint}/web/kept.txt`;
  server.web.set('kept.txt', { content: Buffer.from(small), headers: { etag: '"1"' } });
  const warnings: string[] = [];
  const fetched = async (name = address) =>
    (await freshFetch())(name, { cacheDir, onWarning: (message) => warnings.push(message) });
  const path = await fetched();
  process.env.HF_HUB_OFFLINE = '1';
  assert.equal(await fetched(), path);
  await assert.rejects(
    fetched(`${server.endpoint}/web/new.txt`),
    /is not in .*, and HF_HUB_OFFLINE is set; unset it to download/,
  );
  process.env.HF_HUB_OFFLINE = '';
  server.faults.set('kept.txt', { times: 99, status: 503, headers: { 'retry-after': '0' } });
  assert.equal(await fetched(), path);
  assert.deepEqual(warnings, [
    `${address}: cannot be downloaded (the server answered 503): using the version downloaded last`,
  ]);
});

test('a part of a file on the web that has changed meanwhile is not resumed', async () => {
  const address = `${server.endpoint}/web/changing.txt`;
  server.web.set('changing.txt', { content: large, headers: { etag: '"1"' } });
  server.faults.set('changing.txt', { times: 99, cutAfter: 1000 });
  const stop = () => {
    throw new Error('stopped');
  };
  const onDownload = ({ pause }: DownloadProgress) => pause && stop();
  await assert.rejects(fetchAddress(address, { cacheDir, onDownload }), /stopped/);
  const other = Buffer.from(large.map((byte) => byte + 1));
  server.faults.clear();
  server.web.set('changing.txt', { content: other, headers: { etag: '"2"' } });
  const path = await fetchAddress(address, { cacheDir });
  assert.deepEqual(readFileSync(path), other);
  assert.equal(server.requestsFor('changing.txt').at(-1)!.ifRange, '"1"');
});

test('a file on the web that changes during its download comes in the new version', async () => {
  server.web.set('grows.txt', { content: large, headers: { etag: '"1"' } });
  server.faults.set('grows.txt', { times: 1, cutAfter: 100_000 });
  const onDownload = ({ pause }: DownloadProgress) =>
    pause && server.web.set('grows.txt', { content: Buffer.from(small), headers: { etag: '"2"' } });
  const path = await fetchAddress(`${server.endpoint}/web/grows.txt`, { cacheDir, onDownload });
  assert.equal(readFileSync(path, 'utf8'), small);
});

test('a file on the web whose versions cannot be told apart is never made of two', async () => {
  const address = `${server.endpoint}/web/plain.txt`;
  const other = Buffer.from(large.map((byte) => byte + 1));
  const become = (name: string, content: Buffer, headers = {}) => {
    server.web.set(name, { content: large, headers });
    server.faults.set(name, { times: 1, cutAfter: 100_000 });
    const onDownload = ({ pause }: DownloadProgress) => pause && server.web.set(name, { content, headers });
    return { cacheDir, onDownload };
  };
  assert.deepEqual(readFileSync(await fetchAddress(address, become('plain.txt', other))), other);
  assert.equal(server.requestsFor('plain.txt').at(-1)!.range, undefined);
  // Two versions of one second: the length tells.
  const longer = Buffer.concat([other, other]);
  const headers = { 'last-modified': 'Mon, 02 Nov 2026 10:00:00 GMT' };
  const options = become('dated.txt', longer, headers);
  assert.deepEqual(readFileSync(await fetchAddress(`${server.endpoint}/web/dated.txt`, options)), longer);
});

test('a server that does not answer is reported, after a few attempts', async () => {
  const gone = await new HubServer().start();
  const url = `${gone.endpoint}/x.txt`;
  await gone.close();
  const file = { name: url, url, path: join(cacheDir, 'x.txt') };
  let pauses = 0;
  const onDownload = () => {
    pauses += 1;
    if (pauses > 2) throw new Error('enough');
  };
  await assert.rejects(download(file, { onDownload }), /enough/);
  const mistake = new TypeError('of the program');
  await assert.rejects(
    persistently('x', () => Promise.reject(mistake)),
    mistake,
  );
});

test('an untrusted certificate is reported immediately', async () => {
  const cause = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  let attempts = 0;
  const attempt = () => {
    attempts += 1;
    return Promise.reject(new TypeError('fetch failed', { cause }));
  };
  await assert.rejects(
    persistently('x', attempt),
    /^DataError: x: the server's certificate is not trusted \(self-signed certificate\); set NODE_EXTRA_CA_CERTS/,
  );
  assert.equal(attempts, 1);
});

test('a lock that a process left is taken over, and what another machine has begun is left to it', async () => {
  const repository = await open();
  const path = await repository.fetch('large.txt');
  rmSync(path);
  writeFileSync(`${path}.${hostname()}.lock`, '999999999\n');
  const others = { [`${path}.elsewhere.lock`]: '1 elsewhere\n', [`${path}.elsewhere.part`]: 'a part' };
  for (const [file, content] of Object.entries(others)) writeFileSync(file, content);
  assert.deepEqual(readFileSync(await repository.fetch('large.txt')), large);
  for (const [file, content] of Object.entries(others)) assert.equal(readFileSync(file, 'utf8'), content);
  server.faults.set('small.txt', { times: 1, cutAfter: 4 });
  const names: string[] = [];
  const onDownload = () => names.push(...readdirSync(join(path, '..')).filter((name) => name.startsWith('small.txt')));
  await (await open({ onDownload })).fetch('small.txt');
  const own = ['lock', 'part', 'part.json'].map((ending) => `small.txt.${hostname()}.${ending}`);
  assert.deepEqual([...new Set(names)].sort(), own);
});

test('a malformed token is refused without printing it, and so is an address that cannot be the Hub', () => {
  for (const HF_TOKEN of ['hf_secret\nb', 'hf secret', 'hfü€'])
    assert.throws(
      () => hubSettings({ HF_TOKEN }),
      ({ message }: Error) =>
        /^HF_TOKEN: is not a token: it contains spaces/.test(message) && !message.includes('secret'),
    );
  for (const HF_ENDPOINT of ['localhost:8080', 'ftp://x'])
    assert.throws(
      () => hubSettings({ HF_ENDPOINT }),
      /^ConfigError: HF_ENDPOINT=.*: is not an address; use one such as/,
    );
});

test('an invalid address is reported immediately', async () => {
  const started = performance.now();
  await assert.rejects(
    persistently('a.txt', () => ask('http://127.0.0.1:1/a.txt')),
    {
      message: 'a.txt: cannot be downloaded (bad port); check the address',
    },
  );
  assert.ok(performance.now() - started < 400);
});
