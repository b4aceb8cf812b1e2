// The losses of twenty steps as they were when the files beside this one were written, on a model and a text of a few kilobytes.
// A change that is to change no number keeps to them; one that is to writes them anew and says why:
//     TAPER_GOLDEN=write npm test -- tests/golden
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Config, loadConfig, type PartialConfig, pretrain } from '../../src/index.ts';
import { readMetrics } from '../../src/runs/index.ts';
import { taper } from '../cli.fixture.ts';

/** Relative. Another libtorch or processor sums in another order. */
const tolerance = 1e-6;
const isWriting = process.env.TAPER_GOLDEN === 'write';

const here = fileURLToPath(new URL('../../../tests/golden', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-golden-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const tiny: PartialConfig = {
  model: { layers: 4, hiddenSize: 16, heads: 2, vocabSize: 300, maxPositions: 32, dropout: 0.1, attentionDropout: 0.1 },
  data: { train: [join(here, 'text.txt')], validFraction: 0.2, sequenceLength: 32, cache: join(folder, 'cache') },
  train: { steps: 20, batchSize: 8, precision: 'fp32', device: 'cpu', threads: 1, evalEvery: 0, saveEvery: 0 },
};
const models: Record<string, PartialConfig> = {
  'bert-mlm+nsp': { model: { kind: 'bert', norm: 'post' }, data: { objective: 'mlm+nsp' } },
  'bert-mlm': {
    model: { kind: 'bert' },
    data: { objective: 'mlm', wholeWord: true },
    train: { outputBias: 'frequencies' },
  },
  'modernbert-mlm': { model: { kind: 'modernbert', window: 8 }, data: { objective: 'mlm', packing: 'documents' } },
  'gpt2-clm': { model: { kind: 'gpt2' }, data: { objective: 'clm' } },
  'llama-clm': { model: { kind: 'llama', keyValueHeads: 1, qkNorm: true }, data: { objective: 'clm' } },
};
const depths: Record<string, NonNullable<PartialConfig['depth']>> = {
  dense: { method: 'dense' },
  pld: { method: 'pld' },
  'pld, a gate a sequence': { method: 'pld', granularity: 'sequence' },
  'pld, as many blocks in each micro-batch': { method: 'pld', granularity: 'exact' },
  "pld, DeepSpeed's scale": { method: 'pld', profile: 'deepspeed' },
  constant: { method: 'constant', profile: 'uniform' },
  layerdrop: { method: 'layerdrop' },
  'time-only': { method: 'time-only' },
  fade: { method: 'fade' },
  staged: { method: 'staged', denseWarmupRatio: 0.1 },
  shallow: { method: 'shallow' },
  grow: { method: 'grow', growBlocks: [1, 2, 4], growAt: [5, 10], newMoments: 'copy' },
};
const trainings: Record<string, PartialConfig> = {
  adamw: {},
  lamb: { train: { optimizer: 'lamb', peakLearningRate: 1e-2, schedule: 'cosine' } },
  muon: {
    train: { optimizer: 'muon', peakLearningRate: 1e-2, schedule: 'wsd', decayRatio: 0.5, finalLearningRate: 1e-3 },
  },
  'no bias correction': { train: { biasCorrection: false, schedule: 'exponential', warmupShape: 'log' } },
  'no dropout': { model: { dropout: 0, attentionDropout: 0 } },
  'two micro-batches': { train: { microBatchSize: 4 } },
};
const withEveryDepth = ['adamw', 'two micro-batches'];
const withEveryTraining = ['dense', 'pld'];

for (const [modelName, model] of Object.entries(models)) {
  describe(modelName, () => {
    const path = join(here, `${modelName}.json`);
    const golden: Record<string, number[]> = isWriting ? {} : JSON.parse(readFileSync(path, 'utf8'));
    for (const [depthName, depth] of Object.entries(depths)) {
      if (['shallow', 'grow'].includes(depthName) && model.model?.norm === 'post') continue; // is refused
      for (const [trainingName, training] of Object.entries(trainings)) {
        if (!withEveryDepth.includes(trainingName) && !withEveryTraining.includes(depthName)) continue;
        const name = `${depthName}; ${trainingName}`;
        test(name, async () => {
          const { run } = await pretrain(configOf(model, { depth }, training), { out: join(folder, modelName, name) });
          const losses = lossesOf(run);
          if (isWriting) golden[name] = losses;
          else assertClose(losses, golden[name]!);
        });
      }
    }
    test('the same on two ranks', async () => {
      const depth = depths['pld, a gate a sequence']!;
      const config = configOf(model, { depth }, trainings['two micro-batches']!, { train: { shardOptimizer: true } });
      writeFileSync(join(folder, 'ranks.json'), JSON.stringify(config));
      const out = join(folder, modelName, 'ranks');
      const { code, stderr } = await taper(['launch', '--processes', '2', 'pretrain', 'ranks.json', '--out', out], {
        cwd: folder,
      });
      assert.equal(code, 0, stderr);
      assertClose(lossesOf(out), golden['pld, a gate a sequence; two micro-batches']!);
    });
    after(() => {
      if (!isWriting) return;
      writeFileSync(path, JSON.stringify(golden));
      execFileSync('npx', ['biome', 'format', '--write', path]);
    });
  });
}

/** The tiny configuration with the sections of the others over it, key by key. */
function configOf(...partials: readonly PartialConfig[]): Config {
  const sections = ['model', 'depth', 'data', 'train'] as const;
  const merged = sections.map((name) => [
    name,
    Object.assign({}, ...[tiny, ...partials].map((partial) => partial[name])),
  ]);
  return loadConfig({ overrides: Object.fromEntries(merged) }).config;
}

function lossesOf(run: string): number[] {
  return readMetrics(join(run, 'metrics.jsonl')).flatMap((line) => (line.type === 'step' ? [line.loss] : []));
}

function assertClose(losses: readonly number[], golden: readonly number[]): void {
  assert.equal(losses.length, golden.length);
  losses.forEach((loss, i) => {
    const difference = Math.abs(loss / golden[i]! - 1);
    assert.ok(difference <= tolerance, `step ${i + 1}: ${loss}, not ${golden[i]}: ${difference}`);
  });
}
