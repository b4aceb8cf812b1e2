import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { estimateMemory } from '../train/memory.ts';
import { checkMemory, memoryWarning } from './memory.ts';

const sets = ['model.preset=bert-base', 'train.steps=1000', 'train.device=cpu', 'train.precision=bf16'];
const configOf = (...more: string[]) => loadConfig({ sets: [...sets, ...more] }).config;
const command = ['/x/dist/src/cli/main.js', 'pretrain', 'my config.yaml', '--set', 'train.steps=1000'];
const GB = 1e9;

test('what fits is not warned of; what does not names a micro-batch that fits, as a command', () => {
  const config = configOf('train.batchSize=96');
  const { total } = estimateMemory(config);
  assert.ok(total > 5 * GB && total < 20 * GB, `${total}`);
  assert.deepEqual(checkMemory(config, { machine: { total: 64 * GB, available: total } }), []);
  const machine = { total: 2 * total, available: 0.9 * total };
  const [warning] = checkMemory(config, { machine, command });
  assert.match(
    warning!,
    /^train\.microBatchSize: 96 sequences per pass need about [\d.]+ GB of memory, but this machine has [\d.]+ GB free: .*: npx taper-lm pretrain 'my config\.yaml' --set train\.steps=1000 train\.microBatchSize=\d+$/,
  );
  const size = Number(/\d+$/.exec(warning!));
  assert.ok(96 % size === 0 && size < 96);
  const fitting = configOf('train.batchSize=96', `train.microBatchSize=${size}`);
  assert.ok(estimateMemory(fitting).total <= 0.8 * machine.available);
});

test('several times the memory of the machine is refused, also for a resumed run', () => {
  const config = configOf('train.batchSize=1000000');
  const machine = { total: 24 * GB, available: 20 * GB };
  assert.throws(
    () => checkMemory(config, { machine, command }),
    /ConfigError.*has 24 GB: the system would kill.*train\.microBatchSize=\d+$/s,
  );
  assert.match(memoryWarning(config, { machine, command })!, /microBatchSize=\d+$/);
  assert.throws(
    () => checkMemory(config, { machine, resume: true }),
    /free some memory, or resume on a machine with more$/,
  );
});

test('where not even one sequence fits, the sizes are named', () => {
  const machine = { total: 2 * GB, available: 1 * GB };
  assert.match(
    memoryWarning(configOf('train.batchSize=8'), { machine })!,
    /lower train\.batchSize, data\.sequenceLength or the sizes of the model$/,
  );
});

test('the ranks of one machine share its memory', () => {
  const config = configOf('train.batchSize=64');
  const machine = { total: 64 * GB, available: 1.5 * estimateMemory(config, 4).total };
  const four = (localSize: number) => memoryWarning(config, { machine, ranks: { size: 4, localSize }, command });
  assert.equal(four(1), undefined);
  assert.match(four(4)!, /: add --set train\.microBatchSize=\d+$|lower train\.batchSize/);
  assert.ok(estimateMemory(config, 4).activations < estimateMemory(config).activations / 3.9);
});

test('on a GPU only what the host holds is compared with its memory', () => {
  const config = {
    ...configOf('train.batchSize=1000'),
    train: { ...configOf('train.batchSize=1000').train, device: 'cuda' },
  };
  assert.equal(memoryWarning(config, { machine: { total: 4 * GB, available: 2 * GB } }), undefined);
  assert.match(memoryWarning(config, { machine: { total: 4 * GB, available: 0.1 * GB } })!, /lower train\.batchSize/);
});
