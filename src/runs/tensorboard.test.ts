// cspell:ignore käse
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { OutputError } from '../errors/index.ts';
import type { EvalMetrics, StepMetrics } from './fields.ts';
import { openSink } from './sink.ts';
import { crc32c, type Event, eventFiles, readEvents, shownValues } from './tensorboard.fixture.ts';
import { tensorBoard } from './tensorboard.ts';

const root = mkdtempSync(join(tmpdir(), 'taper-events-'));
after(() => rmSync(root, { recursive: true }));
const newFolder = () => join(mkdtempSync(join(root, 'run-')), 'events');

const step = (n: number, other: Partial<StepMetrics> = {}): StepMetrics => ({
  type: 'step',
  step: n,
  samples: 4 * n,
  tokens: 100 * n,
  loss: 7.25,
  mlmLoss: 6.5,
  nspLoss: 0.75,
  learningRate: 1e-3,
  gradientNorm: 1.5,
  theta: 0.875,
  keepRates: [1, 0.95, 0.9, 0.52, 0.5],
  expectedDepth: 3.87,
  depth: 3.5,
  stepSeconds: 0.5,
  dataSeconds: 0.001,
  tokensPerSecond: 200,
  flops: 6e9,
  denseFlops: 8e9,
  peakMemoryBytes: 2 ** 27,
  ...other,
});
const evaluation: EvalMetrics = {
  type: 'eval',
  step: 0,
  split: 'valid',
  loss: 7,
  mlmLoss: 6,
  mlmAccuracy: 0.25,
  perplexity: 403.5,
  tokens: 64,
};

/** The sink that writes to the folder `events` of a run with this number of steps. */
function openEvents(folder: string, { step, steps }: { step: number; steps: number }) {
  const { config } = loadConfig({ overrides: { model: { preset: 'bert-tiny' }, train: { steps: 10 } } });
  const sink = openSink(tensorBoard(), {
    out: dirname(folder),
    config: { ...config, train: { ...config.train, steps } },
    step,
  });
  return {
    metrics: (line: StepMetrics | EvalMetrics) => void sink.metrics(line),
    [Symbol.dispose]: () => sink.close?.(),
  };
}

/** The events of the only file of a folder, without those that begin it: version, start, and the configuration. */
const eventsOf = (folder: string): Event[] => {
  const [file, ...others] = eventFiles(folder);
  assert.equal(others.length, 0);
  return readEvents(file!).slice(3);
};
const scalarsOf = (event: Event | undefined) =>
  Object.fromEntries(
    event!.summary!.value.flatMap(({ tag, simpleValue }) => (simpleValue === undefined ? [] : [[tag, simpleValue]])),
  );

test('the reader of these tests has the checksums of RFC 3720', () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});

test('a file has the name by which TensorBoard finds it, and begins with its version and a START', () => {
  const folder = newFolder();
  const before = Date.now() / 1000;
  openEvents(folder, { step: -1, steps: 10 })[Symbol.dispose]();
  const [file] = eventFiles(folder);
  const [, seconds] = /^events\.out\.tfevents\.(\d{10})\./.exec(basename(file!))!;
  assert.ok(basename(file!).endsWith(`.${seconds}.${hostname()}.${process.pid}`));
  assert.ok(Math.abs(Number(seconds) - before) < 60);
  const events = readEvents(file!);
  for (const { wallTime } of events) assert.ok(wallTime >= before && wallTime <= Date.now() / 1000);
  assert.deepEqual(
    events.slice(0, 2).map(({ wallTime: _, ...event }) => event),
    [
      { step: 0, fileVersion: 'brain.Event:2' },
      { step: 0, sessionLog: { status: 'START' } },
    ],
  );
});

