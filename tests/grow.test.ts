// A model that grows while it trains, as a whole run: what it is before and after, and that stopping at any step changes nothing.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkpointPath, loadWeights, openCheckpoint } from '../src/checkpoints/index.ts';
import { loadConfig, type PartialConfig, pretrain } from '../src/index.ts';
import { familyOf, type ModelConfig, modelInputs } from '../src/model/index.ts';
import { scope } from '../src/tensor/index.ts';
import { tinyBatch } from '../src/train/tiny.fixture.ts';
import { linesOf } from './cli.fixture.ts';

const text = fileURLToPath(new URL('../../tests/golden/text.txt', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-grow-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const steps = 6;
const sizes = { layers: 4, hiddenSize: 16, heads: 2, ffnSize: 32, vocabSize: 300, maxPositions: 32, dropout: 0.1 };
const configOf = (model: PartialConfig['model'], depth: PartialConfig['depth'], train: PartialConfig['train'] = {}) =>
  loadConfig({
    overrides: {
      model: { ...sizes, ...model },
      depth: { method: 'grow', growBlocks: [1, 2, 4], growAt: [2, 4], ...depth },
      data: { train: [text], validFraction: 0.2, sequenceLength: 32, cache: join(folder, 'cache') },
      train: {
        ...{ steps, batchSize: 8, microBatchSize: 4, device: 'cpu', threads: 1, peakLearningRate: 1e-2 },
        ...{ evalEvery: 1, saveEvery: 1, keepCheckpoints: steps + 1, ...train },
      },
    },
  }).config;

const filesOf = (run: string) =>
  ['model.safetensors', 'optimizer.safetensors'].map((file) =>
    readFileSync(join(checkpointPath(run, steps), file)).toString('base64'),
  );

const cases: Record<string, [PartialConfig['model'], PartialConfig['depth'], PartialConfig['train']]> = {
  'copies with moments, Muon, bfloat16': [{}, { newMoments: 'copy' }, { optimizer: 'muon', precision: 'bf16' }],
  'copies without, LAMB': [{ kind: 'llama' }, {}, { optimizer: 'lamb' }],
  'identities, AdamW': [{ kind: 'modernbert', window: 8 }, { newBlocks: 'identity' }, {}],
  'blocks of the seed, none at first': [{ kind: 'gpt2' }, { newBlocks: 'random', growBlocks: [0, 2, 4] }, {}],
};

for (const [name, [model, depth, train]] of Object.entries(cases)) {
  describe(`growing by ${name}`, () => {
    const config = configOf(model, depth, train);
    const whole = join(folder, name);
    const small = config.depth.growBlocks![0]!;

    test('a run that is resumed before, at or after a growth ends bit for bit as an uninterrupted one', async () => {
      await pretrain(config, { out: whole });
      for (const stop of [1, 2, 3]) {
        const out = `${whole} from ${stop}`;
        cpSync(whole, out, { recursive: true });
        for (let step = stop + 1; step <= steps; step++) rmSync(checkpointPath(out, step), { recursive: true });
        await pretrain(config, { out, resume: true });
        assert.deepEqual(filesOf(out), filesOf(whole), `stopped after step ${stop}`);
      }
    });

    test('before it grows, a checkpoint computes what a model with its number of blocks does', () =>
      scope(() => {
        const { model } = config;
        assert.equal(differenceOf(whole, 2, model, small), 0);
        assert.ok(differenceOf(whole, 3, model, small) > 0);
      }));

    test('blocks that do not exist yet are not run, not updated and not counted', () => {
      const lines = linesOf(whole).filter(({ type }) => type === 'step');
      const [, second, last] = config.depth.growBlocks!;
      assert.deepEqual(
        lines.map((line) => line.depth),
        [small, small, second, second, last, last],
      );
      assert.deepEqual(
        lines.map((line) => line.expectedDepth),
        lines.map((line) => line.depth),
      );
      assert.ok((lines[0]!.flops as number) < (lines[5]!.flops as number));
      assert.equal(lines[5]!.flops, lines[5]!.denseFlops);
      const { updates } = openCheckpoint(checkpointPath(whole, 4), assert.fail);
      const ofTop = Object.entries(updates).filter(([name]) =>
        name.startsWith(familyOf(config.model).blockPrefix(config.model, 3)),
      );
      assert.ok(ofTop.length > 0 && ofTop.every(([, count]) => count === 0));
    });
  });
}

/** How far the residual stream of a checkpoint is from that of only its lowest blocks. */
function differenceOf(run: string, step: number, model: ModelConfig, blocks: number): number {
  const weights = loadWeights(openCheckpoint(checkpointPath(run, step), assert.fail), model, 'cpu');
  const inputs = modelInputs(tinyBatch(1), 'cpu');
  const streamOf = (layers: number) =>
    familyOf(model)
      .create({ ...model, layers }, weights)
      .residualStream(inputs)
      .at(-1)!;
  return streamOf(model.layers).add(streamOf(blocks), -1).norm().item();
}
