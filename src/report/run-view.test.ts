import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { RunReader } from './run-view.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-run-view-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const { config } = loadConfig({ overrides: { model: { preset: 'bert-tiny' }, train: { steps: 50_000 } } });
writeFileSync(join(folder, 'config.json'), JSON.stringify(config));

const add = (file: string, line: object) => appendFileSync(join(folder, file), `${JSON.stringify(line)}\n`);
const step = (number: number) => ({
  ...{ type: 'step', step: number, samples: 8 * number, tokens: 100 * number, loss: 5, gradientNorm: 1 },
  ...{ keepRates: [1, 0.5], expectedDepth: 1.5, depth: 1, stepSeconds: 2, dataSeconds: 0, flops: 10, denseFlops: 20 },
});
const start = (peakFlops: number, ranks: number) => ({
  ...{ type: 'start', time: '2026-01-01T00:00:00Z', step: 0, command: ['taper'], environment: { peakFlops, ranks } },
});

test('an evaluation has what the steps before it spent, and the peak is that of all ranks of the last start', async () => {
  const reader = new RunReader(folder);
  add('metrics.jsonl', { type: 'eval', step: 0, loss: 9, perplexity: 99, mlmAccuracy: 0 });
  for (const number of [1, 2, 3]) add('metrics.jsonl', step(number));
  add('metrics.jsonl', { type: 'eval', step: 3, loss: 8, perplexity: 88, mlmAccuracy: 0.5 });
  add('log.jsonl', start(7e9, 1));
  await reader.read();
  assert.equal(reader.view().peakFlops, 7e9);
  add('log.jsonl', start(5e9, 4));
  await reader.read();
  const { evaluations, peakFlops, saved } = reader.view();
  assert.equal(peakFlops, 20e9);
  add('log.jsonl', start(1, 4)); // less than the 5 FLOP/s of the steps
  await reader.read();
  assert.equal(reader.view().peakFlops, null);
  assert.deepEqual(
    evaluations.map(({ samples, tokens, flops, seconds }) => [samples, tokens, flops, seconds]),
    [
      [0, 0, 0, 0],
      [24, 300, 30, 6],
    ],
  );
  assert.deepEqual([saved.blockFlops, saved.stepFlops, saved.time], [0.5, 0.5, null]);
});