test('a step is its scalars and the histogram of its keep rates', () => {
  const folder = newFolder();
  using events = openEvents(folder, { step: -1, steps: 10 });
  events.metrics(step(1));
  const [event, ...others] = eventsOf(folder);
  assert.equal(others.length, 0);
  assert.equal(event!.step, 1);
  assert.deepEqual(scalarsOf(event), {
    'train/loss': 7.25,
    'train/mlmLoss': 6.5,
    'train/nspLoss': 0.75,
    'train/learningRate': Math.fround(1e-3),
    'train/gradientNorm': 1.5,
    'depth/theta': 0.875,
    'depth/expected': Math.fround(3.87),
    'depth/run': 3.5,
    'speed/tokensPerSecond': 200,
    'speed/stepSeconds': 0.5,
    'cost/flopsSaved': 0.25,
    'memory/peakBytes': 2 ** 27,
  });
  const { tag, histo } = event!.summary!.value.at(-1)!;
  assert.equal(tag, 'depth/keepRates');
  const { min, max, num, bucketLimit, bucket, sum, sumSquares } = histo!;
  assert.deepEqual({ min, max, num }, { min: 0.5, max: 1, num: 5 });
  assert.ok(Math.abs(sum - 3.87) < 1e-12);
  assert.ok(Math.abs(sumSquares - 3.2329) < 1e-12);
  const limits = [0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1];
  assert.equal(bucketLimit.length, limits.length);
  for (const [i, limit] of limits.entries()) assert.ok(Math.abs(bucketLimit[i]! - limit) < 1e-12);
  assert.deepEqual(bucket, [2, 0, 0, 0, 0, 0, 0, 0, 1, 2], '0.5 and 0.52, then 0.9, then 0.95 and 1');
});

test('no bucket of a histogram runs backwards where TensorBoard lets the first begin at min and the last end at max', () => {
  const folder = newFolder();
  using events = openEvents(folder, { step: -1, steps: 10 });
  const cases = [[1, 1, 1], [0, 0.3, 1], [0.74, 0.12], [0.5], [0]];
  for (const [i, keepRates] of cases.entries()) events.metrics(step(i + 1, { keepRates }));
  for (const [i, { value }] of shownValues(folder, 'depth/keepRates').entries()) {
    const { min, max, bucketLimit, bucket } = value.histo!;
    const edges = [min, ...bucketLimit.slice(0, -1), max];
    assert.deepEqual([min, max], [Math.min(...cases[i]!), Math.max(...cases[i]!)]);
    assert.deepEqual(
      edges,
      edges.toSorted((a, b) => a - b),
    );
    const total = bucket.reduce((sum, count) => sum + count);
    assert.equal(total, cases[i]!.length);
  }
});

test('savings are counted over all steps since the file was opened', () => {
  const folder = newFolder();
  using events = openEvents(folder, { step: 20, steps: 30 });
  events.metrics(step(21, { flops: 8e9 }));
  events.metrics(step(22, { flops: 4e9 }));
  events.metrics(step(23, { flops: 0, denseFlops: 16e9 }));
  const saved = shownValues(folder, 'cost/flopsSaved').map(({ value }) => value.simpleValue);
  assert.deepEqual(saved, [0, 0.25, 0.625]);
});

test('an evaluation is its numbers under valid/, and with each objective only those that it has', () => {
  const folder = newFolder();
  using events = openEvents(folder, { step: -1, steps: 10 });
  events.metrics(evaluation);
  const { mlmLoss: _, mlmAccuracy: __, ...shared } = evaluation;
  events.metrics({ ...shared, step: 4, clmLoss: 5, clmAccuracy: 0.5 });
  const [mlm, clm] = eventsOf(folder);
  assert.deepEqual([mlm!.step, clm!.step], [0, 4]);
  const both = { 'valid/loss': 7, 'valid/perplexity': 403.5 };
  assert.deepEqual(scalarsOf(mlm), { ...both, 'valid/mlmLoss': 6, 'valid/mlmAccuracy': 0.25 });
  assert.deepEqual(scalarsOf(clm), { ...both, 'valid/clmLoss': 5, 'valid/clmAccuracy': 0.5 });
});

