import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/index.ts';
import { readMetrics } from '../src/runs/index.ts';
import { estimateMemory } from '../src/train/memory.ts';
import { runCommand } from './programs.ts';
import { table, writeResults } from './report.ts';

const common = [
  'train.steps=4',
  'train.evalEvery=0',
  'train.saveEvery=0',
  'train.evalSamples=8',
  'model.vocabSize=16384',
];
const gpt = [
  'model.kind=gpt2',
  'model.layers=6',
  'model.hiddenSize=384',
  'model.maxPositions=256',
  'data.sequenceLength=256',
];
const shapes = [
  ['model.preset=bert-mini', 'train.batchSize=32', 'train.precision=fp32'],
  ['model.preset=bert-mini', 'train.batchSize=32', 'train.precision=bf16'],
  ['model.preset=bert-mini', 'train.batchSize=1', 'train.precision=bf16', 'depth.method=pld'],
  [
    'model.preset=bert-mini',
    'train.batchSize=64',
    'train.microBatchSize=16',
    'train.precision=bf16',
    'depth.method=pld',
  ],
  ['model.preset=bert-base', 'train.batchSize=8', 'train.microBatchSize=4', 'train.precision=bf16', 'depth.method=pld'],
  ['model.layers=12', 'model.hiddenSize=128', 'train.batchSize=256', 'train.precision=bf16'],
  [
    'model.preset=bert-small',
    'train.batchSize=32',
    'train.precision=bf16',
    'model.norm=post',
    'depth.method=pld',
    'depth.granularity=sequence',
  ],
  [...gpt, 'train.batchSize=16', 'train.precision=bf16'],
  ['model.preset=bert-small', 'train.batchSize=4', 'train.precision=fp32', 'train.optimizer=lamb'],
];

/** What `taper-lm plan` estimates beside the resident peak of four steps. */
export function memoryEstimate(paths: readonly string[]): void {
  if (paths.length === 0) throw new Error('give the corpus: npm run bench -- estimate my/texts');
  const folder = mkdtempSync(join(tmpdir(), 'taper-bench-'));
  try {
    const rows = shapes.map((sets, i) => {
      const out = join(folder, `run-${i}`);
      const all = [...common, ...sets, `data.cache=${join(folder, 'cache')}`];
      runCommand(['pretrain', '--out', out, '--data', ...paths, '--set', ...all]);
      const { config } = loadConfig({ file: join(out, 'config.json') }); // the vocabulary as large as it came out
      const steps = readMetrics(join(out, 'metrics.jsonl')).filter(({ type }) => type === 'step');
      const peak = Math.max(...steps.map((line) => (line.type === 'step' ? line.peakMemoryBytes : 0)));
      const { total } = estimateMemory(config);
      const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
      return [
        `\`${sets.join(' ')}\``,
        config.model.vocabSize,
        megabytes(peak),
        megabytes(total),
        (total / peak).toFixed(2),
      ];
    });
    const head = ['settings', 'vocabulary', 'resident peak, MB', 'estimate, MB', 'estimate / peak'];
    writeResults('memory-estimate', 'Estimated memory', 'npm run bench -- estimate FILES', table([head, ...rows]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
