// What every depth method has to keep to, on a model in training.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadOptimizer, loadWeights, openCheckpoint, saveCheckpoint } from '../checkpoints/index.ts';
import type { PartialConfig } from '../config/index.ts';
import { drawGates, granularities, openShare } from '../depth/index.ts';
import { evaluate } from '../inference/index.ts';
import { namesOf } from '../keys/index.ts';
import { pretrainingLosses } from '../model/index.ts';
import { scope } from '../tensor/index.ts';
import { type TrainingState, trainingState } from './state.ts';
import { trainStep } from './step.ts';
import { joined, snapshot, tinyBatch, tinyConfig, tinyState } from './tiny.fixture.ts';

const totalSteps = 12;
const methods: Record<string, NonNullable<PartialConfig['depth']>> = {
  dense: { method: 'dense' },
  pld: { method: 'pld' },
  'pld with uniform rates': { method: 'pld', profile: 'uniform' },
  "pld with DeepSpeed's scale": { method: 'pld', profile: 'deepspeed' },
  constant: { method: 'constant' },
  layerdrop: { method: 'layerdrop' },
  'time-only': { method: 'time-only' },
  fade: { method: 'fade', thetaBar: 0.1 },
  staged: { method: 'staged', stages: [2.5, 3.5, 4], denseWarmupRatio: 0.1 },
  shallow: { method: 'shallow', blocks: 2 },
  grow: { method: 'grow', growBlocks: [1, 2, 4], growAt: [4, 6], newMoments: 'copy' },
};

/** Those that leave blocks out altogether. */
const hasNoBlocks = new Set(['shallow', 'grow']);

const folder = mkdtempSync(join(tmpdir(), 'taper-depth-'));
after(() => rmSync(folder, { recursive: true }));

const batchesAt = (step: number, seed = 0) => [
  joined(tinyBatch(seed + 2 * step), tinyBatch(seed + 2 * step + 1, [5, 8])),
  joined(tinyBatch(seed + 500 + step), tinyBatch(seed + 600 + step)),
];

for (const [name, depth] of Object.entries(methods)) {
  for (const granularity of namesOf(granularities)) {
    // The gates themselves are tested with them; two methods show that a run keeps to them.
    if (granularity === 'exact' && name !== 'pld' && name !== 'staged') continue;
    const scoped = (what: string, body: () => void) =>
      test(`${name}, a gate a ${granularity}: ${what}`, () => scope(body));
    const config = tinyConfig({
      model: { layers: 4, dropout: 0.1, attentionDropout: 0.1 },
      depth: { ...depth, granularity },
      train: { steps: totalSteps, batchSize: 8, microBatchSize: 4 },
    });
    const { seed } = config.train;
    /** Steps `from` to `to`; what each did. */
    const train = (state: TrainingState, from: number, to: number, dataSeed = 0) =>
      Array.from({ length: to - from }, (_, i) => trainStep(state, from + i, batchesAt(from + i, dataSeed)));

    scoped('keep rates are in (0, 1] and scales finite, at the first and last step and beyond', () => {
      const { depth: method } = tinyState(config);
      for (const step of [0, 1, totalSteps - 1, totalSteps, 10 * totalSteps]) {
        const { theta, keepRates, branchScales } = method(step);
        assert.ok(theta > 0 && theta <= 1);
        assert.deepEqual([keepRates.length, branchScales.length], [4, 4]);
        for (const rate of keepRates)
          assert.ok((rate > 0 || hasNoBlocks.has(name)) && rate >= 0 && rate <= 1, `${rate}`);
        for (const scale of branchScales) assert.ok(scale >= 1 && Number.isFinite(scale), `${scale}`);
      }
    });

    scoped('a run that is resumed in the middle is bit-equal', () => {
      const whole = tinyState(config);
      const expected = train(whole, 0, 8).slice(4);
      const half = tinyState(config);
      train(half, 0, 4);
      const progress = { step: 4, samples: 32, tokens: 1, nonFiniteSteps: 0, textHash: '' };
      const { masters: weights, optimizer } = half;
      const saved = saveCheckpoint(folder, { config, progress, weights, optimizer, tokenizerJson: '{}' });
      const checkpoint = openCheckpoint(saved, assert.fail);
      const resumed = trainingState(config, loadWeights(checkpoint, config.model, 'cpu'), {
        optimizer: loadOptimizer(checkpoint, 'cpu'),
      });
      assert.deepEqual(train(resumed, 4, 8), expected);
      assert.deepEqual(snapshot(resumed), snapshot(whole));
    });

    scoped('ranks with other texts run the same blocks', () => {
      const ranOn = (dataSeed: number) =>
        train(tinyState(config), 0, 6, dataSeed).map(({ depth, updatedBlocks, keepRates }) => [
          depth,
          updatedBlocks,
          keepRates,
        ]);
      assert.deepEqual(ranOn(0), ranOn(10_000));
    });

    scoped('evaluation runs every block, unscaled and without dropout', () => {
      const state = tinyState(config);
      train(state, 0, 6);
      const batch = batchesAt(50)[0]!;
      const everyBlock = { gates: [true, true, true, true], branchScales: [1, 1, 1, 1] };
      const { tokenSum, nspSum } = pretrainingLosses(state.model, batch, 'cpu', everyBlock);
      const { tokenLoss, loss } = evaluate(state.model, [batch], 'cpu');
      assert.equal(tokenLoss, tokenSum.item() / batch.predictedPositions.length);
      assert.equal(loss, tokenLoss + nspSum!.item() / batch.numSequences);
    });

    scoped('the depth that FLOPs are counted from is the gates as they were drawn, and so are the updates', () => {
      const state = tinyState(config);
      for (let step = 0; step < totalSteps; step++) {
        const { keepRates } = state.depth(step);
        const gates = [0, 1].map((microBatch) =>
          drawGates({ seed, step, microBatch, keepRates, granularity, sequences: 4 }),
        );
        const before = snapshot(state);
        const { depth, updatedBlocks } = trainStep(state, step, batchesAt(step));
        const after = snapshot(state);
        const changed = [0, 1, 2, 3].filter((l) => {
          const query = `bert.encoder.layer.${l}.attention.self.query.weight`;
          return JSON.stringify(after.get(query)) !== JSON.stringify(before.get(query));
        });
        const expected = [0, 1, 2, 3].filter((l) => gates.some((drawn) => drawn[l] !== false));
        assert.deepEqual(changed, expected);
        assert.equal(updatedBlocks, expected.length);
        const sum = gates.flat().reduce((total, gate) => total + openShare(gate, 4), 0);
        assert.ok(Math.abs(depth - sum / 2) < 1e-12, `${depth} is not ${sum / 2}`);
      }
    });
  }
}
