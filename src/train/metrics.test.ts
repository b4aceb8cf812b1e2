import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { DataError } from '../errors/index.ts';
import { appendMetrics, type EvalMetrics, readMetrics, type StepMetrics, truncateMetrics } from './metrics.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-metrics-'));
const file = join(folder, 'metrics.jsonl');
after(() => rmSync(folder, { recursive: true }));
beforeEach(() => rmSync(file, { force: true }));

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

test('what is appended is read back, a line each with its type first', () => {
  const all = [evaluation(0), step(1), step(2), evaluation(2)];
  for (const metrics of all) appendMetrics(file, metrics);
  assert.deepEqual(readMetrics(file), all);
  const lines = readFileSync(file, 'utf8').split('\n');
  assert.equal(lines.length, 5);
  assert.ok(lines[0]!.startsWith('{"type":"eval","step":0,'));
  assert.equal(lines[4], '');
});

test('a file that is not there has no lines, and truncating it makes none', () => {
  assert.deepEqual(readMetrics(file), []);
  truncateMetrics(file, 3);
  assert.equal(existsSync(file), false);
});

test('a number that is not finite is written as null', () => {
  appendMetrics(file, { ...step(1), loss: Number.NaN, gradientNorm: Number.POSITIVE_INFINITY, applied: false });
  const [found] = readMetrics(file);
  assert.deepEqual(found, { ...step(1), loss: null, gradientNorm: null, applied: false });
});

test('a last line that was cut short is left out, wherever it was cut', () => {
  appendMetrics(file, step(1));
  const whole = readFileSync(file, 'utf8');
  appendMetrics(file, step(2));
  const both = readFileSync(file, 'utf8');
  for (let size = whole.length; size < both.length; size += 7) {
    writeFileSync(file, both.slice(0, size));
    assert.deepEqual(readMetrics(file), [step(1)], `${size} characters`);
  }
});

test('a broken line in the middle is a DataError that names its number', () => {
  appendMetrics(file, step(1));
  appendFileSync(file, '{"type":"step",\n');
  appendMetrics(file, step(2));
  assert.throws(
    () => readMetrics(file),
    (error: Error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, /metrics\.jsonl:2: not a line of JSON/);
      return true;
    },
  );
});

test('truncating drops steps and evaluations after the checkpoint, and half a line, so that a run can go on', () => {
  for (const metrics of [evaluation(0), step(1), evaluation(1), step(2), evaluation(2), step(3)]) {
    appendMetrics(file, metrics);
  }
  appendFileSync(file, '{"type":"step","step":4,"sam');
  truncateMetrics(file, 2);
  const kept = [evaluation(0), step(1), evaluation(1), step(2), evaluation(2)];
  assert.deepEqual(readMetrics(file), kept);
  appendMetrics(file, step(3));
  assert.deepEqual(readMetrics(file), [...kept, step(3)]);
  truncateMetrics(file, -1);
  assert.equal(readFileSync(file, 'utf8'), '');
});
