import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMetrics } from '../src/runs/index.ts';
import { runCommand } from './programs.ts';
import { table, writeResults } from './report.ts';

const shownSteps = [1, 200, 1000, 2000];

/** Whether memory is flat: the resident peak of a bert-mini run along its steps, the text being prepared before. */
export function memory(paths: readonly string[]): void {
  if (paths.length === 0) throw new Error('give the corpus: npm run bench -- memory my/texts');
  const folder = mkdtempSync(join(tmpdir(), 'taper-bench-'));
  const settings = [
    ...[`data.cache=${join(folder, 'cache')}`, 'train.steps=2000', 'train.batchSize=8', 'train.microBatchSize=4'],
    ...['train.evalEvery=100', 'train.saveEvery=200', 'train.evalSamples=64'],
  ];
  const inputs = ['configs/bert-mini.yaml', '--data', ...paths, '--set', ...settings];
  try {
    runCommand(['data', 'prepare', ...inputs]);
    runCommand(['pretrain', '--out', join(folder, 'run'), ...inputs]);
    const steps = readMetrics(join(folder, 'run', 'metrics.jsonl')).filter((line) => line.type === 'step');
    const peaks = shownSteps.map((step) => steps[step - 1]!.peakMemoryBytes / 1e6);
    const rows = [['step', 'peak resident, MB'], ...shownSteps.map((step, i) => [step, peaks[i]!.toFixed(0)])];
    const growth = (100 * (peaks.at(-1)! / peaks[1]! - 1)).toFixed(1);
    const text = `bert-mini, 2,000 steps of 8 sequences in two micro-batches, evaluated every 100 and saved every 200, on
${paths.length} files of text. From step 200 to step 2,000 the peak grows by ${growth} %.

${table(rows)}`;
    writeResults('memory', 'Memory of a long run', 'npm run bench -- memory FILES', text);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
