import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from './errors/index.ts';
import {
  depth,
  fillMasks,
  loadConfig,
  type Metrics,
  openTrained,
  pretrain,
  type StepMetrics,
  tensor,
} from './index.ts';

test('the library trains a model and uses it, as its doc comment shows', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-library-'));
  try {
    tensor.setNumThreads(1);
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

test('a program trains with its own depth method, documents and sink, stops it, and goes on bit for bit', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-own-'));
  try {
    tensor.setNumThreads(1);
    const { config } = loadConfig({
      overrides: {
        model: { layers: 2, hiddenSize: 32, heads: 2, vocabSize: 60, maxPositions: 16, dropout: 0 },
        data: { cache: join(folder, 'cache'), sequenceLength: 16 },
        train: { steps: 6, batchSize: 4, threads: 1, evalEvery: 0 },
      },
    });
    const alternating = (step: number) => ({
      theta: 1,
      keepRates: [1, step % 2],
      branchScales: [1, 1],
    });
    const samples = (name: string, sentence = 'The cat sees the dog in the old garden. ') => ({
      name,
      async *[Symbol.asyncIterator]() {
        for (let i = 0; i < 100; i++) yield sentence.repeat(1 + (i % 3));
      },
    });
    const losses = async (out: string, stopAt?: number) => {
      const heard: StepMetrics[] = [];
      const controller = new AbortController();
      const hear = (line: Metrics) => {
        if (line.type === 'step') heard.push(line);
        if (line.step === stopAt) controller.abort(new Error('enough'));
      };
      const options = { out: join(folder, out), depth: alternating, sinks: [hear], signal: controller.signal };
      const resume = existsSync(options.out);
      const result = await pretrain(config, { ...options, samples: samples('garden'), resume });
      return { heard, result };
    };
    const whole = await losses('whole');
    assert.deepEqual(
      whole.heard.map(({ depth }) => depth),
      [1, 2, 1, 2, 1, 2],
    );
    const first = await losses('parts', 3);
    assert.deepEqual([first.result.step, first.result.stoppedBy], [3, 'enough']);
    const rest = await losses('parts');
    const numbers = (lines: readonly StepMetrics[]) => lines.map(({ loss, gradientNorm }) => [loss, gradientNorm]);
    assert.deepEqual(numbers([...first.heard, ...rest.heard]), numbers(whole.heard));

    const out = join(folder, 'parts');
    assert.ok(!existsSync(join(out, 'metrics.jsonl')), 'nobody asked for it');
    assert.equal(loadConfig({ file: join(out, 'config.json') }).config.depth.method, 'own');
    const again = { out, resume: true, depth: alternating };
    await assert.rejects(
      pretrain(config, { ...again, samples: samples('meadow') }),
      /was trained on a program's samples garden, and now/,
    );
    await assert.rejects(
      pretrain(config, { ...again, samples: samples('garden', 'A hen. ') }),
      /the texts are not those/,
    );
    await assert.rejects(pretrain(config, { out, resume: true, samples: samples('garden') }), /depth\.method/);
    const stored = loadConfig({ file: join(out, 'config.json') }).config;
    await assert.rejects(
      pretrain(stored, { out, resume: true, samples: samples('garden') }),
      /pass it: pretrain\(config, \{ depth \}\)/,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('importing the library loads no libtorch, and changes neither the environment nor who hears signals', () => {
  const program = `
    const environment = JSON.stringify(process.env);
    const { depth, loadConfig, report } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)});
    loadConfig({ overrides: { model: { preset: 'bert-tiny' }, train: { steps: 10 } } });
    depth.dense(3)(0);
    if (typeof report.lineChart !== 'function') throw new Error('no report');
    const changed = JSON.stringify(process.env) !== environment;
    console.log(JSON.stringify([changed, process.listenerCount('SIGINT') + process.listenerCount('SIGTERM')]));`;
  const environment = { ...process.env, TAPER_ADDON: '/nowhere/taper.node' };
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { env: environment });
  assert.deepEqual(JSON.parse(output.toString()), [false, 0]);
});

test('the parts of the method stand alone under their own name', () => {
  const method = depth.pld({ layers: 12, thetaBar: 0.5, gamma: '100/T', profile: 'linear', totalSteps: 1000 });
  assert.ok(Math.abs(depth.expectedDepth(method(999).keepRates) - 8.75) < 1e-9);
});
