import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromDeepSpeed } from './deepspeed.ts';
import { ConfigError } from './errors.ts';
import { loadConfig } from './load.ts';

test("the settings of DeepSpeed's PLD tutorial become a taper config", () => {
  const { config, warnings } = fromDeepSpeed({
    train_batch_size: 4096,
    train_micro_batch_size_per_gpu: 16,
    steps_per_print: 1000,
    prescale_gradients: true,
    optimizer: { type: 'Adam', params: { lr: 1e-3, weight_decay: 0.01, bias_correction: false } },
    gradient_clipping: 1.0,
    fp16: { enabled: true, loss_scale: 0 },
    progressive_layer_drop: { enabled: true, theta: 0.5, gamma: 0.001 },
  });
  assert.deepEqual(config, {
    train: {
      batchSize: 4096,
      microBatchSize: 16,
      optimizer: 'adamw',
      peakLearningRate: 1e-3,
      weightDecay: 0.01,
      biasCorrection: false,
      clipNorm: 1,
      precision: 'bf16',
    },
    depth: { method: 'pld', thetaBar: 0.5, gamma: 0.001 },
  });
  assert.deepEqual(warnings, [
    'DeepSpeed keys that taper does not use: prescale_gradients, fp16.loss_scale',
    'DeepSpeed ran in fp16: taper uses bf16, which needs no loss scale',
  ]);
  const sets = ['model.preset=bert-base', 'train.steps=200000'];
  assert.equal(loadConfig({ overrides: config, sets }).config.train.microBatchSize, 16);
});

test('a scheduler with its number of steps gives steps, warm-up and schedule', () => {
  const { config, warnings } = fromDeepSpeed({
    optimizer: { type: 'Lamb', params: { lr: 1e-4, betas: [0.9, 0.98], eps: 1e-8 } },
    scheduler: {
      type: 'WarmupDecayLR',
      params: { warmup_max_lr: 2e-3, warmup_num_steps: 50, total_num_steps: 1000 },
    },
  });
  assert.deepEqual(config.train, {
    optimizer: 'lamb',
    peakLearningRate: 2e-3,
    betas: [0.9, 0.98],
    epsilon: 1e-8,
    schedule: 'linear',
    steps: 1000,
    warmupRatio: 0.05,
  });
  assert.deepEqual(warnings, []);
});

test('a warm-up without the number of steps is told to the user', () => {
  const { config, warnings } = fromDeepSpeed({ scheduler: { type: 'WarmupLR', params: { warmup_num_steps: 50 } } });
  assert.deepEqual(config.train, { schedule: 'constant' });
  assert.match(warnings[0] ?? '', /warmup_num_steps 50 needs the number of steps: set train\.warmupRatio to 50/);
});

test('two of the three batch sizes give the third', () => {
  const micro = { train_micro_batch_size_per_gpu: 16, gradient_accumulation_steps: 4 };
  assert.deepEqual(fromDeepSpeed(micro).config.train, { batchSize: 64, microBatchSize: 16 });
  const whole = { train_batch_size: 64, gradient_accumulation_steps: 4 };
  assert.deepEqual(fromDeepSpeed(whole).config.train, { batchSize: 64, microBatchSize: 16 });
});

test('layer dropping that is off is dense, and a theta that is missing is warned of', () => {
  const depthOf = (layerDrop: object | null) => fromDeepSpeed({ progressive_layer_drop: layerDrop });
  assert.deepEqual(depthOf({ enabled: false, theta: 0.5 }).config.depth, { method: 'dense' });
  assert.equal(depthOf(null).config.depth, undefined);
  const { config, warnings } = depthOf({ enabled: true });
  assert.deepEqual(config.depth, { method: 'pld', gamma: 0.001 });
  assert.match(warnings[0] ?? '', /theta is missing/);
});

test('nothing that taper cannot take over is dropped in silence', () => {
  const { config, warnings } = fromDeepSpeed({
    train_batch_size: 'auto',
    optimizer: { type: 'OneBitAdam', params: { lr: 'auto', freeze_step: 100 } },
    scheduler: { type: 'OneCycle' },
    zero_optimization: { stage: 2 },
  });
  assert.deepEqual(config, { train: { optimizer: 'adamw' } });
  assert.deepEqual(warnings, [
    'DeepSpeed keys that are "auto" keep taper\'s defaults: train_batch_size, optimizer.params.lr',
    'DeepSpeed keys that taper does not use: zero_optimization, optimizer.params.freeze_step',
    "DeepSpeed's optimizer.type OneBitAdam is not in taper: adamw is used",
    "DeepSpeed's scheduler.type OneCycle is not taken over: set train.schedule and train.warmupRatio",
  ]);
});

test('a value of the wrong type is named', () => {
  assert.throws(
    () => fromDeepSpeed({ optimizer: { type: 'Adam', params: { lr: 'fast' } } }),
    (error: unknown) => error instanceof ConfigError && /optimizer\.params\.lr: .*number/.test(error.message),
  );
  assert.throws(() => fromDeepSpeed([1]), /DeepSpeed config: the file: .*object/);
});
