import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from './queue.ts';
import { RequestError } from './request-error.ts';

/** A queue of numbers, each as long as it says, whose answer is its double; `batches` are what ran together. */
function doubling(limits: { together?: number; waiting?: number } = {}) {
  const batches: number[][] = [];
  const run = (items: readonly number[]) => {
    batches.push([...items]);
    if (items.includes(13)) throw new Error('unlucky');
    return items.map((item) => 2 * item);
  };
  const queue = new Queue(run, (item) => item, { together: 100, waiting: 1000, ...limits });
  const { signal } = new AbortController();
  return { batches, queue, ask: (...items: number[]) => queue.ask(items, signal) };
}

test('requests that arrive before a batch runs join it, and each gets its own answers', async () => {
  const { batches, ask } = doubling();
  assert.deepEqual(await Promise.all([ask(1, 2), ask(3), ask(4)]), [[2, 4], [6], [8]]);
  assert.deepEqual(batches, [[1, 3, 4, 2]]);
  assert.deepEqual(await ask(5), [10]); // it begins again after it was empty
});

test('a batch has no more tokens than it may, padding included, and one item at least', async () => {
  const { batches, ask } = doubling({ together: 20 });
  await Promise.all([ask(5, 5, 6, 2), ask(50), ask(1)]);
  assert.deepEqual(batches, [[5], [50], [1, 5, 6], [2]]);
});

test('requests take turns, so that a short one does not wait for all of a long one', async () => {
  const { batches, ask } = doubling({ together: 4 });
  const long = ask(...new Array<number>(100).fill(1));
  const short = ask(1);
  assert.deepEqual(await short, [2]);
  assert.equal(batches.length, 1);
  assert.equal((await long).length, 100);
});

test('where too much waits a request is refused, and taken again after that', async () => {
  const { ask } = doubling({ waiting: 10 });
  const first = ask(20); // nobody before it: it is taken, however long it is
  assert.throws(
    () => ask(1),
    (error) => error instanceof RequestError && error.status === 429,
  );
  assert.deepEqual(await first, [40]);
  const [a, b] = [ask(4), ask(6)];
  assert.throws(() => ask(1), RequestError);
  assert.deepEqual(await Promise.all([a, b]), [[8], [12]]);
  assert.deepEqual(await ask(1), [2]);
});

test('a batch that fails does so only for the requests in it', async () => {
  const { ask } = doubling({ together: 13 });
  const [bad, good] = [ask(13, 1, 1), ask(2)];
  await assert.rejects(bad, /unlucky/);
  assert.deepEqual(await good, [4]);
  assert.deepEqual(await ask(3), [6]);
});

test('an abandoned request does not run, and frees its place', async () => {
  const { batches, queue, ask } = doubling({ waiting: 10 });
  const gone = new AbortController();
  const left = queue.ask([4, 6], gone.signal);
  gone.abort();
  await assert.rejects(left, /nobody waits/);
  assert.deepEqual(await ask(10), [20]);
  assert.deepEqual(batches, [[10]]);
});
