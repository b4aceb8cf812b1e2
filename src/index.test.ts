import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from './errors/index.ts';
import { depth, fillMasks, loadConfig, openTrained, pretrain, setNumThreads } from './index.ts';

test('the library trains a model and uses it, as its doc comment shows', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-library-'));
  try {
    setNumThreads(1);
    writeFileSync(join(folder, 'text.txt'), 'The cat sees the dog in the old garden. '.repeat(100));
    const { config } = loadConfig({
      overrides: {
        model: { layers: 2, hiddenSize: 32, heads: 2, vocabSize: 60, maxPositions: 16 },
        data: { train: [join(folder, 'text.txt')], cache: join(folder, 'cache'), sequenceLength: 16 },
        train: { steps: 2, batchSize: 4, threads: 1 },
      },
    });
    const { checkpoint, step } = await pretrain(config, { out: join(folder, 'run') });
    assert.equal(step, 2);
    assert.ok(existsSync(join(checkpoint, 'model.safetensors')));

    const model = openTrained(checkpoint, { warn: assert.fail, device: 'cpu' });
    const { masks } = await fillMasks(model, 'The [MASK] sees.', 3);
    assert.equal(masks[0]?.length, 3);
    await assert.rejects(fillMasks(model, 'No mask.', 3), UserError);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the parts of the method stand alone under their own name', () => {
  const method = depth.pld({ layers: 12, thetaBar: 0.5, gamma: '100/T', profile: 'linear', totalSteps: 1000 });
  assert.ok(Math.abs(depth.expectedDepth(method(999).keepRates) - 8.75) < 1e-9);
});