test('numbers that are not finite, and steps beyond 32 bits, stay what they are', () => {
  const folder = newFolder();
  using events = openEvents(folder, { step: -1, steps: 2 ** 40 });
  events.metrics(step(2 ** 40, { loss: Number.NaN, gradientNorm: Number.POSITIVE_INFINITY }));
  const [event] = eventsOf(folder);
  assert.equal(event!.step, 2 ** 40);
  const { 'train/loss': loss, 'train/gradientNorm': norm } = scalarsOf(event);
  assert.deepEqual([loss, norm], [Number.NaN, Number.POSITIVE_INFINITY]);
});

test('a text is a string without dimensions for the text plugin', () => {
  const folder = newFolder();
  using events = openEvents(folder, { step: -1, steps: 10 });
  const gap = { before: 'The ', right: 'Käse', after: ' 🧀 sat.' };
  const guesses = (text: string) => [{ text, probability: 0.5 }];
  const examples = [
    { ...gap, guesses: guesses('Käse') },
    { ...gap, guesses: guesses('cat') },
  ];
  events.metrics({ ...evaluation, step: 3, examples });
  const [event] = eventsOf(folder);
  assert.equal(event!.step, 3);
  assert.deepEqual(event!.summary!.value.at(-1), {
    tag: 'valid/examples',
    metadata: { pluginData: { pluginName: 'text' }, dataClass: 'DATA_CLASS_TENSOR' },
    tensor: {
      dtype: 'DT_STRING',
      tensorShape: {},
      stringVal: [Buffer.from('The **Käse** 🧀 sat.\n\nThe Käse (*cat*) 🧀 sat.')],
    },
  });
});

test('of a run of 25,001 steps every third is written, and the last; evaluations always', () => {
  const folder = newFolder();
  const steps = 25_001;
  using events = openEvents(folder, { step: -1, steps });
  for (let n = 1; n <= steps; n++) events.metrics(step(n));
  for (const n of [0, 1, 2]) events.metrics({ ...evaluation, step: n });
  const written = shownValues(folder, 'train/loss').map((shown) => shown.step);
  const multiples = Array.from({ length: Math.floor(steps / 3) }, (_, i) => 3 * (i + 1));
  assert.deepEqual(written, [...multiples, steps]);
  assert.equal(shownValues(folder, 'valid/loss').length, 3);
  const bytesPerStep = statSync(eventFiles(folder)[0]!).size / written.length;
  assert.ok(bytesPerStep < 1000, `${bytesPerStep} bytes per step`);
});

test('a resumed run drops what was logged after its checkpoint, and a new run drops everything', () => {
  const folder = newFolder();
  const write = (last: number, lines: StepMetrics[]) => {
    using events = openEvents(folder, { step: last, steps: 10 });
    for (const line of lines) events.metrics(line);
  };
  const losses = () => shownValues(folder, 'train/loss').map((shown) => [shown.step, shown.value.simpleValue]);
  write(-1, [step(1, { loss: 9 }), step(2, { loss: 8 }), step(3, { loss: 7 }), step(4, { loss: 6 })]);
  write(2, [step(3, { loss: 5 })]);
  assert.deepEqual(losses(), [
    [1, 9],
    [2, 8],
    [3, 5],
  ]);
  write(-1, [step(1, { loss: 4 })]);
  assert.deepEqual(losses(), [[1, 4]]);
  assert.equal(eventFiles(folder).length, 3);
});

test('a new file is read after all others, be they of the same second or of a clock that was ahead', () => {
  const folder = newFolder();
  const ahead = `events.out.tfevents.${Math.floor(Date.now() / 1000) + 9000}.elsewhere.1`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, ahead), '');
  for (let n = 1; n <= 3; n++) {
    using events = openEvents(folder, { step: n, steps: 10 });
    events.metrics(step(n));
  }
  const [first, ...others] = eventFiles(folder);
  assert.equal(basename(first!), ahead);
  assert.deepEqual(
    others.map((file) => readEvents(file).at(-1)!.step),
    [1, 2, 3],
  );
});

test('what cannot be written is an OutputError', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  assert.throws(() => openEvents(join(file, 'events'), { step: -1, steps: 10 }), OutputError);
  const events = openEvents(newFolder(), { step: -1, steps: 10 });
  events[Symbol.dispose]();
  assert.throws(() => events.metrics(step(1)), OutputError);
});
