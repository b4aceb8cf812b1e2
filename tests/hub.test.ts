// Texts and models from a Hub and the web, and models to it: as users type it, against a server on this machine.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HubServer } from '../src/hub/server.fixture.ts';
import { type Ended, quickTaper, sentences, start, taper, writeTiny } from './cli.fixture.ts';

let folder: string;
let server: HubServer;
const large = sentences(40_000, 5);

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'taper-hub-'));
  writeTiny(folder);
  server = await new HubServer().start();
  Object.assign(process.env, server.env, { HF_TOKEN_PATH: join(folder, 'token') });
  server.commit('datasets/org/books', {
    'README.md': '# Books',
    'train.txt': sentences(400, 1),
    'test.txt': sentences(60, 2),
    'large.txt': large,
    'numbers.jsonl': '{"text": 1}\n',
    'table.csv': 'a,b\n',
  });
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  server.faults.clear();
  server.requests.length = 0;
  logIn('');
});

/** In one process; with an environment of its own in another one. */
const quick = quickTaper(() => folder);
const run = (words: string[], env?: Record<string, string>): Promise<Ended> =>
  env === undefined ? quick(words) : taper(words, { cwd: folder, env });

/** The token that programs find, as after `hf auth login`. */
const logIn = (token: string) => writeFileSync(join(folder, 'token'), `${token}\n`);

async function done(words: string[], env?: Record<string, string>) {
  const ended = await run(words, env);
  assert.equal(ended.code, 0, ended.stderr);
  assert.ok(!`${ended.stdout}${ended.stderr}`.includes(server.token), 'the token is shown');
  return ended;
}

async function refused(words: string[], reason: RegExp, env?: Record<string, string>) {
  const { code, stdout, stderr } = await run(words, env);
  assert.deepEqual([code, stdout], [2, ''], stderr);
  assert.match(stderr, reason);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
}

const shortRun = ['pretrain', 'tiny.yaml', '--set', 'data.valid=[hf:datasets/org/books:test]', 'data.objective=mlm'];

/** All text that a folder holds. */
const contentOf = (path: string) =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');

