import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Config, configAt, lastConfig, loadConfig, stagesOf } from './index.ts';
import { greatestDivisor, inWords, valuesOf } from './stages.ts';

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
    stagesOf(config).map(({ first, steps, config: own }) => [first, steps, ...valuesAt(own)]),
    [
      [0, 4, 8, 16, 0.3],
      [4, 2, 12, 16, 0.15],
      [6, 2, 12, 32, 0.15],
      [8, 2, 12, 32, 0.1],
    ],
  );
  assert.equal(config.train.microBatchSize, 4); // divides 8 and 12
});

test('one value is one stage, and what begins after the last step is none', () => {
  assert.deepEqual(
    stagesOf(loaded()).map(({ first, steps }) => [first, steps]),
    [[0, 10]],
  );
  const config = loaded('train.batchSize=[[0, 8], [10, 12]]');
  assert.deepEqual(
    stagesOf(config).map(({ first, steps }) => [first, steps]),
    [[0, 10]],
  );
  assert.equal(lastConfig(config).train.batchSize, 8);
});

test('the values of a run, in words and what divides them', () => {
  assert.equal(inWords(1024), '1,024');
  assert.equal(
    inWords([
      [0, 16],
      [5, 32],
    ]),
    '16, then 32',
  );
  assert.deepEqual(
    valuesOf([
      [0, 16],
      [5, 32],
    ]),
    [16, 32],
  );
  assert.equal(greatestDivisor([48, 36, 60]), 12);
});

test('what is no list of ascending steps from 0 is refused in one line', () => {
  const expected =
    /^train\.batchSize: .* is not an integer ≥ 1, or \[step, integer\] pairs from step 0 on; the default is 32$/;
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
    /^ConfigError: data\.maskRate: \[\[0,0\.3\],\[5,1\.5\]\] is not a number in \(0, 1\), or \[step, number\] pairs from step 0 on/,
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
