import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Config, configAt, lastConfig, loadConfig, phasesOf } from './index.ts';
import { byPhase, countedInTurn, greatestDivisor, longestSequence, valuesOf } from './phases.ts';

function loaded(...sets: string[]): Config {
  return loadConfig({ overrides: { model: { preset: 'bert-tiny' }, train: { steps: 10 } }, sets }).config;
}

const valuesAt = ({ data, train }: Config) => [train.batchSize, data.sequenceLength, data.maskRate];

test('each value is that of the last pair whose step has come', () => {
  const config = loaded(
    'train.batchSize=[[0, 8], [4, 12]]',
    'data.sequenceLength=[[0, 16], [6, 32]]',
    'data.maskRate=[[0, 0.3], [4, 0.15], [8, 0.1]]',
  );
  const found = Array.from({ length: 10 }, (_, step) => valuesAt(configAt(config, step)));
  assert.deepEqual(found, [
    ...new Array(4).fill([8, 16, 0.3]),
    ...new Array(2).fill([12, 16, 0.15]),
    ...new Array(2).fill([12, 32, 0.15]),
    ...new Array(2).fill([12, 32, 0.1]),
  ]);
  assert.deepEqual(valuesAt(lastConfig(config)), [12, 32, 0.1]);
  assert.deepEqual(
    phasesOf(config).map(({ first, steps, config: own }) => [first, steps, ...valuesAt(own)]),
    [
      [0, 4, 8, 16, 0.3],
      [4, 2, 12, 16, 0.15],
      [6, 2, 12, 32, 0.15],
      [8, 2, 12, 32, 0.1],
    ],
  );
  assert.equal(config.train.microBatchSize, 4); // divides 8 and 12
});

test('one value is one phase, and what begins after the last step is none', () => {
  assert.deepEqual(
    phasesOf(loaded()).map(({ first, steps }) => [first, steps]),
    [[0, 10]],
  );
  const config = loaded('train.batchSize=[[0, 8], [10, 12]]');
  assert.deepEqual(
    phasesOf(config).map(({ first, steps }) => [first, steps]),
    [[0, 10]],
  );
  assert.equal(lastConfig(config).train.batchSize, 12); // a resumed run is evaluated as before
});

test('numbers in turn, in words, and what divides them', () => {
  assert.equal(countedInTurn([1], 'sequence'), '1 sequence');
  assert.equal(countedInTurn([1024], 'token'), '1,024 tokens');
  assert.equal(countedInTurn([16, 32, 32], 'sequence'), '16, then 32 sequences');
  assert.equal(countedInTurn([16, 32, 64, 128], 'sequence'), '16, … 128 sequences');
  assert.deepEqual(valuesOf(7), [7]);
  assert.equal(greatestDivisor([48, 36, 60]), 12);
});

test('what a step needs of a configuration is made once for each phase', () => {
  const made: number[] = [];
  const sizeAt = byPhase(loaded('train.batchSize=[[0, 8], [4, 12]]'), ({ train }) => {
    made.push(train.batchSize);
    return train.batchSize;
  });
  assert.deepEqual([0, 3, 4, 9, 12].map(sizeAt), [8, 8, 12, 12, 12]);
  assert.deepEqual(made, [8, 12]);
});

test('a model saw the sequences of the phases that it came to', () => {
  const config = loaded('data.sequenceLength=[[0, 32], [4, 64], [8, 16]]');
  assert.deepEqual(
    [0, 1, 4, 5, 8, 10].map((steps) => longestSequence(config, steps)),
    [32, 32, 32, 64, 64, 64],
  );
});

test('a list of one value is that value, and one that comes too late is warned of', () => {
  assert.equal(loaded('train.batchSize=[[0, 8]]').train.batchSize, 8);
  const warningsOf = (...sets: string[]) =>
    loadConfig({ overrides: { model: { preset: 'bert-tiny' }, train: { steps: 10 } }, sets }).warnings;
  assert.deepEqual(warningsOf('data.maskRate=[[0, 0.3], [9, 0.15]]'), []);
  assert.deepEqual(warningsOf('data.maskRate=[[0, 0.3], [10, 0.15]]'), [
    'train.steps: the run ends at step 10, but a value of batchSize, sequenceLength or maskRate starts at step 10; that value is never used',
  ]);
  assert.deepEqual(warningsOf('train.batchSize=[[0, 25], [5, 64]]'), [
    'train.microBatchSize: 1 sequence per pass, the greatest common divisor of batchSize, is slow; use batch sizes with a larger common divisor',
  ]);
});

test('a list that does not ascend from step 0 is refused in one line', () => {
  const expected =
    /^train\.batchSize: .* is not an integer ≥ 1, or \[step, integer\] pairs with ascending steps, the first 0; the default is 32$/;
  for (const value of [
    '[[5, 16]]',
    '[[0, 16], [0, 32]]',
    '[[0, 16], [9, 32], [4, 64]]',
    '[]',
    '[[0]]',
    '[16, 32]',
    '[[0, 0]]',
    '[[0, 1.5]]',
    '[[-1, 4]]',
  ])
    assert.throws(() => loaded(`train.batchSize=${value}`), { name: 'ConfigError', message: expected }, value);
  assert.throws(
    () => loaded('data.maskRate=[[0, 0.3], [5, 1.5]]'),
    /^ConfigError: data\.maskRate: \[\[0,0\.3\],\[5,1\.5\]\] is not a number in \(0, 1\), or \[step, number\] pairs with ascending steps, the first 0/,
  );
  assert.throws(
    () => loaded('data.sequenceLength=[[0, 64], [5, 1024]]'),
    /^ConfigError: data\.sequenceLength: 1024 is above model\.maxPositions 512/,
  );
  assert.throws(
    () => loaded('train.batchSize=[[0, 8], [5, 12]]', 'train.microBatchSize=8'),
    /^ConfigError: train\.microBatchSize: 8 does not divide train\.batchSize 12/,
  );
});
