import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawGates, openShare } from './gates.ts';
import { profileRates } from './profile.ts';

const batchWide = { granularity: 'batch', sequences: 8 } as const;

test('over 10,000 draws each block runs as often as its keep rate says, within four standard errors', () => {
  const numDraws = 10_000;
  const keepRates = profileRates('linear', 12, 0.5);
  const counts = new Array<number>(12).fill(0);
  for (let step = 0; step < numDraws; step++) {
    drawGates({ ...batchWide, seed: 1, step, microBatch: 0, keepRates }).forEach((on, block) => {
      if (on) counts[block]! += 1;
    });
  }
  keepRates.forEach((keepRate, block) => {
    const standardError = Math.sqrt((keepRate * (1 - keepRate)) / numDraws);
    const frequency = counts[block]! / numDraws;
    assert.ok(Math.abs(frequency - keepRate) < 4 * standardError, `block ${block}: ${frequency} is not ${keepRate}`);
  });
});

test('the gates of two blocks, micro-batches, steps and seeds are independent', () => {
  const numDraws = 10_000;
  const draw = (seed: number, step: number, microBatch: number) =>
    drawGates({ ...batchWide, seed, step, microBatch, keepRates: [0.5, 0.5] });
  let blocks = 0;
  let microBatches = 0;
  let steps = 0;
  let seeds = 0;
  for (let step = 0; step < numDraws; step++) {
    const [here, above] = draw(1, step, 0);
    if (here === above) blocks++;
    if (here === draw(1, step, 1)[0]) microBatches++;
    if (here === draw(1, step + 1, 0)[0]) steps++;
    if (here === draw(2, step, 0)[0]) seeds++;
  }
  const standardError = 0.5 / Math.sqrt(numDraws);
  for (const same of [blocks, microBatches, steps, seeds]) {
    assert.ok(Math.abs(same / numDraws - 0.5) < 4 * standardError, `${same} of ${numDraws} agree`);
  }
});

test('a gate is on exactly when its Philox word is below p·2^32', () => {
  // Counter 0 and key 0 give the published word 6627e8d5 (Random123's kat_vectors): u = 0.39905…
  const u = 0x6627e8d5 / 2 ** 32;
  const gate = (keepRate: number) =>
    drawGates({ ...batchWide, seed: 0, step: 0, microBatch: 0, keepRates: [keepRate] })[0];
  assert.equal(gate(u), false);
  assert.equal(gate(u + 2 ** -32), true);
});

test('a keep rate of 1 is always on and one of 0 never', () => {
  for (let step = 0; step < 1000; step++) {
    assert.deepEqual(drawGates({ ...batchWide, seed: 3, step, microBatch: 0, keepRates: [1, 0] }), [true, false]);
  }
});

const bySequence = (step: number, keepRates: number[], sequences: number) =>
  drawGates({ granularity: 'sequence', seed: 1, step, microBatch: 0, keepRates, sequences });

test('with a gate for each sequence, p·N of them are rounded up or down so that their mean is exact', () => {
  const numDraws = 10_000;
  let sum = 0;
  for (let step = 0; step < numDraws; step++) {
    const share = openShare(bySequence(step, [0.7], 6)[0]!, 6) * 6; // 4.2
    assert.ok(share === 4 || share === 5);
    sum += share;
  }
  const standardError = Math.sqrt((0.2 * 0.8) / numDraws);
  assert.ok(Math.abs(sum / numDraws - 4.2) < 4 * standardError, `${sum / numDraws} is not 4.2`);
});

test('each sequence is as likely as any other, and each pair of them', () => {
  const numDraws = 10_000;
  const singles = new Array<number>(6).fill(0);
  const pairs = new Map<string, number>();
  for (let step = 0; step < numDraws; step++) {
    const [gate] = bySequence(step, [0.5], 6); // 3 of 6
    assert.ok(typeof gate === 'object' && gate.length === 3);
    for (const [i, a] of gate.entries()) {
      singles[a]! += 1;
      for (const b of gate.slice(i + 1)) {
        assert.ok(a < b, 'in rising order, each once');
        pairs.set(`${a} ${b}`, (pairs.get(`${a} ${b}`) ?? 0) + 1);
      }
    }
  }
  const near = (count: number, p: number) =>
    assert.ok(
      Math.abs(count / numDraws - p) < 4 * Math.sqrt((p * (1 - p)) / numDraws),
      `${count} of ${numDraws}, not ${p}`,
    );
  for (const count of singles) near(count, 1 / 2);
  assert.equal(pairs.size, 15);
  for (const count of pairs.values()) near(count, 1 / 5);
});

