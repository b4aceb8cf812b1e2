import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventStream } from './events.ts';
import { RequestError } from './request-error.ts';

const never = { stallMs: 60_000, cut: assert.fail, report: (error: unknown) => assert.fail(String(error)) };

/** Counts without an end, and knows how far it got. */
function counting() {
  const state = { made: 0, isEnded: false };
  async function* numbers(): AsyncGenerator<object> {
    try {
      for (;;) yield { number: ++state.made };
    } finally {
      state.isEnded = true;
    }
  }
  return { state, numbers: numbers() };
}

test('events are made only when the client takes them', async () => {
  const { state, numbers } = counting();
  const reader = (await eventStream(numbers, never)).getReader();
  await sleep(20);
  assert.ok(state.made <= 2, `${state.made}`);
  for (let i = 1; i <= 10; i++) {
    const { value } = await reader.read();
    assert.equal(new TextDecoder().decode(value), `data: {"number":${i}}\n\n`);
  }
  await sleep(20);
  assert.ok(state.made <= 12, `${state.made}`);
  await reader.cancel();
  assert.ok(state.isEnded);
});

test('an answer ends where its stream is cancelled, also before anything was read', async () => {
  const { state, numbers } = counting();
  await (await eventStream(numbers, never)).cancel();
  assert.ok(state.isEnded);
});

test('a client that takes nothing is cut', async () => {
  const { numbers } = counting();
  const isCut = new Promise<void>((cut) => {
    void eventStream(numbers, { ...never, stallMs: 20, cut });
  });
  await isCut;
});

test('an error before the first event is thrown, a later one is sent in the stream', async () => {
  async function* failing(after: object[], error: Error): AsyncGenerator<object> {
    yield* after;
    throw error;
  }
  const mistake = new RequestError(400, 'no such thing');
  await assert.rejects(eventStream(failing([], mistake), never), mistake);
  const reported: unknown[] = [];
  const stream = await eventStream(failing([{ a: 1 }], new Error('odd')), {
    ...never,
    report: (e) => reported.push(e),
  });
  const text = await new Response(stream).text();
  assert.match(text, /^data: \{"a":1\}\n\ndata: \{"error":\{"message":"odd","type":"server_error".*\}\}\n\n$/);
  assert.equal(reported.length, 1);
});

test('a client that leaves while an event is made is not an error of the server', async () => {
  let make = (_: object) => {};
  async function* slow(): AsyncGenerator<object> {
    yield { a: 1 };
    yield await new Promise<object>((resolve) => {
      make = resolve;
    });
  }
  const reported: unknown[] = [];
  const stream = await eventStream(slow(), { ...never, report: (error) => reported.push(error) });
  const reader = stream.getReader();
  await reader.read();
  await sleep(0); // the next event is being made
  const isCancelled = reader.cancel();
  make({ a: 2 });
  await isCancelled;
  await sleep(0);
  assert.deepEqual(reported, []);
});
