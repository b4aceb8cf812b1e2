import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestError } from './request-error.ts';
import { Slots } from './slots.ts';

const { signal } = new AbortController();

test('a free place goes to the client that has waited longest', async () => {
  const slots = new Slots(1, 2);
  const first = await slots.take(signal);
  const order: string[] = [];
  const waits = (name: string) => slots.take(signal).then((place) => ({ place, at: order.push(name) }));
  const [b, c] = [waits('b'), waits('c')];
  await assert.rejects(slots.take(signal), (error) => error instanceof RequestError && error.status === 429);
  assert.deepEqual(order, []);
  first[Symbol.dispose]();
  (await b).place[Symbol.dispose]();
  (await c).place[Symbol.dispose]();
  assert.deepEqual(order, ['b', 'c']);
  await slots.take(signal);
});

test('a client that leaves while waiting takes no place', async () => {
  const slots = new Slots(1, 1);
  const first = await slots.take(signal);
  const leaving = new AbortController();
  const gone = slots.take(leaving.signal);
  leaving.abort();
  await assert.rejects(gone, /nobody waits/);
  await assert.rejects(slots.take(leaving.signal), /nobody waits/);
  const next = slots.take(signal);
  first[Symbol.dispose]();
  await next;
});