test('with a gate for each sequence, a rate of 1 takes all, one of 0 none, and a small one sometimes none', () => {
  const seen = new Set<boolean>();
  for (let step = 0; step < 200; step++) {
    const [all, none, some] = bySequence(step, [1, 0, 0.1], 4);
    assert.deepEqual([all, none], [true, false]);
    seen.add(some === false);
  }
  assert.deepEqual([...seen].sort(), [false, true]);
});

test('two blocks choose their sequences independently', () => {
  let together = 0;
  const numDraws = 4000;
  for (let step = 0; step < numDraws; step++) {
    const [below, above] = bySequence(step, [0.5, 0.5], 8);
    const of = (gate: unknown) => (gate as number[]).includes(3);
    if (of(below) && of(above)) together++;
  }
  assert.ok(Math.abs(together / numDraws - 0.25) < 4 * Math.sqrt((0.25 * 0.75) / numDraws), `${together}`);
});

const exactly = (step: number, keepRates: readonly number[], microBatch = 0) =>
  drawGates({ granularity: 'exact', seed: 1, step, microBatch, keepRates, sequences: 8 });
const numOn = (gates: readonly unknown[]) => gates.filter((gate) => gate === true).length;

test('exact: of 8.75 blocks on average 8 or 9 run, 9 three times of four, each block as often as its keep rate says', () => {
  const numDraws = 10_000;
  const keepRates = profileRates('linear', 12, 0.5);
  const counts = new Array<number>(12).fill(0);
  let nines = 0;
  for (let step = 0; step < numDraws; step++) {
    const gates = exactly(step, keepRates);
    assert.ok([8, 9].includes(numOn(gates)), `${numOn(gates)} blocks`);
    if (numOn(gates) === 9) nines++;
    gates.forEach((gate, block) => {
      if (gate === true) counts[block]! += 1;
    });
  }
  const assertNear = (count: number, p: number, what: string) =>
    assert.ok(
      Math.abs(count / numDraws - p) < 4 * Math.sqrt((p * (1 - p)) / numDraws),
      `${what}: ${count / numDraws} is not ${p}`,
    );
  assertNear(nines, 3 / 4, 'nine blocks');
  keepRates.forEach((keepRate, block) => {
    assertNear(counts[block]!, keepRate, `block ${block}`);
  });
});

test('exact: where the keep rates are alike, each pair of blocks is as likely as any other', () => {
  // 2 of 4 blocks are one pair of six. In a fixed order only the pairs 0 2 and 1 3 would be drawn.
  const numDraws = 6000;
  const pairs = new Map<string, number>();
  for (let step = 0; step < numDraws; step++) {
    const gates = exactly(step, [0.5, 0.5, 0.5, 0.5]);
    const pair = [0, 1, 2, 3].filter((block) => gates[block] === true).join(' ');
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  }
  assert.equal(pairs.size, 6);
  const standardError = Math.sqrt((1 / 6) * (5 / 6) * numDraws);
  for (const count of pairs.values()) assert.ok(Math.abs(count - numDraws / 6) < 4 * standardError, `${count}`);
});

test('exact: a rate of 1 is always on, one of 0 never, and a sum that rounds to an integer is that number', () => {
  const tenths = new Array<number>(10).fill(0.1); // add up to 0.9999999999999999
  for (let step = 0; step < 1000; step++) {
    const gates = exactly(step, [1, 0.3, 0, 0.7, 1]);
    assert.deepEqual([gates[0], gates[2], gates[4], numOn(gates)], [true, false, true, 3]);
    assert.equal(numOn(exactly(step, tenths)), 1);
  }
});

test('exact: the micro-batches of a step share what is rounded, and each of them runs each block at its rate', () => {
  const keepRates = profileRates('linear', 12, 0.5); // four times 8.75 are 35
  const numDraws = 4000;
  const together = [0, 0, 0, 0];
  for (let step = 0; step < numDraws; step++) {
    const all = [0, 1, 2, 3].map((microBatch) => exactly(step, keepRates, microBatch));
    assert.equal(numOn(all.flat()), 35);
    all.forEach((gates, microBatch) => {
      if (gates[11] === true) together[microBatch]! += 1;
    });
  }
  for (const count of together)
    assert.ok(Math.abs(count / numDraws - 0.5) < (4 * 0.5) / Math.sqrt(numDraws), `${count}`);
});
