// cspell:ignore bcpu
// The libtorch that the set-up downloads, from a server on this machine that misbehaves as servers and networks do.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

interface Archive {
  url: string;
  sha256: string;
  folder: string;
  file: string;
}
interface ArchiveModule {
  findArchive(
    environment: Record<string, string | undefined>,
    platform: string,
  ): Partial<Archive> & { obstacle?: string };
  archiveObstacle(archive: { sha256?: string }, glibc: string): string | undefined;
  provideArchive(archive: Archive, pauseMs: number): Promise<void>;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const moduleUrl = pathToFileURL(join(root, 'setup/archive.mjs')).href;
const { archiveObstacle, findArchive, provideArchive } = (await import(moduleUrl)) as ArchiveModule;
const folder = mkdtempSync(join(tmpdir(), 'taper-download-'));
after(() => rmSync(folder, { recursive: true, force: true }));
for (const name of ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY']) delete process.env[name];

/** A zip as a wheel of torch is one: what a build needs, and what it does not. */
const zip = makeZip();
const sha256 = createHash('sha256').update(zip).digest('hex');

function makeZip(): Buffer {
  const at = join(folder, 'zip');
  const noise = Buffer.alloc(2_000_000);
  for (let i = 0, state = 1; i < noise.length; i++) {
    state = (state * 48271) % 2147483647;
    noise[i] = state;
  }
  const files = {
    'torch/lib/libtorch_cpu.so': noise,
    'torch/include/ATen/ATen.h': '// header\n',
    'torch/share/cmake/Torch/TorchConfig.cmake': '# config\n',
    'torch/test/test_api': 'a test',
    'torch/lib/libtorch_python.so': 'for Python',
    'torch/__init__.py': '',
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(at, dirname(name)), { recursive: true });
    writeFileSync(join(at, name), content);
  }
  const { status } = spawnSync('cmake', ['-E', 'tar', 'cf', join(folder, 'torch.zip'), '--format=zip', 'torch'], {
    cwd: at,
  });
  assert.equal(status, 0);
  return readFileSync(join(folder, 'torch.zip'));
}

type Answer = (response: ServerResponse, start: number | undefined, request: IncomingMessage) => void;

/** Sends what was asked for. */
const whole: Answer = (response, start = 0) => {
  const range = { 'content-range': `bytes ${start}-${zip.length - 1}/${zip.length}` };
  response.writeHead(start > 0 ? 206 : 200, { 'content-length': zip.length - start, ...(start > 0 && range) });
  response.end(zip.subarray(start));
};

/** Sends `numBytes` and hangs up, having promised all. */
const cut =
  (numBytes: number): Answer =>
  (response, start = 0) => {
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': zip.length - start });
    response.write(zip.subarray(start, start + numBytes), () => response.destroy());
  };

const status =
  (code: number): Answer =>
  (response) =>
    response.writeHead(code).end('no');

/** A server that gives each request the next answer, and an archive of its own to download from there. */
async function serve(t: TestContext, answers: Answer[], name = t.name) {
  const starts: (number | undefined)[] = [];
  const server = createServer((request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    const start = range === undefined ? undefined : Number(range);
    const answer = answers[starts.length];
    starts.push(start);
    if (answer) answer(response, start, request);
    else status(500)(response, start, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const cache = join(folder, name.replace(/\W+/g, '-'));
  const url = `http://127.0.0.1:${port}/torch%2Bcpu.whl`;
  return {
    starts,
    cache,
    archive: { url, sha256, folder: join(cache, 'libtorch'), file: join(cache, 'torch+cpu.whl') },
  };
}

const provide = (archive: Archive) => provideArchive(archive, 5);

/** What is printed when the download fails, in one line. */
async function failure(archive: Archive): Promise<string> {
  const error = await provide(archive).then(
    () => undefined,
    (error: unknown) => error as { message: string; exitCode: number },
  );
  assert.equal(error?.exitCode, 2);
  assert.doesNotMatch(error.message, /\n/);
  return error.message;
}

function assertUnpacked({ archive, cache }: { archive: Archive; cache: string }): void {
  assert.deepEqual(readdirSync(cache), ['libtorch'], 'nothing else is left');
  assert.deepEqual(readdirSync(archive.folder).sort(), ['include', 'lib', 'share']);
  assert.deepEqual(readdirSync(join(archive.folder, 'lib')), ['libtorch_cpu.so']);
  assert.equal(readFileSync(join(archive.folder, 'lib/libtorch_cpu.so')).length, 2_000_000);
  assert.ok(existsSync(join(archive.folder, 'share/cmake/Torch/TorchConfig.cmake')));
}

test('libtorch is downloaded once, and what a build needs of it unpacked', async (t) => {
  const served = await serve(t, [whole]);
  await provide(served.archive);
  assertUnpacked(served);
  await provide(served.archive);
  assert.deepEqual(served.starts, [undefined]);
});

test('a connection that is cut is taken up from where it was, each time', async (t) => {
  const hangUp: Answer = (response) => response.destroy();
  const served = await serve(t, [cut(300_000), cut(500_000), hangUp, whole]);
  await provide(served.archive);
  assertUnpacked(served);
  const [first, second, ...others] = served.starts;
  assert.equal(first, undefined);
  assert.ok(second! > 0 && second! <= 300_000, `${second}`);
  assert.ok(others[0]! > second! && others[0]! <= second! + 500_000, `${others}`);
});

test('a download that was interrupted is taken up by the next set-up', async (t) => {
  const served = await serve(t, [whole]);
  mkdirSync(served.cache);
  writeFileSync(`${served.archive.file}.part`, zip.subarray(0, 123_456));
  await provide(served.archive);
  assert.deepEqual(served.starts, [123_456]);
  assertUnpacked(served);
});

test('a download that was complete but not renamed is not downloaded again', async (t) => {
  const served = await serve(t, [status(416)]);
  mkdirSync(served.cache);
  writeFileSync(`${served.archive.file}.part`, zip);
  await provide(served.archive);
  assertUnpacked(served);
});

test('a server that knows no ranges sends all of it again', async (t) => {
  const ignorant: Answer = (response) => whole(response, undefined, undefined as never);
  const served = await serve(t, [cut(300_000), ignorant]);
  await provide(served.archive);
  assertUnpacked(served);
  assert.equal(served.starts.length, 2);
  assert.ok(served.starts[1]! > 0);
});

test('a file with another checksum is refused and removed, and so is what is made of it', async (t) => {
  const other: Answer = (response) => response.end('<html>Sign in to the guest network</html>');
  const served = await serve(t, [other, whole]);
  assert.match(
    await failure(served.archive),
    /had SHA-256 \w{64}, but \w{64} was expected, and was removed; run the same command again; .* TAPER_LIBTORCH_URL to another mirror$/,
  );
  assert.deepEqual(readdirSync(served.cache), []);
  await provide(served.archive);
  assertUnpacked(served);
});

test('a missing file and an unreachable server are reported in one line with a fix', async (t) => {
  const served = await serve(t, [status(404)]);
  const advice = `run the same command again to resume the download, set TAPER_LIBTORCH_URL to a mirror, or download`;
  const byHand = (archive: Archive) => `${advice} ${archive.url} to ${archive.file} by hand`;
  assert.equal(
    await failure(served.archive),
    `setup: libtorch could not be downloaded (the server answered 404); ${byHand(served.archive)}`,
  );
  const offline = { ...served.archive, url: 'http://127.0.0.1:9/torch%2Bcpu.whl' };
  const said = await failure(offline);
  assert.match(said, /^setup: libtorch could not be downloaded \(.+\); /);
  assert.ok(said.endsWith(byHand(offline)), said);

  writeFileSync(offline.file, zip); // by hand
  await provide(offline);
  assertUnpacked(served);
});

test('a proxy that the environment names is used', async (t) => {
  const served = await serve(t, [whole]);
  const tunnels: string[] = [];
  const proxy = createServer();
  proxy.on('connect', ({ url }: IncomingMessage, socket) => {
    tunnels.push(url!);
    const upstream = connect(Number(new URL(served.archive.url).port), '127.0.0.1');
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(upstream).pipe(socket);
    for (const end of [socket, upstream]) end.on('error', () => {});
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  process.env.HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  t.after(() => {
    delete process.env.HTTP_PROXY;
    proxy.closeAllConnections();
    proxy.close();
  });
  await provide({ ...served.archive, url: 'http://far-away.example:80/torch%2Bcpu.whl' });
  assertUnpacked(served);
  assert.deepEqual(tunnels, ['far-away.example:80']);
});

test('a full disk is reported, while downloading and while unpacking, and no partial file is left', async (t) => {
  const served = await serve(t, [whole, whole, whole]);
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const mount = (options: string) => spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk]).status === 0;
  if (!mount('size=1m')) return t.skip('only root may mount a small disk');
  t.after(() => spawnSync('umount', [disk]));
  const archive = { ...served.archive, folder: join(disk, 'taper/libtorch'), file: join(disk, 'taper/torch.whl') };
  const full =
    /^setup: no space left in \S+: libtorch needs 480 MB there, and 190 MB more until it is unpacked; free some space, /;
  assert.match(await failure(archive), full);
  assert.ok(mount('remount,size=3m'));
  assert.match(await failure(archive), full);
  assert.deepEqual(readdirSync(dirname(archive.file)), ['torch.whl'], 'the archive is kept');
  assert.ok(mount('remount,size=9m'));
  await provide(archive);
  assertUnpacked({ archive, cache: dirname(archive.file) });
});

test('an interrupted unpacking leaves nothing that is taken for a libtorch', async (t) => {
  const served = await serve(t, [whole]);
  mkdirSync(`${served.archive.folder}.part/torch/share/cmake/Torch`, { recursive: true });
  await provide(served.archive);
  assertUnpacked(served);
});

test('CTRL-C ends a download at once and keeps what has come', async (t) => {
  const slow: Answer = (response) => {
    response.writeHead(200, { 'content-length': zip.length });
    response.write(zip.subarray(0, 400_000));
  };
  const served = await serve(t, [slow]);
  const script = `import('${moduleUrl}').then((m) => m.provideArchive(${JSON.stringify(served.archive)}))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  const part = `${served.archive.file}.part`;
  while (!existsSync(part) || readFileSync(part).length === 0) {
    assert.equal(child.exitCode, null, 'it ended before anything came');
    await new Promise((done) => setTimeout(done, 20));
  }
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGINT']);
  assert.ok(readFileSync(part).length > 0);
});

test('the pinned archive is for its platform and C library; TAPER_LIBTORCH_URL names a mirror, or with a checksum another', () => {
  const HOME = '/home/ann';
  const pinned = findArchive({ HOME }, 'linux-x64');
  assert.match(pinned.url!, /^https:\/\/download\.pytorch\.org\/whl\/cpu\/torch-[\d.]+%2Bcpu-.*_x86_64\.whl$/);
  assert.match(pinned.file!, /^\/home\/ann\/\.cache\/taper\/torch-[\d.]+\+cpu-.*\.whl$/);
  assert.equal(pinned.folder, `/home/ann/.cache/taper/libtorch-linux-x64-${pinned.sha256!.slice(0, 12)}`);
  assert.equal(archiveObstacle(pinned, '2.36'), undefined);
  assert.match(archiveObstacle(pinned, '2.17')!, /needs glibc 2\.28 or newer, but this system has 2\.17$/);
  assert.match(archiveObstacle(pinned, '')!, /another C library$/);

  const mirror = { HOME, XDG_CACHE_HOME: '/big', TAPER_LIBTORCH_URL: 'http://mirror/torch.whl' };
  const { url, file, sha256 } = findArchive(mirror, 'linux-x64');
  assert.deepEqual([url, file, sha256], [mirror.TAPER_LIBTORCH_URL, '/big/taper/torch.whl', pinned.sha256]);
  const own = 'a'.repeat(64);
  assert.equal(findArchive({ ...mirror, TAPER_LIBTORCH_SHA256: own }, 'linux-arm64').sha256, own);
  assert.equal(archiveObstacle({ sha256: own }, '2.17'), undefined);
  assert.match(findArchive({ HOME }, 'linux-arm64').obstacle!, /no libtorch to download for linux-arm64$/);
  assert.match(findArchive(mirror, 'linux-arm64').obstacle!, /TAPER_LIBTORCH_URL also needs TAPER_LIBTORCH_SHA256$/);
  assert.match(findArchive({}, 'linux-x64').obstacle!, /neither XDG_CACHE_HOME nor HOME/);
});
