import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig, type PartialConfig } from '../config/index.ts';
import { DataError } from '../errors/index.ts';
import { compareRuns } from './compare.ts';
import type { RunRecord } from './run-record.ts';

/** A run with evaluations every 100 steps: samples = 10·step, FLOPs = flopsPerStep·step, seconds = FLOPs / 4. */
function record(name: string, losses: number[], flopsPerStep = 8, overrides: PartialConfig = {}): RunRecord {
  const train = { steps: 1000, precision: 'fp32' as const, ...overrides.train };
  const { config } = loadConfig({ overrides: { model: { preset: 'bert-tiny' }, ...overrides, train } });
  const evaluations = losses.map((loss, i) => {
    const flops = 100 * i * flopsPerStep;
    return { step: 100 * i, samples: 1000 * i, flops, seconds: flops / 4, depthSum: 200 * i, loss };
  });
  return { name, config, textHash: 'texts', tokenizerHash: 'pieces', evaluations };
}

const near = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) < 1e-9, `${found} is not ${expected}`);

test('losses are compared where every run has spent the same, interpolated linearly between evaluations', () => {
  const { equal, runs } = compareRuns([record('dense', [9, 7, 5, 4], 8), record('pld', [9, 6, 5], 6)]);
  assert.deepEqual(equal, { samples: 2000, flops: 1200, seconds: 300 });
  assert.deepEqual(runs[0]!.lossAtEqual, { samples: 5, flops: 6, seconds: 6 }); // 1,200 of 8 a step: step 150
  assert.deepEqual(runs[1]!.lossAtEqual, { samples: 5, flops: 5, seconds: 5 });
});

test('the loss to reach is the highest final one, and is reached where the curve first crosses it', () => {
  const { loss, runs, settings } = compareRuns([
    record('dense', [9, 7, 5, 4], 8),
    record('pld', [9, 6, 5.5, 5], 6, { depth: { method: 'constant' } }),
  ]);
  assert.equal(loss, 5);
  assert.deepEqual(runs[0]!.toLoss, { samples: 2000, flops: 1600, seconds: 400 });
  assert.deepEqual(runs[1]!.toLoss, { samples: 3000, flops: 1800, seconds: 450 });
  near(settings[1]!.speedup!.flops.mean, 1600 / 1800);
  near(settings[1]!.speedup!.samples.mean, 2 / 3);
  assert.deepEqual(settings[0]!.speedup!.seconds, { mean: 1, least: 1, most: 1 });
});

test('a loss between two evaluations is reached between them, and one that is never reached is null', () => {
  const { runs, settings } = compareRuns(
    [record('a', [9, 7, 5, 4]), record('b', [9, 7, 7, 7], 8, { model: { preset: 'bert-mini' } })],
    { loss: 6.5 },
  );
  assert.deepEqual(runs[0]!.toLoss, { samples: 1250, flops: 1000, seconds: 250 });
  assert.equal(runs[1]!.toLoss, null);
  assert.equal(settings[1]!.speedup, null);
});

test('a curve that rises again has reached a loss where it first crossed it', () => {
  const [run] = compareRuns([record('a', [9, 5, 8, 4]), record('b', [9, 8, 7, 6])], { loss: 7 }).runs;
  near(run!.toLoss!.samples, 500);
});

/** The same configuration with the keys of its sections the other way round, as another config file may have them. */
function turned(run: RunRecord): RunRecord {
  const backwards = <T extends object>(section: T) => Object.fromEntries(Object.entries(section).reverse()) as T;
  const { model, depth, data, train } = run.config;
  return { ...run, config: { model: backwards(model), depth: backwards(depth), data, train: backwards(train) } };
}

test('seeds of one setting are put together, with the spread over all pairs', () => {
  const seeds = [1, 2].map((seed) => ({ train: { steps: 1000, seed } }));
  const { settings } = compareRuns([
    record('dense-1', [9, 7, 5], 8, seeds[0]),
    turned(record('dense-2', [9, 8, 5], 8, seeds[1])),
    record('fast-1', [9, 5, 4], 8, { ...seeds[0], depth: { method: 'fade' } }),
    record('fast-2', [9, 6, 5], 8, { ...seeds[1], depth: { method: 'fade' } }),
  ]);
  assert.deepEqual(
    settings.map(({ runs }) => runs),
    [
      ['dense-1', 'dense-2'],
      ['fast-1', 'fast-2'],
    ],
  );
  // Loss 5: both dense runs after 2,000 samples; the fast ones after 1,000 and 2,000.
  const { mean, least, most } = settings[1]!.speedup!.samples;
  near(mean, Math.SQRT2);
  assert.deepEqual([least, most], [1, 2]);
  assert.deepEqual(settings[1]!.finalLoss, { mean: 4.5, least: 4, most: 5 });
});

