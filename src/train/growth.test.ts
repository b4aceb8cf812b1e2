import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartialConfig } from '../config/index.ts';
import { initialise, makeIdentity } from '../model/index.ts';
import { scope, type Tensor } from '../tensor/index.ts';
import { addBlocks } from './growth.ts';
import { type TrainingState, trainingState } from './state.ts';
import { trainStep } from './step.ts';
import { snapshot, tinyBatch, tinyConfig } from './tiny.fixture.ts';

const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const sizes = { layers: 3, hiddenSize: 16, heads: 2, ffnSize: 32 };

/** A run of a model of three blocks that was trained for some steps while it had two. */
function grown(optimizer: 'adamw' | 'muon', precision: 'fp32' | 'bf16' = 'fp32'): TrainingState {
  const config = tinyConfig({
    model: sizes,
    depth: { method: 'grow', growBlocks: [2, 3], growAt: [4] },
    train: { optimizer, precision },
  });
  const masters = initialise(config.model, config.train.seed);
  makeIdentity(config.model, masters, 2);
  const state = trainingState(config, masters);
  for (let step = 0; step < 4; step++) trainStep(state, step, [tinyBatch(step)]);
  return state;
}

const ofBlock = (state: TrainingState, l: number) =>
  new Map(
    [...snapshot(state)].flatMap(([name, value]) => {
      const [, rest] = name.split(`encoder.layer.${l}.`);
      return rest === undefined ? [] : [[rest, value as unknown[]]];
    }),
  );
const weightsOf = (state: TrainingState, l: number) => Array.from(ofBlock(state, l), ([name, [bits]]) => [name, bits]);
const momentsOf = (state: TrainingState, l: number) =>
  Array.from(ofBlock(state, l), ([name, [, ...moments]]) => [name, moments]);

for (const optimizer of ['adamw', 'muon'] as const) {
  scoped(`${optimizer}: a new block is a copy of the one that it names, without its moments or with them`, () => {
    const state = grown(optimizer);
    const [first, others] = [ofBlock(state, 0), [ofBlock(state, 1), momentsOf(state, 2)]];
    assert.notDeepEqual(weightsOf(state, 2), weightsOf(state, 0));
    addBlocks(state, [{ block: 2, copyOf: 0 }]);
    assert.deepEqual(weightsOf(state, 2), weightsOf(state, 0));
    assert.deepEqual([ofBlock(state, 1), momentsOf(state, 2)], others);
    for (const [name, moments] of momentsOf(state, 2)) assert.equal((moments as unknown[]).at(-1), 0, `${name}`);
    addBlocks(state, [{ block: 2, copyOf: 0, copiesMoments: true }]);
    assert.deepEqual(ofBlock(state, 2), first);
    for (const [, moments] of momentsOf(state, 2)) assert.equal((moments as unknown[]).at(-1), 4);
  });
}

scoped('a new block that is a copy of none begins as the seed gives it', () => {
  const state = grown('adamw');
  const { model, train } = state.config;
  const fresh = trainingState(state.config, initialise(model, train.seed));
  addBlocks(state, [{ block: 2 }]);
  assert.deepEqual(weightsOf(state, 2), weightsOf(fresh, 2));
});

scoped('a step trains the new block: in bfloat16, too, whose products keep weights in another layout', () => {
  for (const precision of ['fp32', 'bf16'] as const) {
    const [state, byHand] = [grown('adamw', precision), grown('adamw', precision)];
    const { depth } = state;
    addBlocks(byHand, [{ block: 2, copyOf: 0 }]);
    // A state that was made of the same weights has none of the copies that products keep.
    const anew = trainingState(byHand.config, new Map(Array.from(byHand.masters, copied)), {
      optimizer: byHand.optimizer,
      depth: (step) => ({ ...depth(step), newBlocks: [] }),
    });
    const { loss, depth: run, updatedBlocks } = trainStep(state, 4, [tinyBatch(4)]);
    assert.deepEqual([run, updatedBlocks], [3, 3]);
    assert.equal(loss, trainStep(anew, 4, [tinyBatch(4)]).loss);
    assert.deepEqual(snapshot(state), snapshot(anew));
  }
});

const copied = ([name, tensor]: [string, Tensor]): [string, Tensor] => [name, tensor.detach().mul(1)];

scoped('ModernBERT: its first block lacks a norm, which stays as it began in a copy of it', () => {
  const model: PartialConfig['model'] = { ...sizes, kind: 'modernbert', window: 8 };
  const config = tinyConfig({ model, data: { objective: 'mlm' } });
  const state = trainingState(config, initialise(config.model, config.train.seed));
  addBlocks(state, [{ block: 2, copyOf: 0 }]);
  const weight = (name: string) => state.masters.get(`model.layers.${name}.weight`)!.toArray();
  assert.deepEqual(weight('2.attn_norm'), new Float32Array(16).fill(1));
  assert.deepEqual(weight('2.attn.Wqkv'), weight('0.attn.Wqkv'));
});
