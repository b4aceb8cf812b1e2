import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alone, type ProcessGroup } from '../distributed/index.ts';
import { initialise, parameterSpecs } from '../model/index.ts';
import { scope } from '../tensor/index.ts';
import { ownersOf } from './owners.ts';
import { trainingState } from './state.ts';
import { tinyConfig } from './tiny.fixture.ts';

test('each part of a model goes whole to the rank that has the least, the largest first', () => {
  const spec = (name: string, count: number) => ({ name, shape: [count], start: 'zeros' as const, decays: false });
  const blocks = [1, 2, 3, 4].map((l) => [spec(`${l}.a`, 3), spec(`${l}.b`, 7)]);
  const owners = ownersOf({ blocks, outer: [spec('words', 25)] }, { size: 2 });
  // 25 to rank 0; 10, 10 and 10 to rank 1, where 30 are more then; the last 10 to rank 0.
  assert.deepEqual(Object.fromEntries(owners), {
    words: 0,
    ...{ '1.a': 1, '1.b': 1, '2.a': 1, '2.b': 1, '3.a': 1, '3.b': 1, '4.a': 0, '4.b': 0 },
  });
});

test('with shardOptimizer the moments of a parameter are on one rank, and otherwise on all', () => {
  scope(() => {
    for (const shardOptimizer of [false, true]) {
      const config = tinyConfig({ train: { shardOptimizer } });
      const held = [0, 1, 2].map((rank) => {
        const group: ProcessGroup = { ...alone, rank, size: 3 };
        return [...trainingState(config, initialise(config.model, 1), { group }).optimizer.keys()];
      });
      const all = parameterSpecs(config.model).map(({ name }) => name);
      if (shardOptimizer) assert.deepEqual(held.flat().sort(), [...all].sort());
      else for (const names of held) assert.deepEqual(names, all);
      assert.ok(held.every((names) => names.length > 0));
    }
  });
});
