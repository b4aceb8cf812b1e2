import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepMetrics } from '../runs/index.ts';
import { StepSeries } from './series.ts';

const layers = 3;

function line(step: number): StepMetrics {
  const loss = 5 + Math.sin(step);
  return {
    type: 'step',
    step,
    samples: 4 * step,
    tokens: 100 * step,
    loss,
    mlmLoss: loss,
    learningRate: 1e-3 / step,
    gradientNorm: 1 + (step % 7),
    theta: 0.5,
    keepRates: Array.from({ length: layers }, (_, l) => 1 - (l + 1) / (step + layers)),
    expectedDepth: 2,
    depth: step % 4,
    stepSeconds: 0.5 + (step % 3),
    dataSeconds: 0.1,
    tokensPerSecond: 100 / (0.5 + (step % 3)),
    flops: 10 + (step % 4),
    denseFlops: 14,
    peakMemoryBytes: step,
  };
}

function seriesOf(lines: readonly StepMetrics[]) {
  const series = new StepSeries();
  for (const one of lines) series.add(one);
  return series.columns();
}

const lines = Array.from({ length: 10_000 }, (_, i) => line(i + 1));
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const near = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) <= 1e-9 * Math.abs(expected), `${found} is not ${expected}`);

test('a short run is shown step by step', () => {
  const columns = seriesOf(lines.slice(0, 50));
  assert.deepEqual(
    columns.loss,
    lines.slice(0, 50).map(({ loss }) => loss),
  );
  assert.deepEqual(columns.keepRates[7], lines[7]!.keepRates);
  near(columns.tokensPerSecond[7]!, lines[7]!.tokensPerSecond);
  near(columns.dataShare[7]!, 0.1 / lines[7]!.stepSeconds);
});

test('a long run is shown in some hundred points: sums up to each, means over each, the last step of each', () => {
  const columns = seriesOf(lines);
  const { length } = columns.step;
  assert.ok(length >= 400 && length < 800, `${length} points`);
  assert.equal(columns.step.at(-1), lines.length);
  for (const [i, step] of columns.step.entries()) {
    const from = i === 0 ? 0 : columns.step[i - 1]!;
    const own = lines.slice(from, step);
    near(columns.loss[i]!, sum(own.map(({ loss }) => loss)) / own.length);
    near(columns.depth[i]!, sum(own.map(({ depth }) => depth)) / own.length);
    near(columns.flops[i]!, sum(lines.slice(0, step).map(({ flops }) => flops)));
    near(columns.tokensPerSecond[i]!, (100 * own.length) / sum(own.map(({ stepSeconds }) => stepSeconds)));
    assert.deepEqual(columns.keepRates[i], lines[step - 1]!.keepRates);
    assert.equal(columns.learningRate[i], lines[step - 1]!.learningRate);
  }
});

test('every step but the last point of a long run has its part: points cover as many steps each', () => {
  const { step } = seriesOf(lines);
  const widths = step.map((end, i) => end - (step[i - 1] ?? 0));
  assert.equal(new Set(widths.slice(0, -1)).size, 1);
});

test('a loss that is not a number is left out of the means, and a mean of only such losses is undefined', () => {
  const broken = { ...line(2), loss: null as unknown as number };
  assert.deepEqual(seriesOf([line(1), broken]).loss, [line(1).loss, null]);
  const many = seriesOf([...lines.slice(0, 800), { ...broken, step: 801 }]);
  assert.ok(many.loss.slice(0, -1).every((loss) => loss !== null));
});