describe('texts of a Hub', () => {
  it('are trained on as files are, pinned in the run, and resumed from the cache without a network', async () => {
    const words = [...shortRun, '--data', 'hf:datasets/org/books/train.txt', '--out', 'runs/hub'];
    logIn(server.token);
    await done(words);
    logIn('');
    assert.ok(server.requestsFor('/train.txt')[0]!.authorization);
    const { data } = JSON.parse(readFileSync(join(folder, 'runs/hub/config.json'), 'utf8'));
    const [commit] = /[0-9a-f]{40}$/.exec(data.train[0])!;
    assert.deepEqual(data.train, [`hf:datasets/org/books/train.txt@${commit}`]);
    assert.deepEqual(data.valid, [`hf:datasets/org/books:test@${commit}`]);
    assert.equal(server.requestsFor('/revision/').length, 2); // once for each name
    assert.ok(!contentOf(folder).includes(server.token), 'the token is in a file');

    server.commit('datasets/org/books', {
      ...Object.fromEntries(server.files('datasets/org/books')),
      'train.txt': sentences(400, 9),
    });
    server.requests.length = 0;
    rmSync(join(folder, 'runs/hub/checkpoints/step-4'), { recursive: true });
    await done(['pretrain', '--out', 'runs/hub', '--resume'], { HF_HUB_OFFLINE: '1' });
    await done([...words, '--resume']); // as it was typed at first: the run's own commit stays
    assert.deepEqual(server.requests, []);

    const own = ['pretrain', 'tiny.yaml', '--set', 'data.objective=mlm', '--out', 'runs/files'];
    await done(own);
    const losses = (name: string) =>
      readFileSync(join(folder, name, 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).loss);
    assert.deepEqual(losses('runs/hub'), losses('runs/files'));
  });

  it('of a branch, in a mixture, keep their commit in a run that is resumed as it was typed at first', async () => {
    const files = { 'train.txt': sentences(400, 1) };
    const branch = 'refs/convert/parquet';
    server.commit('datasets/org/moving', files, { branch });
    const train = JSON.stringify([{ path: `hf:datasets/org/moving@${branch}`, weight: 1 }]);
    const words = [...shortRun, `data.train=${train}`, '--out', 'runs/branch'];
    await done(words);
    server.commit('datasets/org/moving', { 'train.txt': sentences(400, 9) }, { branch });
    rmSync(join(folder, 'runs/branch/checkpoints/step-4'), { recursive: true });
    server.requests.length = 0;
    await done([...words, '--resume']);
    assert.deepEqual(server.requests, []);
  });

  it('come once to all processes, and resume after a kill -9', async () => {
    const prepare = [
      'tokenizer',
      'train',
      '--data',
      'hf:datasets/org/books/large.txt',
      '--vocab-size',
      '100',
      '--out',
      'tokenizer.json',
    ];
    const half = Math.floor(large.length / 2);
    server.faults.set('large.txt', { times: 1, stallAfter: half });
    const { child, ended } = start(prepare, { cwd: folder });
    const part = () =>
      readdirSync(folder, { recursive: true })
        .map(String)
        .find((path) => path.endsWith('.part'));
    const size = () => (part() === undefined ? 0 : readFileSync(join(folder, part()!)).length);
    for (let i = 0; i < 300 && size() < half; i++) await sleep(50);
    assert.equal(size(), half);
    child.kill('SIGKILL');
    await ended;
    server.requests.length = 0;
    const both = await Promise.all([done(prepare), done(prepare, {})]);
    assert.match(both[0].stdout, /tokens from 1 file/);
    const asked = server.requests.filter(
      (request) => request.server === 'storage' && request.path.includes('large.txt'),
    );
    assert.deepEqual(
      asked.map(({ range }) => range),
      [`bytes=${half}-`],
    );
    assert.equal(part(), undefined);
  });

  it('show how far they are where there is no terminal', async () => {
    server.commit('datasets/org/slow', { 'train.txt': large });
    server.faults.set('blob?of=datasets/org/slow', { times: 1, cutAfter: 100_000 });
    const again = await done([
      'tokenizer',
      'train',
      '--data',
      'hf:datasets/org/slow',
      '--vocab-size',
      '100',
      '--out',
      'slow.json',
    ]);
    assert.match(
      again.stderr,
      /^downloading hf:datasets\/org\/slow@[0-9a-f]{40}: train\.txt: 0\.1 of \d\.\d MB: .*; retrying in 1 s$/m,
    );
  });

  it('come by way of a proxy', async () => {
    server.web.set('proxied.txt', { content: Buffer.from(large) });
    const asked: string[] = [];
    const proxy = createServer().on('connect', (request, socket) => {
      asked.push(request.url!);
      const hub = connect(Number(new URL(server.endpoint).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        hub.pipe(socket).pipe(hub);
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const env = { HTTP_PROXY: address, http_proxy: address, NO_PROXY: '', no_proxy: '' };
    const words = ['--data', 'http://texts.invalid/web/proxied.txt', '--vocab-size', '100', '--out', 'proxied.json'];
    const { stdout } = await done(['tokenizer', 'train', ...words], env);
    assert.match(stdout, /tokens from 1 file/);
    assert.deepEqual(asked, ['texts.invalid:80']);
    proxy.closeAllConnections();
    proxy.close();
  });

  it('are refused in one line that says what to do', async () => {
    const inspect = (name: string) => ['data', 'inspect', '--data', name];
    await refused(
      inspect('hf:datasets/org/none'),
      /^taper: hf:datasets\/org\/none: no such data set on .*, or it is private; check the name, or set HF_TOKEN/,
    );
    await refused(
      inspect('hf:datasets/org/books:valid'),
      /no split valid; it has train, test; name one, for example hf:datasets\/org\/books:train$/m,
    );
    await refused(inspect('hf:datasets/org/books/table.csv'), /table\.csv: not a text file that taper reads \(\.txt/);
    const tokenizer = ['--vocab-size', '100', '--out', 'numbers.json'];
    await refused(
      ['tokenizer', 'train', '--data', 'hf:datasets/org/books/numbers.jsonl', ...tokenizer],
      /^taper: hf:datasets\/org\/books\/numbers\.jsonl, line 1: the field "text" is 1, not a string$/m,
    );
    await refused(inspect('hf:datasets/org/books@v9'), /no revision v9; .* lists what exists/);
    await refused(inspect('hf:org/books'), /is the name of a model; expected a data set/);
    await refused(inspect('hf:datasets/org/books/other.txt'), /no subset, folder or file other\.txt/);
    await refused(
      inspect('hf:datasets/org/new'),
      /is not in \.taper\/data, and HF_HUB_OFFLINE is set; unset it to download/,
      { HF_HUB_OFFLINE: '1' },
    );
    await refused(inspect('https://example.org/a.csv'), /not a text file that taper reads/);
    await refused(
      inspect(`${server.endpoint}/web/none.txt`),
      /the server answered 404 \(Not Found\); check the address/,
    );
    await refused(inspect('hf:datasets/org/books'), /HF_ENDPOINT=here: is not an address/, { HF_ENDPOINT: 'here' });
    const { stderr } = await run(['pretrain', 'tiny.yaml', '--data', 'hf:datasets/org/none', '--out', 'runs/none']);
    assert.match(stderr.trim().split('\n').at(-1)!, /^taper: hf:datasets\/org\/none: no such data set/);
  });
});

describe('models', () => {
  it('go to a Hub as an export and come from there as a checkpoint', async () => {
    await done([...shortRun, 'train.steps=1', '--data', 'train.txt', '--out', 'runs/model']);
    await done(['export', 'runs/model', '--to', 'hf', '--out', 'exported']);
    logIn(server.token);
    const { stdout, stderr } = await done([
      'push',
      'exported',
      'hf:org/model',
      '--private',
      '--message',
      'A first model',
      '--json',
    ]);
    const { url, commit } = JSON.parse(stdout);
    assert.equal(url, `${server.endpoint}/org/model`);
    assert.match(commit, /^[0-9a-f]{40}$/);
    assert.match(stderr, /^uploading 5 files to http:.*\/org\/model\n.*uploaded model\.safetensors\n/s);
    assert.equal(server.isPrivate('models/org/model'), true);
    const pushed = server.files('models/org/model');
    for (const name of readdirSync(join(folder, 'exported')))
      assert.deepEqual(pushed.get(name), readFileSync(join(folder, 'exported', name)), name);
    const stored = server.requests.filter((request) => request.server === 'storage');
    assert.deepEqual([...new Set(stored.map(({ authorization }) => authorization))], [undefined]);
    assert.equal((await done(['push', 'exported', 'hf:org/model'])).stdout, `${server.endpoint}/org/model\n`);
    await done(['push', './exported/.', 'hf:org/open']);
    // An export may be made of links, as the cache of Python's programs is.
    mkdirSync(join(folder, 'linked'));
    for (const name of readdirSync(join(folder, 'exported')))
      symlinkSync(join(folder, 'exported', name), join(folder, 'linked', name));
    await done(['push', 'linked', 'hf:org/linked']);
    assert.deepEqual(server.files('models/org/linked'), pushed);
    symlinkSync('nowhere', join(folder, 'linked/notes.md'));
    await refused(
      ['push', 'linked', 'hf:org/linked'],
      /linked\/notes\.md: is neither a file nor a link to one; remove it/,
    );
    const before = server.files('models/org/open').size;
    await refused(
      ['push', 'exported', 'hf:org/open', '--private'],
      /hf:org\/open: exists and is public; make it private/,
    );
    assert.equal(server.files('models/org/open').size, before);

    const imported = await done(['import', 'hf:org/model', '--out', 'models/back', '--json']);
    assert.equal(JSON.parse(imported.stdout).checkpoint, 'models/back');
    assert.match(JSON.parse(imported.stdout).name, /^hf:org\/model@[0-9a-f]{40}$/);
    await done(['import', 'exported', '--out', 'models/here']);
    const weights = (name: string) => readFileSync(join(folder, 'models', name, 'model.safetensors'));
    assert.deepEqual(weights('back'), weights('here'));
  });

  it('that cannot be pushed or imported are refused in one line', async () => {
    await refused(
      ['push', 'runs', 'hf:org/x'],
      /^taper: runs: has no README\.md; give a folder that npx taper-lm export wrote$/m,
    );
    await refused(
      ['push', 'runs/model', 'hf:org/x'],
      /runs\/model: is a run; export it first: npx taper-lm export runs\/model --to hf --out exported$/m,
    );
    await refused(['push', 'nowhere', 'hf:org/x'], /nowhere: no such folder/);
    await refused(['push', 'exported', 'hf:datasets/org/x'], /is the name of a data set; expected a model/);
    const pushed = ['push', 'exported', 'hf:org/x'];
    await refused(pushed, /^taper: hf:org\/x: no token; set HF_TOKEN to a token with write access/);
    logIn('hf_wrong');
    await refused(pushed, /rejected your token; set HF_TOKEN to a valid one$/m);
    logIn(server.token);
    server.faults.set('/commit/', { times: 1, status: 504 });
    assert.match(
      (await run(pushed)).stderr,
      /the commit was not confirmed \(the server answered 504\); check .*\/org\/x\/commits\/main, and/,
    );
    assert.equal(server.requestsFor('/commit/').length, 1);
    logIn('');
    server.commit('models/org/pickle', { 'config.json': '{}', 'pytorch_model.bin': 'x' });
    await refused(
      ['import', 'hf:org/pickle', '--out', 'models/pickle'],
      /has no model\.safetensors, only pytorch_model\.bin; give a model with safetensors weights/,
    );
    await refused(['import', 'hf:org/none', '--out', 'models/none'], /no such model on /);
    await refused(
      ['import', 'hf:datasets/org/books', '--out', 'models/none'],
      /is the name of a data set; expected a model/,
    );
  });
});
