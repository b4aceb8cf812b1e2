import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Config, configAt, loadConfig } from '../config/index.ts';
import { advisedEpochs, epochsOf, fewerEpochs, type Sequences, stepsOf } from './epochs.ts';

const configOf = (steps: number, ...sets: string[]) =>
  loadConfig({ sets: ['model.preset=bert-mini', `train.steps=${steps}`, ...sets] }).config;
const textOf = (count: number): Sequences => ({ train: () => ({ samples: { count } }) });

/** The first step after which the text has been read `epochs` times, step by step. */
function counted(epochs: number, config: Config, texts: Sequences): number {
  let read = 0;
  for (let step = 0; ; step++) {
    if (read > epochs * (1 - 1e-9)) return step;
    read += configAt(config, step).train.batchSize / texts.train(step).samples.count;
  }
}

test('steps are epochs × sequences / batch size, rounded up, and epochs lead back', () => {
  const config = configOf(1e9, 'train.batchSize=128');
  assert.equal(stepsOf(20, config, textOf(3492)), 546); // 545.6
  assert.equal(stepsOf(0.1, configOf(1e9, 'train.batchSize=1'), textOf(30)), 3); // 0.1 · 30 is above 3 in floating point
  assert.equal(stepsOf(0.001, config, textOf(10)), 1);
  assert.equal(epochsOf(configOf(20_000, 'train.batchSize=128'), textOf(3492)), (20_000 * 128) / 3492);
});

test('lists of batch sizes and sequence lengths count as they come, as a count step by step', () => {
  const config = configOf(
    1e9,
    'train.batchSize=[[0, 8], [100, 32]]',
    'data.sequenceLength=[[0, 16], [60, 64]]',
    'train.microBatchSize=8',
  );
  const texts: Sequences = { train: (step) => ({ samples: { count: step < 60 ? 400 : 97 } }) };
  for (const epochs of [0.01, 1, 1.2, 3, 4.5, 20]) {
    const steps = stepsOf(epochs, config, texts);
    assert.equal(steps, counted(epochs, config, texts), `${epochs}`);
    const read = epochsOf({ ...config, train: { ...config.train, steps } }, texts);
    assert.ok(read >= epochs * (1 - 1e-9) && read < epochs + 32 / 97, `${epochs}: ${read}`);
  }
});

test('too many epochs are warned of with fewer, which for a small text are more than 20', () => {
  const long = configOf(20_000, 'train.batchSize=128');
  assert.deepEqual(fewerEpochs(long, textOf(3492)), {
    warning:
      '20,000 steps are 733 epochs over your 3,492 sequences: too many; 10 to 40 are usual, and up to 100 for a small text. Try 80 epochs (2,183 steps)',
    epochs: 80,
    steps: 2183,
  });
  assert.deepEqual(
    [100, 4000, 12_800, 1e6].map((count) => advisedEpochs(long, textOf(count))),
    [100, 70, 20, 20],
  );
  assert.match(fewerEpochs(long, textOf(14_000))!.warning, /; 10 to 40 are usual\. Try 20 epochs \(2,188 steps\)$/);
  assert.equal(fewerEpochs(long, textOf(25_600)), undefined); // 100 epochs
});
