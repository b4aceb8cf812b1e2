import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { DataError } from '../errors/index.ts';
import type { EvalMetrics, Metrics, StepMetrics } from './fields.ts';
import { lastMetrics, readMetrics } from './read.ts';
import { jsonl, type OpenSink, openSink } from './sink.ts';

const { config } = loadConfig({ overrides: { model: { preset: 'bert-tiny' }, train: { steps: 10 } } });
const folder = mkdtempSync(join(tmpdir(), 'taper-metrics-'));
const file = join(folder, 'metrics.jsonl');
after(() => rmSync(folder, { recursive: true }));
beforeEach(() => rmSync(file, { force: true }));

/** The sink, as a run that resumes after a step opens it. */
const open = (step: number): OpenSink => openSink(jsonl(), { out: folder, config, step });
const append = (...lines: Metrics[]) => lines.forEach(open(Number.POSITIVE_INFINITY).metrics);

const step = (n: number): StepMetrics => ({
  type: 'step',
  step: n,
  samples: 4 * n,
  tokens: 100 * n,
  loss: 7.25,
  mlmLoss: 6.5,
  nspLoss: 0.75,
  learningRate: 1e-3,
  gradientNorm: 1.5,
  theta: 0.9,
  keepRates: [0.95, 0.9],
  expectedDepth: 1.85,
  depth: 2,
  stepSeconds: 0.5,
  dataSeconds: 0.001,
  tokensPerSecond: 200,
  flops: 1e9,
  denseFlops: 1e9,
  peakMemoryBytes: 1e8,
});
const evaluation = (n: number): EvalMetrics => ({
  type: 'eval',
  step: n,
  split: 'valid',
  loss: 7,
  mlmLoss: 6,
  mlmAccuracy: 0.25,
  perplexity: 403.43,
  tokens: 64,
});

test('appended records are read back, one per line with its type first', () => {
  const all = [evaluation(0), step(1), step(2), evaluation(2)];
  append(...all);
  assert.deepEqual(readMetrics(file), all);
  const lines = readFileSync(file, 'utf8').split('\n');
  assert.equal(lines.length, 5);
  assert.ok(lines[0]!.startsWith('{"type":"eval","step":0,'));
  assert.equal(lines[4], '');
});

test('a missing file has no lines, and opening it makes none', () => {
  assert.deepEqual(readMetrics(file), []);
  open(3);
  assert.equal(existsSync(file), false);
});

test('a number that is not finite is written as null', () => {
  append({ ...step(1), loss: Number.NaN, gradientNorm: Number.POSITIVE_INFINITY, applied: false });
  const [found] = readMetrics(file);
  assert.deepEqual(found, { ...step(1), loss: null, gradientNorm: null, applied: false });
});

test('a truncated last line is left out, for any place of the cut', () => {
  append(step(1));
  const whole = readFileSync(file, 'utf8');
  append(step(2));
  const both = readFileSync(file, 'utf8');
  for (let size = whole.length; size < both.length; size += 7) {
    writeFileSync(file, both.slice(0, size));
    assert.deepEqual(readMetrics(file), [step(1)], `${size} characters`);
  }
});

test('a broken line in the middle is a DataError that names its number', () => {
  append(step(1));
  appendFileSync(file, '{"type":"step",\n');
  appendFileSync(file, `${JSON.stringify(step(2))}\n`);
  assert.throws(
    () => readMetrics(file),
    (error: Error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, /metrics\.jsonl:2: neither a step nor an evaluation; delete the line/);
      return true;
    },
  );
});

test('truncating drops steps and evaluations after the checkpoint, and half a line, so that a run can resume', () => {
  for (const metrics of [evaluation(0), step(1), evaluation(1), step(2), evaluation(2), step(3)]) {
    append(metrics);
  }
  appendFileSync(file, '{"type":"step","step":4,"sam');
  open(2);
  const kept = [evaluation(0), step(1), evaluation(1), step(2), evaluation(2)];
  assert.deepEqual(readMetrics(file), kept);
  append(step(3));
  assert.deepEqual(readMetrics(file), [...kept, step(3)]);
  open(-1);
  assert.equal(readFileSync(file, 'utf8'), '');
});

test('the end of a file is read from its end: the last steps, the newest first, and the last evaluation before them', () => {
  append(evaluation(0), step(1), evaluation(1), step(2), step(3));
  appendFileSync(file, 'broken\n{"type":"step","step":4,"sam');
  assert.deepEqual(lastMetrics(file, 2), { steps: [step(3), step(2)], evaluation: evaluation(1) });
});

test('an evaluation is found before the first part that is read from the end', () => {
  writeFileSync(file, `${JSON.stringify(evaluation(0))}\n${`${JSON.stringify(step(1))}\n`.repeat(1000)}`);
  assert.deepEqual(lastMetrics(file, 1), { steps: [step(1)], evaluation: evaluation(0) });
});
