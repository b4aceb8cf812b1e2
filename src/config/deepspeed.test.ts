import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../errors/index.ts';
import { learningRate } from '../optimizers/index.ts';
import { fromDeepSpeed } from './deepspeed.ts';
import { loadConfig } from './load.ts';

test("the settings of DeepSpeed's PLD tutorial become a taper config", () => {
  const json = {
    train_batch_size: 4096,
    train_micro_batch_size_per_gpu: 16,
    steps_per_print: 1000,
    prescale_gradients: true,
    optimizer: { type: 'Adam', params: { lr: 1e-3, weight_decay: 0.01, bias_correction: false } },
    gradient_clipping: 1.0,
    fp16: { enabled: true, loss_scale: 0 },
    progressive_layer_drop: { enabled: true, theta: 0.5, gamma: 0.001 },
  };
  const { config, warnings } = fromDeepSpeed(json, 'cuda');
  assert.deepEqual(config, {
    train: {
      batchSize: 4096,
      microBatchSize: 16,
      optimizer: 'adamw',
      peakLearningRate: 1e-3,
      weightDecay: 0.01,
      biasCorrection: false,
      clipNorm: 1,
      precision: 'fp16',
    },
    depth: { method: 'pld', thetaBar: 0.5, gamma: 0.001 },
  });
  assert.deepEqual(warnings, ['DeepSpeed keys that taper ignores: prescale_gradients, fp16.loss_scale']);
  const onCpu = fromDeepSpeed(json, 'cpu');
  assert.equal(onCpu.config.train?.precision, 'bf16');
  assert.equal(onCpu.warnings[1], 'DeepSpeed ran in fp16, which taper supports only on GPUs: on the CPU it uses bf16');
  const sets = ['model.preset=bert-base', 'train.steps=200000', 'train.device=cuda'];
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
    warmupShape: 'log',
    steps: 1000,
    warmupRatio: 0.05,
  });
  assert.deepEqual(warnings, []);
});

test('a warm-up without the number of steps is reported', () => {
  const { config, warnings } = fromDeepSpeed({ scheduler: { type: 'WarmupLR', params: { warmup_num_steps: 50 } } });
  assert.deepEqual(config.train, { schedule: 'constant', warmupShape: 'log' });
  assert.match(
    warnings[0] ?? '',
    /warmup_num_steps 50 cannot be converted, because the file has no number of steps: set train\.warmupRatio to 50/,
  );
});

interface Schedule {
  W: number;
  T: number;
  peak: number;
}

/** The learning rates of DeepSpeed's schedulers at iteration i, by their formulas. */
const deepSpeedRates = {
  log: (i: number, { W, peak }: Schedule) => (peak * Math.log(i + 1)) / Math.log(W),
  linear: (i: number, { W, peak }: Schedule) => (peak * i) / W,
  WarmupLR: (_i: number, { peak }: Schedule) => peak,
  WarmupDecayLR: (i: number, { T, W, peak }: Schedule) => (peak * (T - i)) / (T - W),
  WarmupCosineLR: (i: number, { T, W, peak }: Schedule) =>
    peak * (0.0001 + (0.9999 * (1 + Math.cos((Math.PI * (i - W + 1)) / (T - W)))) / 2),
};

for (const type of ['WarmupLR', 'WarmupDecayLR', 'WarmupCosineLR'] as const) {
  test(`the learning rates of ${type} are those of its formula, logarithmic in the warm-up unless it says linear`, () => {
    for (const [W, T] of [
      [49, 1000],
      [7, 100],
      [1000, 30_000],
    ] as const) {
      for (const warmup of [undefined, 'log', 'linear'] as const) {
        const peak = 2e-3;
        const { config } = fromDeepSpeed({
          optimizer: { type: 'AdamW', params: { lr: peak } },
          scheduler: {
            type,
            params: {
              warmup_num_steps: W,
              total_num_steps: T,
              ...(type !== 'WarmupCosineLR' && { warmup_max_lr: peak }),
              ...(warmup && { warmup_type: warmup }),
            },
          },
        });
        const { train } = loadConfig({ overrides: config, sets: ['model.preset=bert-mini'] }).config;
        const rate = learningRate(train);
        for (let t = 0; t < T; t += t < W ? 1 : 97) {
          const phase = t < W ? (warmup ?? 'log') : type;
          const shift = { log: 0, linear: 1, WarmupLR: 0, WarmupDecayLR: 0, WarmupCosineLR: -1 }[phase];
          const expected = deepSpeedRates[phase](t + shift, { T, W, peak });
          const most = phase === 'WarmupCosineLR' ? 1.01e-4 * peak : 1e-12;
          assert.ok(
            Math.abs(rate(t) - expected) < most,
            `W ${W}, ${warmup}, step ${t}: ${rate(t)}, expected ${expected}`,
          );
        }
      }
    }
  });
}