test('a setting is 1 times as fast as itself, even if its seeds differ', () => {
  const seeds = [1, 2].map((seed) => record(`run-${seed}`, [9, 5 + seed, 5], 8, { train: { steps: 1000, seed } }));
  const { mean, most } = compareRuns(seeds, { loss: 6 }).settings[0]!.speedup!.samples;
  near(mean, 1);
  assert.ok(most > 1);
});

test('what changes nothing does not make another setting, and what changes the time does', () => {
  const numSettings = (a: PartialConfig, b: PartialConfig) =>
    compareRuns([record('a', [9, 5], 8, a), record('b', [9, 5], 8, b)]).settings.length;
  assert.equal(numSettings({ depth: { method: 'dense' } }, { depth: { method: 'dense', thetaBar: 0.7 } }), 1);
  assert.equal(numSettings({ depth: { method: 'pld' } }, { depth: { method: 'pld', thetaBar: 0.7 } }), 2);
  assert.equal(numSettings({}, { depth: { granularity: 'sequence' } }), 2);
  const grow = { method: 'grow' as const, growBlocks: [1, 2], growAt: [7] };
  assert.equal(numSettings({ depth: grow }, { depth: { ...grow, newBlocks: 'identity' } }), 2);
  assert.equal(numSettings({ depth: { method: 'pld' } }, { depth: { method: 'pld', scale: 'none' } }), 2);
  assert.equal(numSettings({}, { train: { steps: 1000, threads: 2 } }), 2);
});

test('a run that ended above where it began is not waited for, and a loss to begin with is none to reach', () => {
  const base = record('dense', [9, 7, 5]);
  const diverged = record('diverged', [9, 8, 11], 8, { train: { steps: 1000, peakLearningRate: 1 } });
  const { loss, runs, settings } = compareRuns([base, diverged]);
  assert.equal(loss, 5);
  assert.equal(runs[1]!.toLoss, null);
  near(settings[0]!.speedup!.samples.mean, 1);
  const nothing = (...args: Parameters<typeof compareRuns>) =>
    assert.throws(() => compareRuns(...args), /below 9\.000, the lowest loss at the start of a run; /);
  nothing([base, base], { loss: 99 });
  nothing([diverged, diverged]);
});

test('runs on other texts, tokenizers and evaluations are refused, with the reason', () => {
  const base = record('runs/a', [9, 7]);
  const refused = (other: RunRecord, reason: RegExp) =>
    assert.throws(
      () => compareRuns([base, other]),
      (error) => error instanceof DataError && reason.test(error.message),
    );
  refused(
    { ...base, name: 'runs/b', textHash: 'others' },
    /^runs\/b: its texts differ from those of runs\/a; train both on/,
  );
  refused(
    { ...base, name: 'runs/b', tokenizerHash: 'other' },
    /^runs\/b: its tokenizer differs from that of runs\/a, /,
  );
  for (const [overrides, key] of [
    [{ data: { maskRate: 0.4 } }, 'data.maskRate 0.4, runs/a with 0.15'],
    [{ data: { objective: 'mlm' } }, 'data.objective mlm, runs/a with mlm+nsp'],
    [{ data: { sequenceLength: 64 } }, 'data.sequenceLength 64, runs/a with 128'],
    [{ data: { wholeWord: true } }, 'data.wholeWord true, runs/a with false'],
    [{ train: { steps: 1000, evalSamples: 64 } }, 'train.evalSamples 64, runs/a with 512'],
    [{ data: { validFraction: 0.5 } }, 'data.validFraction 0.5, runs/a with 0.05'],
  ] as const) {
    refused(
      record('runs/b', [9, 7], 8, overrides),
      new RegExp(`^runs/b: was evaluated with ${key.replace('+', '\\+')}; train both`),
    );
  }
  const [plain, packed] = (['none', 'documents'] as const).map((packing) =>
    record(packing, [9, 7], 8, { data: { objective: 'mlm', packing } }),
  );
  assert.throws(
    () => compareRuns([plain!, packed!]),
    /documents: was evaluated with data\.packing documents, none with none/,
  );
});

test('no runs cannot be compared', () => {
  assert.throws(
    () => compareRuns([], { loss: 3 }),
    (error) => error instanceof DataError && error.message === 'no runs to compare; give at least one',
  );
});
