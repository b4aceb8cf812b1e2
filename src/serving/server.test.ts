import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { wordTokenizer } from '../data/fixtures.ts';
import { familyOf, initialise } from '../model/index.ts';
import { tinyConfig } from '../train/tiny.fixture.ts';
import type { Served } from './route.ts';
import { startServer } from './server.ts';

const config = tinyConfig();
const served = {
  name: 'tiny',
  checkpoint: { config },
  tokenizer: wordTokenizer(20),
  model: familyOf(config.model).create(config.model, initialise(config.model, 1), 'float32'),
  device: 'cpu',
} as Served;
const here = { host: '127.0.0.1', port: 0, report: (error: unknown) => assert.fail(String(error)) };
const asking = (input: unknown) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ input }),
});

test('a server that closes cuts those who still send after its grace', async () => {
  const { origin, close } = await startServer(served, here);
  assert.equal((await fetch(`${origin}/v1/embeddings`, asking('w1 w2'))).status, 200);
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname).on('error', () => {});
  socket.write(
    `POST /v1/embeddings HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{`,
  );
  await once(socket, 'connect');
  await fetch(`${origin}/health`).then((response) => response.text());
  const begin = performance.now();
  await close(200);
  const ms = performance.now() - begin;
  assert.ok(ms > 150 && ms < 5000, `${ms}`);
  await assert.rejects(fetch(`${origin}/health`));
});

test('an error of the server itself is reported to its owner, and to the client as 500', async () => {
  const reported: unknown[] = [];
  const broken = {
    ...served,
    model: Object.assign(Object.create(served.model), {
      encode() {
        throw new Error('out of memory');
      },
    }),
  } as Served;
  const { origin, close } = await startServer(broken, { ...here, report: (error) => reported.push(error) });
  const answer = await fetch(`${origin}/v1/embeddings`, asking('w1'));
  const { error } = (await answer.json()) as { error: { type: string; message: string } };
  assert.deepEqual([answer.status, error.type, error.message], [500, 'server_error', 'out of memory']);
  assert.match(String(reported), /out of memory/);
  await close(1000);
});

test('a list of more texts than one request may have is refused', async () => {
  const { origin, close } = await startServer(served, here);
  const many = (count: number) => fetch(`${origin}/v1/embeddings`, asking(new Array(count).fill('w1')));
  assert.equal((await many(2048)).status, 200);
  assert.equal((await many(2049)).status, 400);
  await close(1000);
});
