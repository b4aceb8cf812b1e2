// A server of a model as programs use it: OpenAI's client, and clients that are slow, wrong or gone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { commandsIn, sentences, writeTiny } from './cli.fixture.ts';
import { readNpy } from './npy.fixture.ts';
import { ask, manyRequests, type Served, servers } from './serving.fixture.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-serve-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);
const serve = servers(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

const texts = [...new Set(sentences(400, 9).trim().split('. '))].map((text) => text.replace(/\.$/, '')).slice(0, 200);
const small = [
  '--epochs',
  '2',
  '--batch-size',
  '16',
  '--learning-rate',
  '3e-3',
  '--max-length',
  '32',
  '--threads',
  '1',
];

const json = ({ text }: { text: string }) => JSON.parse(text);
const furthest = (a: readonly (readonly number[])[], b: readonly Float32Array[]) =>
  Math.max(...a.flatMap((row, i) => row.map((x, d) => Math.abs(x - b[i]![d]!))));

describe('serve', { timeout: 300_000 }, () => {
  before(async () => {
    writeTiny(folder);
    writeFileSync(at('texts.txt'), texts.map((text) => `${text}\n`).join(''));
    writeFileSync(at('pairs.tsv'), `a\tb\n${texts.map((text, i) => `${text}\t${texts[(i + 1) % 200]}\n`).join('')}`);
    await done('pretrain', 'tiny.yaml', '--out', 'bert', '--quiet', '--set', 'train.precision=fp32');
  });

  describe('embeddings', () => {
    let server: Served;
    let vectors: Float32Array[];
    before(async () => {
      const files = ['--pairs', '--train', 'pairs.tsv', '--dev', 'pairs.tsv', '--text', 'a', 'b'];
      await done('finetune', 'bert', ...files, ...small, '--dimensions', '16', '--out', 'search');
      await done('embed', 'search', '--in', 'texts.txt', '--out', 'vectors.npy');
      vectors = readNpy(at('vectors.npy'));
      server = await serve('search');
    });

    test("OpenAI's client gets what embed writes: as base64, as numbers, of token ids, and shortened", async () => {
      const { client } = server;
      const some = texts.slice(0, 20);
      const found = async (more: object) => {
        const { data, usage } = await client.embeddings.create({ model: 'search', input: some, ...more });
        assert.deepEqual(
          data.map(({ index }) => index),
          [...some.keys()],
        );
        assert.ok(usage.prompt_tokens > 20 * 8 && usage.total_tokens === usage.prompt_tokens);
        return data.map(({ embedding }) => embedding);
      };
      assert.ok(furthest(await found({}), vectors) < 1e-5);
      assert.ok(furthest(await found({ encoding_format: 'float' }), vectors) < 1e-5);
      await done('embed', 'search', '--in', 'texts.txt', '--out', 'short.npy', '--dimensions', '16');
      const short = await found({ dimensions: 16 });
      assert.equal(short[0]!.length, 16);
      assert.ok(furthest(short, readNpy(at('short.npy'))) < 1e-5);
    });

    test('the examples of the documentation work', async (t) => {
      const page = readFileSync(join(project, 'docs/serving.md'), 'utf8').replaceAll(
        'http://127.0.0.1:7008',
        server.origin,
      );
      const run = (command: string, ...words: string[]) =>
        promisify(execFile)(command, words, { cwd: project, encoding: 'utf8' });
      const [, program] = /^```js\n(.*?)^```$/ms.exec(page)!;
      assert.equal((await run(process.execPath, '--input-type=module', '-e', program!)).stdout, '2 32\n');
      const [, command] = /^ {4}(curl .*)$/m.exec(page)!;
      const hasCurl = await run('curl', '--version').then(
        () => true,
        () => false,
      );
      if (!hasCurl) t.diagnostic('curl is not installed: its example was not run');
      else assert.equal(JSON.parse((await run('sh', '-c', command!)).stdout).data[0].embedding.length, 32);
    });

    test('a list of token ids stands for its text', async () => {
      const { TextTokenizer } = await import('../src/data/index.ts');
      const tokenizer = TextTokenizer.fromFile(at('search/tokenizer.json'));
      const ids = (await tokenizer.encodeBatch(texts.slice(0, 3))).map((own) => [...own]);
      for (const input of [ids, ids[0]!]) {
        const { data } = await server.client.embeddings.create({ model: 'search', input });
        assert.ok(
          furthest(
            data.map(({ embedding }) => embedding),
            vectors,
          ) < 1e-5,
        );
      }
    });

    test('of a thousand requests by 16 clients none is lost, and each has its own vector', async () => {
      const { seconds, memory } = await manyRequests(server, 1000, texts, vectors);
      assert.ok(seconds < 60, `${seconds} s`);
      assert.ok(memory.at(-1)! < memory[0]! + 50, `${memory}`);
    });

    test('clients that send a byte at a time hold nobody up', async () => {
      const { hostname, port } = new URL(server.origin);
      const body = JSON.stringify({ input: texts[0] });
      const head = `POST /v1/embeddings HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
      const slow = Array.from({ length: 20 }, () => connect(Number(port), hostname).on('error', () => {}));
      let sent = 0;
      for (const socket of slow) socket.write(head);
      const drip = setInterval(() => {
        for (const socket of slow) socket.write(body[sent]!);
        sent += 1;
      }, 200);
      try {
        const { latencies } = await manyRequests(server, 200, texts, vectors);
        assert.ok(sent < body.length, 'they were not done');
        assert.ok(Math.max(...latencies) < 2000, `${Math.max(...latencies)} ms`);
      } finally {
        clearInterval(drip);
        for (const socket of slow) socket.destroy();
      }
    });

    test('mistakes are answers of one line, as the errors of the client, and the server lives on', async () => {
      const { client, origin } = server;
      const create = (more: object) => client.embeddings.create({ model: 'search', input: 'The cat', ...more });
      const long = 'the cat '.repeat(100);
      for (const [more, reason] of [
        [{ input: '' }, /input: is empty/],
        [{ input: [] }, /input: has 0 texts/],
        [{ input: ['a', ' '] }, /input\[1\]: is empty/],
        [{ input: 5 }, /input: expected a text/],
        [{ input: ['a', long] }, /input\[1\]: has \d{3} tokens, but this model reads at most 30/],
        [{ input: [1, 99_999] }, /input\.1: /],
        [{ dimensions: 33 }, /dimensions: /],
        [{ dimensions: 0 }, /dimensions: /],
        [{ colour: 'red' }, /"colour"; this path takes .*input, encoding_format, dimensions$/],
      ] as const) {
        await assert.rejects(create(more), (error) => {
          assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
          assert.match(error.message, reason);
          return !error.message.includes('\n');
        });
      }
      await assert.rejects(create({ model: 'other' }), OpenAI.NotFoundError);
      await assert.rejects(
        client.completions.create({ model: 'search', prompt: 'a' }),
        /answers POST \/v1\/embeddings$/,
      );
      const path = `${origin}/v1/embeddings`;
      const fine = { input: 'The cat' };
      const status = async (...words: Parameters<typeof ask>) => {
        const answer = await ask(...words);
        const { error } = json(answer);
        assert.deepEqual(
          [typeof error.message, typeof error.type, 'param' in error, 'code' in error],
          ['string', 'string', true, true],
        );
        return answer.status;
      };
      assert.equal(await status(path, '{"input": '), 400);
      assert.equal(await status(path, ''), 400);
      assert.equal(await status(path, '"a"'), 400);
      await assert.rejects(create({ input: 'a'.repeat(10_000_000) }), { status: 413 });
      assert.equal(await status(path, fine, { headers: { 'content-type': 'text/plain' } }), 415);
      assert.equal(await status(path, fine, { method: 'PUT' }), 405);
      assert.equal(await status(`${origin}/v1/chat/completions`, fine), 404);
      assert.equal(await status(path, fine, { headers: { host: 'evil.example' } }), 403);
      assert.equal(await status(path, fine, { headers: { 'sec-fetch-site': 'cross-site' } }), 403);
      assert.equal((await create({})).data.length, 1);
    });
  });

  test('fill answers as the command does, for many at once', async () => {
    const { origin } = await serve('bert');
    const asked = texts
      .slice(0, 30)
      .map((text) => text.replace(/ \w+ing | sees | likes /, ' [MASK] ').replace(/\w+$/, '[MASK]'));
    const answers = await Promise.all(asked.map((text, i) => ask(`${origin}/fill`, { text, top: 1 + (i % 7) })));
    for (const i of [0, 8, 29]) {
      const { stdout } = await done('fill', 'bert', asked[i]!, '--top', String(1 + (i % 7)), '--json');
      const [found, expected] = [json(answers[i]!), JSON.parse(stdout)];
      assert.equal(found.text, expected.text);
      const flat = (masks: { token: string; probability: number }[][]) => masks.flat();
      assert.deepEqual(
        flat(found.masks).map(({ token }) => token),
        flat(expected.masks).map(({ token }) => token),
      );
      for (const [k, { probability }] of flat(found.masks).entries())
        assert.ok(Math.abs(probability - flat(expected.masks)[k]!.probability) < 1e-5);
    }
    for (const [body, reason] of [
      [{ text: 'no mask' }, /has no \[MASK\]/],
      [{ text: 7 }, /text: /],
      [{ text: '[MASK]', top: 0 }, /top: /],
      [{ text: `[MASK] ${'the cat '.repeat(40)}` }, /has \d+ tokens, but this model reads at most 30/],
    ] as const) {
      const { status, text } = await ask(`${origin}/fill`, body);
      assert.equal(status, 400);
      assert.match(json({ text }).error.message, reason);
    }
  });

  test('classify answers as a fine-tuning predicts: one label, several, a number, tags', async () => {
    const kindOf = (text: string) => (/^The (cat|dog|bird)/.test(text) ? 'animal' : 'other');
    const rows = texts.slice(0, 60).map((text) => ({
      text,
      kind: kindOf(text),
      kinds: [kindOf(text), ...(/garden|house/.test(text) ? ['home'] : [])],
      length: text.length,
      spans: [{ start: 4, end: text.indexOf(' ', 4), label: 'LIFE' }],
    }));
    writeFileSync(at('rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const files = ['--train', 'rows.jsonl', '--dev', 'rows.jsonl', '--text', 'text'];
    const tuned = (out: string, ...words: string[]) =>
      done('finetune', 'bert', ...files, ...small, ...words, '--out', out);
    await tuned('one', '--label', 'kind');
    await tuned('several', '--multi-label', '--label', 'kinds', '--threshold', 'best');
    await tuned('number', '--regression', '--label', 'length');
    await tuned('tags', '--tags', '--label', 'spans', '--epochs', '8');
    const column = (run: string) =>
      readFileSync(at(`${run}/dev.tsv`), 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => line.split('\t')[1]!);
    const predicted = async (run: string) => {
      const { origin, child } = await serve(run);
      const asked = rows.map(({ text }) => text);
      const answer = await ask(`${origin}/classify`, { texts: asked });
      assert.equal(answer.status, 200, answer.text);
      const alone = await ask(`${origin}/classify`, { text: asked[3] });
      assert.equal(json(alone).predictions.length, 1);
      assert.equal((await ask(`${origin}/classify`, { text: '' })).status, 400);
      assert.equal((await ask(`${origin}/classify`, {})).status, 400);
      const pair = await ask(`${origin}/classify`, { text: asked.slice(0, 2) });
      assert.equal(pair.status, 400);
      assert.match(json(pair).error.message, /^text: expected a single text; a list of texts goes into "texts"$/);
      child.kill();
      return json(answer).predictions;
    };
    const one = (await predicted('one')) as { label: string; probabilities: Record<string, number> }[];
    assert.deepEqual(
      one.map(({ label }) => label),
      column('one'),
    );
    for (const { label, probabilities } of one) {
      assert.ok(Math.abs(probabilities.animal! + probabilities.other! - 1) < 1e-6);
      assert.ok(probabilities[label]! >= 0.5);
    }
    const several = (await predicted('several')) as { labels: string[] }[];
    assert.deepEqual(
      several.map(({ labels }) => labels.join(';')),
      column('several'),
    );
    const number = (await predicted('number')) as { value: number }[];
    for (const [i, written] of column('number').entries())
      assert.ok(Math.abs(number[i]!.value - Number(written)) < 1e-3, written);
    const long = rows
      .slice(0, 3)
      .map(({ text }) => text)
      .join('. ');
    for (const [run, ...words] of [['cut'], ['windows', '--windows', '4']] as const) {
      await tuned(run, '--label', 'kind', '--max-length', '12', ...words);
      const { origin, child } = await serve(run);
      for (const text of [long, `${long}. ${long}`]) {
        const { text: _, ...expected } = JSON.parse((await done('predict', run, text)).stdout);
        assert.deepEqual(
          json(await ask(`${origin}/classify`, { text })).predictions,
          [expected],
          'truncated as predict does',
        );
      }
      child.kill();
    }
    await done('export', 'cut', '--to', 'hf', '--out', 'cut-hf');
    const answers = await Promise.all(
      ['cut', 'cut-hf'].map(async (model) => (await done('predict', model, long)).stdout),
    );
    assert.equal(answers[1], answers[0], 'an export truncates as its model does');
    await tuned('pairs', '--text', 'kind', '--label', 'length', '--regression');
    const { origin, child, tried } = await serve('pairs');
    assert.equal((await ask(tried.address, tried.body)).status, 200, 'the request that it prints');
    const pair = [rows[0]!.text, rows[0]!.kind];
    const asked = await ask(`${origin}/classify`, { texts: [pair, pair] });
    assert.equal(asked.status, 200, asked.text);
    assert.equal(json(asked).predictions.length, 2);
    const alone = await ask(`${origin}/classify`, { text: pair[0] });
    assert.equal(alone.status, 400);
    assert.match(json(alone).error.message, /^text: expected a list of the two texts of a pair$/);
    child.kill();
    const tags = await predicted('tags');
    const written = readFileSync(at('tags/dev.jsonl'), 'utf8').trim().split('\n');
    assert.deepEqual(
      tags,
      written.map((line) => JSON.parse(line)),
    );
    assert.ok(tags.some(({ spans }: { spans: unknown[] }) => spans.length > 0));
  });

  test('it prints a request to try', async () => {
    const { child, tried } = await serve('bert');
    const answer = await ask(tried.address, tried.body);
    assert.equal(answer.status, 200, answer.text);
    child.kill();
  });

  test('on another address it asks for the token that was printed', async () => {
    const { origin, token, client } = await serve('bert', '--host', '127.0.0.2');
    assert.ok(token!.length >= 32);
    assert.equal((await client.embeddings.create({ model: 'bert', input: 'a' })).data.length, 1);
    for (const apiKey of ['wrong', `${token}x`, 'ä'.repeat(32)]) {
      const answer = await ask(
        `${origin}/v1/embeddings`,
        { input: 'a' },
        { headers: { authorization: `Bearer ${encodeURI(apiKey)}` } },
      );
      assert.equal(answer.status, 401);
    }
    const wrong = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await assert.rejects(wrong.embeddings.create({ model: 'bert', input: 'a' }), OpenAI.AuthenticationError);
    assert.equal((await ask(`${origin}/v1/embeddings`, { input: 'a' })).status, 401);
    assert.equal((await ask(`${origin}/health`, '', { method: 'GET' })).status, 401);
  });

  test('mistakes at the start are one line', async () => {
    await refused(['serve', 'nowhere'], /nowhere/);
    await refused(['serve', 'bert', '--port', '99999', '--device', 'cpu'], /--port 99999: is no port/);
  });
});
