// A server of a model that continues texts: OpenAI's client, streams, clients that are gone, and its end.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { commandsIn, writeTiny } from './cli.fixture.ts';
import { ask, type Served, servers } from './serving.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-completions-'));
const at = (path: string) => join(folder, path);
const { done } = commandsIn(folder);
const serve = servers(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

const gpt = `
model: { kind: gpt2, layers: 2, hiddenSize: 32, heads: 2, vocabSize: 320, maxPositions: 64 }
depth: { method: pld }
data: { train: [train.txt], valid: [valid.txt], sequenceLength: 64 }
train: { steps: 60, batchSize: 8, microBatchSize: 8, peakLearningRate: 1e-2, evalEvery: 0, saveEvery: 0, precision: fp32, threads: 1 }
`;

describe('completions', { timeout: 300_000 }, () => {
  let server: Served;
  const prompt = 'The cat';
  before(async () => {
    writeTiny(folder);
    writeFileSync(at('gpt.yaml'), gpt);
    await done('pretrain', 'gpt.yaml', '--out', 'gpt', '--quiet');
    server = await serve('gpt');
  });
  const create = (more: object) => server.client.completions.create({ model: 'gpt', prompt, ...more });

  test("OpenAI's client gets what generate writes, streamed or not, also longer than the model reads", async () => {
    const { stdout } = await done('generate', 'gpt', prompt, '--tokens', '100', '--temperature', '0', '--json');
    const { text } = JSON.parse(stdout) as { text: string };
    const { choices, usage } = await create({ max_tokens: 100, temperature: 0, echo: true });
    assert.equal(choices[0]!.text, text);
    assert.ok(choices[0]!.finish_reason === 'length' && usage!.completion_tokens === 100, JSON.stringify(usage));
    const stream = await server.client.completions.create({
      model: 'gpt',
      prompt,
      max_tokens: 100,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    let [streamed, pieces] = [prompt, 0];
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.text ?? '';
      pieces += 1;
      if (chunk.usage) assert.deepEqual(chunk.usage, usage);
    }
    assert.equal(streamed, text);
    assert.ok(pieces > 30, `${pieces}`);
  });

  test('a seed writes the text of generate again, another seed another one', async () => {
    const text = async (seed: number) => (await create({ max_tokens: 30, seed, temperature: 0.8 })).choices[0]!.text;
    const [one, again, other] = await Promise.all([text(1), text(1), text(2)]);
    assert.equal(one, again);
    assert.notEqual(one, other);
    const { stdout } = await done('generate', 'gpt', prompt, '--tokens', '30', '--json');
    assert.equal(prompt + one, (JSON.parse(stdout) as { text: string }).text);
  });

  test('it ends before a stop; several prompts have a choice each', async () => {
    const whole = (await create({ max_tokens: 40, temperature: 0 })).choices[0]!.text;
    const stop = whole.slice(10, 13);
    const { choices } = await create({ prompt: [prompt, 'The dog'], max_tokens: 40, temperature: 0, stop });
    assert.equal(choices[0]!.text, whole.slice(0, whole.indexOf(stop)));
    assert.deepEqual([choices[0]!.finish_reason, choices[1]!.index], ['stop', 1]);
    const { data } = await server.client.models.list();
    assert.deepEqual(await server.client.models.retrieve('gpt'), data[0]);
    await assert.rejects(server.client.models.retrieve('other'), OpenAI.NotFoundError);
    assert.deepEqual(
      data.map(({ id }) => id),
      ['gpt'],
    );
  });

  test('a field that is null is one that is left out', async () => {
    const nothing = { stop: null, seed: null, top_p: null, logprobs: null, suffix: null, stream_options: null };
    const { choices } = await create({ max_tokens: 5, temperature: 0, ...nothing });
    assert.equal(choices[0]!.text, (await create({ max_tokens: 5, temperature: 0 })).choices[0]!.text);
  });

  test('mistakes are errors of the client', async () => {
    for (const [more, reason] of [
      [{ temperature: -1 }, /temperature: /],
      [{ temperature: 'warm' }, /temperature: /],
      [{ max_tokens: -5 }, /max_tokens: /],
      [{ max_tokens: 1.5 }, /max_tokens: /],
      [{ prompt: 5 }, /prompt: expected a text/],
      [{ n: 2 }, /n: /],
      [{ stop: '' }, /stop: /],
      [{ prompt: 'the cat '.repeat(60) }, /prompt: has \d+ tokens, but this model reads at most 64/],
      [{ prompt: 'the cat '.repeat(60), stream: true }, /prompt: has \d+ tokens/],
    ] as const) {
      await assert.rejects(create(more), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
        assert.match(error.message, reason);
        return true;
      });
    }
    assert.equal((await ask(`${server.origin}/v1/completions`, '{"temperature": NaN}')).status, 400);
    await assert.rejects(
      server.client.embeddings.create({ model: 'gpt', input: 'a' }),
      /gpt, a gpt2 model, answers POST \/v1\/completions/,
    );
  });

  test('a client that is gone gives its place to others, and one that reads slowly holds nobody up', async () => {
    const endless = JSON.stringify({ prompt, max_tokens: 1_000_000, stream: true });
    const { hostname, port } = new URL(server.origin);
    const open = () => {
      const socket = connect(Number(port), hostname).on('error', () => {});
      socket.write(
        `POST /v1/completions HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${endless.length}\r\n\r\n${endless}`,
      );
      return socket;
    };
    const leaving = Array.from({ length: 70 }, open); // more than run at once
    await Promise.race(leaving.map((socket) => new Promise((resolve) => socket.once('data', resolve))));
    for (const socket of leaving) socket.destroy();
    const reading: Socket[] = Array.from({ length: 4 }, () => open().pause());
    const drip = setInterval(() => {
      for (const socket of reading) socket.read(1);
    }, 200);
    try {
      const begin = performance.now();
      for (let i = 0; i < 5; i++) {
        const { choices } = await create({ max_tokens: 20, temperature: 0 });
        assert.ok(choices[0]!.text.length > 0);
      }
      assert.ok(performance.now() - begin < 10_000, `${performance.now() - begin} ms`);
    } finally {
      clearInterval(drip);
      for (const socket of reading) socket.destroy();
    }
    const asked = Array.from({ length: 5 }, () => {
      const signal = AbortSignal.timeout(100);
      return assert.rejects(
        server.client.completions.create({ model: 'gpt', prompt, max_tokens: 100_000 }, { signal }),
        OpenAI.APIUserAbortError,
      );
    });
    await Promise.all(asked);
    await sleep(200);
    assert.equal(server.said(), '', 'a client that leaves is no error');
  });

  test('after SIGTERM it answers what has come, a stream too, takes nothing new, and ends with 0', async () => {
    const { child, ended, client, origin } = await serve('gpt');
    const asked = { model: 'gpt', prompt, max_tokens: 60, temperature: 0 };
    const requests = Array.from({ length: 20 }, () => client.completions.create(asked));
    // Connections are taken in their order: once this one is answered, the others are being answered.
    const stream = await client.completions.create({ ...asked, stream: true });
    const reader = stream[Symbol.asyncIterator]();
    let text = (await reader.next()).value!.choices[0]!.text;
    child.kill('SIGTERM');
    for (let next = await reader.next(); !next.done; next = await reader.next()) text += next.value.choices[0]!.text;
    const answers = await Promise.all(requests);
    for (const { choices } of answers) assert.equal(choices[0]!.text, text);
    const { code, signal, stderr } = await ended;
    assert.deepEqual([code, signal], [0, null], stderr);
    await assert.rejects(ask(`${origin}/v1/completions`, {}), /ECONNREFUSED/);
  });

  test('a second signal ends it at once', async () => {
    const { child, ended, client } = await serve('gpt');
    const stream = await client.completions.create({ model: 'gpt', prompt, max_tokens: 1_000_000, stream: true });
    const isCut = assert.rejects(async () => {
      for await (const _ of stream);
    });
    child.kill('SIGTERM');
    await new Promise((resolve) => child.stderr!.once('data', resolve));
    child.kill('SIGTERM');
    assert.equal((await ended).signal, 'SIGTERM');
    await isCut;
  });
});
