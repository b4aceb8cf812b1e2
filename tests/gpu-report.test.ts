import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gpuReport } from '../bench/gpu-report.ts';

// Machines that test have no GPU: the report on one is made of the CPU, on a model so small that a step takes milliseconds.

test('the report on a GPU grows with each part of what is measured, and says what is not met', () => {
  const sizes = {
    device: 'cpu',
    layers: 2,
    hidden: 64,
    seq: 8,
    vocab: 300,
    microBatches: [4, 2] as const,
    presets: ['ettin-17m'],
    steps: 1,
  };
  const check = { name: 'attention, float32', found: 2e-6, most: 4e-5, isMet: true };
  const reports = [...gpuReport([check, { ...check, name: 'gelu, float32', found: 1, isMet: false }], sizes)];
  assert.equal(reports.length, 4);
  const { text, isMet } = reports.at(-1)!;
  assert.equal(isMet, false);
  assert.match(text, /operations in float32, forward and backward \| 2 \| 1\.0 \| 0\.00004 \| NOT: gelu, float32/);
  assert.match(text, /2 comparisons with the CPU, exact resume among them \| NOT met/);
  assert.match(text, /\n\| 4 \| \d+ \|.*\n\| 2 \| \d+ \|/); // a row for each micro-batch
  assert.match(text, /\n\| ettin-17m \| \d+ \|/);
  assert.match(text, /at θ = 0\.5 a step takes at least 22 % less time/);
  assert.doesNotMatch(reports[0]!.text, /\n\| ettin-17m/);
});
