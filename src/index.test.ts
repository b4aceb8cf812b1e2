import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { UserError } from './errors/index.ts';
import {
  type DepthMethod,
  depth,
  fillMasks,
  jsonl,
  loadConfig,
  type Metrics,
  openTrained,
  pretrain,
  type Sink,
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

test('a program trains with its own depth method, documents and sink, stops it, and resumes bit for bit', async () => {
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
      /was trained on a program's samples garden, but now/,
    );
    await assert.rejects(
      pretrain(config, { ...again, samples: samples('garden', 'A hen. ') }),
      /the texts differ from those/,
    );
    await assert.rejects(pretrain(config, { out, resume: true, samples: samples('garden') }), /depth\.method/);
    const stored = loadConfig({ file: join(out, 'config.json') }).config;
    await assert.rejects(
      pretrain(stored, { out, resume: true, samples: samples('garden') }),
      /pass it as pretrain\(config, \{ depth \}\)/,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('a program that is wrong, or wants more than one run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-wrong-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const { config } = loadConfig({
    overrides: {
      model: { layers: 2, hiddenSize: 32, heads: 2, vocabSize: 60, maxPositions: 16 },
      data: { cache: join(folder, 'cache'), sequenceLength: 16 },
      train: { steps: 3, batchSize: 4, threads: 1, evalEvery: 0, saveEvery: 0 },
    },
  });
  const samples = {
    name: 'garden',
    *[Symbol.iterator]() {
      for (let i = 0; i < 100; i++) yield 'The cat sees the dog in the old garden. ';
    },
  };
  let runs = 0;
  const newRun = () => ({ out: join(folder, `run-${runs++}`), samples, sinks: [] });

  test('a run frees its tensors, and so does a model that was opened', async () => {
    const before = tensor.liveTensors();
    const { checkpoint } = await pretrain(config, newRun());
    assert.equal(tensor.liveTensors(), before);
    const fails = () => {
      throw new Error('full');
    };
    await assert.rejects(pretrain(config, { ...newRun(), sinks: [fails] }), /^Error: full$/);
    assert.equal(tensor.liveTensors(), before);
    openTrained(checkpoint, { warn: assert.fail, device: 'cpu' })[Symbol.dispose]();
    assert.equal(tensor.liveTensors(), before);
  });

  test('what a depth method says wrongly is a ConfigError that names the step', async () => {
    const good = { theta: 1, keepRates: [1, 0.5], branchScales: [1, 2] };
    const wrong: [answer: unknown, message: RegExp][] = [
      [
        { ...good, keepRates: [1] },
        /^depth: step 0: keepRates has 1 entries, but the model has 2 blocks; return \{ theta/,
      ],
      [{ ...good, keepRates: [1, Number.NaN] }, /keepRates\[1\] is NaN/],
      [{ ...good, keepRates: [1, 1.5] }, /keepRates\[1\] is 1\.5/],
      [{ ...good, keepRates: ['1', 1] }, /keepRates\[0\] is 1;/],
      [{ ...good, keepRates: Float32Array.of(1, 1) }, /keepRates is not an array/],
      [{ ...good, branchScales: [1] }, /branchScales has 1 entries/],
      [{ ...good, branchScales: undefined }, /branchScales is not an array/],
      [{ ...good, theta: undefined }, /theta is undefined/],
      [{ ...good, newBlocks: 1 }, /newBlocks is not an array/],
      [{ ...good, newBlocks: [{ block: 1, copyOf: 2 }] }, /newBlocks names block 2/],
      [undefined, /the function returned undefined/],
      [Promise.resolve(good), /theta is undefined/],
    ];
    for (const [answer, message] of wrong) {
      const depth = (() => answer) as unknown as DepthMethod;
      await assert.rejects(pretrain(config, { ...newRun(), depth }), { name: 'ConfigError', message });
    }
    const late = (step: number) => (step < 2 ? good : { ...good, keepRates: [] });
    await assert.rejects(pretrain(config, { ...newRun(), depth: late }), /depth: step 2: keepRates has 0 entries/);
    const throws = () => {
      throw new Error('no idea');
    };
    await assert.rejects(
      pretrain(config, { ...newRun(), depth: throws }),
      /depth: step 0: the function threw: no idea/,
    );
  });

  test('a block whose keep rate is 0 at the first step keeps its weights', async () => {
    const alternating = (step: number) => ({ theta: 1, keepRates: [1, step % 2], branchScales: [1, 1] });
    const { checkpoint } = await pretrain(config, { ...newRun(), depth: alternating });
    using trained = openTrained(checkpoint, { warn: assert.fail, device: 'cpu' });
    const last = trained.model.weights.get('bert.encoder.layer.1.output.dense.weight')!;
    assert.ok(last.norm().item() > 0.05);
  });

  test('two runs of one process cannot have one folder, a sink may be async, and one whose close throws leaves no lock', async () => {
    const one = newRun();
    await pretrain(config, { ...one, signal: AbortSignal.abort('at once') }).catch(() => {});
    assert.ok(!existsSync(one.out), 'stopped before anything was written');
    const heard: number[] = [];
    const slow = async ({ step }: Metrics) => {
      await setTimeout(5);
      heard.push(step);
    };
    const longer = { ...config, train: { ...config.train, steps: 8, saveEvery: 1 } };
    const first = pretrain(longer, { ...one, sinks: [slow] });
    while (heard.length < 3) await setTimeout(5);
    await assert.rejects(pretrain(longer, { ...one, resume: true }), /process \d+ is training this run/);
    assert.equal((await first).step, 8);
    assert.deepEqual(heard, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8].slice(0, heard.length));

    const closes = { open: () => ({ metrics: () => {}, close: () => assert.fail('cannot close') }) };
    const other = newRun();
    await assert.rejects(pretrain(config, { ...other, sinks: [jsonl(), closes] }), /cannot close/);
    assert.ok(!existsSync(join(other.out, 'lock')));
    const opens = { open: async () => ({ metrics: () => {} }) } as unknown as Sink;
    await assert.rejects(
      pretrain(config, { ...newRun(), sinks: [opens] }),
      /^ConfigError: sinks: open\(run\) did not return/,
    );
  });

  test('a configuration that a program has changed is checked again', async () => {
    const { train } = config;
    const changed = { ...config, train: { ...train, batchSize: train.microBatchSize! / 2 } };
    await assert.rejects(pretrain(changed, newRun()), /^ConfigError: train\.microBatchSize/);
  });

  test('texts that a program replaces are not read for the sentences that a run shows', async () => {
    const lost = { ...config, data: { ...config.data, train: ['no/such/text'], valid: [] } };
    const { samples: _, ...run } = newRun();
    const warnings: string[] = [];
    const report = { note: () => {}, warn: (text: string) => void warnings.push(text) };
    await pretrain(lost, { ...run, samples, report });
    assert.deepEqual(warnings, []);
  });

  test('a run whose texts are gone at an evaluation shows its sentences as tokens, with a warning', async () => {
    const text = join(folder, 'garden.txt');
    writeFileSync(text, 'The cat sees the dog in the old garden. '.repeat(200));
    const { out } = newRun();
    const { data, train } = config;
    const own = (steps: number) => ({
      ...config,
      model: { ...config.model, maxPositions: 64, vocabSize: 120 },
      data: { ...data, train: [text], sequenceLength: 64 },
      train: { ...train, steps, evalEvery: steps },
    });
    await pretrain(own(2), { out });
    const warnings: string[] = [];
    const report = { note: () => {}, warn: (line: string) => void warnings.push(line) };
    const loses = { open: () => ({ metrics: () => rmSync(text, { force: true }) }) };
    const { step } = await pretrain(own(4), { out, resume: true, report, sinks: [loses] });
    assert.equal(step, 4);
    assert.match(warnings.join('\n'), /held-out sentences are shown as the model reads them: .*garden\.txt/);
  });

  test('invalid samples are a ConfigError', async () => {
    for (const wrong of [['text'], 'text', { name: 'mine' }, samples[Symbol.iterator]()]) {
      const options = { ...newRun(), samples: wrong as unknown as typeof samples };
      await assert.rejects(pretrain(config, options), /^ConfigError: samples: not an iterable with a name/);
    }
  });
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

test('the parts of the method are exported under their own names', () => {
  const method = depth.pld({ layers: 12, thetaBar: 0.5, gamma: '100/T', profile: 'linear', totalSteps: 1000 });
  assert.ok(Math.abs(depth.expectedDepth(method(999).keepRates) - 8.75) < 1e-9);
});