test("a scheduler's missing keys have DeepSpeed's defaults, and keys that taper lacks are named", () => {
  const of = (type: string, params: object) =>
    fromDeepSpeed({ optimizer: { type: 'Adam', params: { lr: 5e-4 } }, scheduler: { type, params } });
  const decay = of('WarmupDecayLR', { total_num_steps: 4000 });
  assert.deepEqual([decay.config.train?.warmupRatio, decay.config.train?.peakLearningRate], [0.25, 0.001]);
  assert.match(
    decay.warnings[0] ?? '',
    /WarmupDecayLR without warmup_max_lr peaks at 0\.001, not at optimizer\.params\.lr 0\.0005/,
  );
  const constant = of('WarmupLR', { warmup_min_lr: 1e-5, warmup_num_steps: 10 });
  assert.equal(constant.config.train?.peakLearningRate, 5e-4);
  assert.match(constant.warnings.join('\n'), /warmup_min_lr 0\.00001 is ignored: taper's warm-up starts at 0/);
  const cosine = of('WarmupCosineLR', {
    total_num_steps: 100,
    warmup_num_steps: 10,
    cos_min_ratio: 0.1,
    warmup_min_ratio: 0.2,
  });
  assert.equal(cosine.config.train?.peakLearningRate, 5e-4);
  assert.match(
    cosine.warnings.join('\n'),
    /warmup_min_ratio 0\.2 .*\n.*cos_min_ratio 0\.1 is ignored: set train\.finalLearningRate instead/,
  );
  // Hugging Face's Trainer fills in what is "auto": that is not DeepSpeed's default.
  const auto = of('WarmupDecayLR', { total_num_steps: 'auto', warmup_num_steps: 'auto', warmup_max_lr: 'auto' });
  assert.deepEqual(auto.config.train, {
    optimizer: 'adamw',
    peakLearningRate: 5e-4,
    schedule: 'linear',
    warmupShape: 'log',
  });
});

test('precision is left open by "auto", float32 where both are off, and refused where both are on', () => {
  const precision = (bf16: unknown, fp16: unknown, device = 'cuda') =>
    fromDeepSpeed({ bf16: { enabled: bf16 }, fp16: { enabled: fp16 } }, device).config.train?.precision;
  assert.equal(precision('auto', 'auto'), undefined);
  assert.equal(precision(false, 'auto'), undefined);
  assert.equal(precision(false, false), 'fp32');
  assert.equal(precision(true, false), 'bf16');
  assert.equal(precision('auto', true), 'fp16');
  assert.equal(precision(false, true, 'cpu'), 'bf16');
  assert.throws(
    () => precision(true, true),
    /^ConfigError: DeepSpeed config: fp16\.enabled and bf16\.enabled are both true/,
  );
});

test("an Adam that adds the decay to the gradient is reported as different from taper's", () => {
  const of = (params: object) => fromDeepSpeed({ optimizer: { type: 'Adam', params } }).warnings.join();
  assert.match(of({ adam_w_mode: false, weight_decay: 0.1 }), /adam_w_mode false adds weight decay to the gradient/);
  assert.equal(of({ adam_w_mode: true, weight_decay: 0.1 }), '');
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

test('whatever taper cannot take over is reported', () => {
  const { config, warnings } = fromDeepSpeed({
    train_batch_size: 'auto',
    optimizer: { type: 'OneBitAdam', params: { lr: 'auto', freeze_step: 100 } },
    scheduler: { type: 'OneCycle' },
    zero_optimization: { stage: 2 },
  });
  assert.deepEqual(config, { train: { optimizer: 'adamw' } });
  assert.deepEqual(warnings, [
    'DeepSpeed keys set to "auto" use taper\'s defaults: train_batch_size, optimizer.params.lr',
    'DeepSpeed keys that taper ignores: zero_optimization, optimizer.params.freeze_step',
    "DeepSpeed's optimizer.type OneBitAdam is not supported: adamw is used; set train.optimizer to use another",
    "DeepSpeed's scheduler.type OneCycle is not supported: set train.schedule and train.warmupRatio",
  ]);
});

test('a value of the wrong type is named', () => {
  assert.throws(
    () => fromDeepSpeed({ optimizer: { type: 'Adam', params: { lr: 'fast' } } }),
    (error: unknown) => error instanceof ConfigError && /optimizer\.params\.lr: .*number/.test(error.message),
  );
  assert.throws(() => fromDeepSpeed([1]), /DeepSpeed config: the file: .*object/);
});
