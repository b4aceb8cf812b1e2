import { Command } from 'commander';
import { DataError } from '../errors/index.ts';
import { table } from '../report/format.ts';
import type { Comparison, RunRecord } from '../report/index.ts';
import { jsonOption } from './config.ts';
import { checkDistinct, writeFiles } from './files.ts';
import { numberOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface CompareOptions {
  loss?: number;
  out?: string;
  json?: boolean;
}

/** `taper-lm compare`: compares the losses and the costs of several runs. */
export function compareCommand(): Command {
  return new Command('compare')
    .description('compare runs: loss at equal samples, FLOPs and time, and the cost of reaching a given loss')
    .argument('<run...>', 'run folders; the first is the baseline')
    .option('--loss <nats>', 'target loss (default: the highest of the final losses)', numberOf('--loss', { above: 0 }))
    .option('--out <dir>', 'folder for the curves (SVG) and the numbers (JSON)')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm compare runs/dense runs/pld --out comparison')
    .action(run);
}

async function run(paths: string[], options: CompareOptions): Promise<void> {
  const { comparisonNote, comparisonTables, compareRuns, readRun } = await import('../report/index.ts');
  if (paths.length < 2) throw new DataError(`${paths[0]}: one run cannot be compared; give two or more`);
  checkDistinct(paths);
  const records = paths.map((path) => readRun(path, warn));
  const comparison = compareRuns(records, options);
  if (options.out !== undefined) await writeComparison(options.out, records, comparison);
  const tables = comparisonTables(comparison).map(({ title, rows }) => `${title}:\n${table(rows)}`);
  process.stdout.write(options.json ? `${JSON.stringify(comparison)}\n` : `${tables.join('\n')}\n${comparisonNote}\n`);
}

async function writeComparison(out: string, records: readonly RunRecord[], comparison: Comparison): Promise<void> {
  const { lossCurves } = await import('../report/index.ts');
  writeFiles(out, { ...lossCurves(records), 'comparison.json': `${JSON.stringify(comparison, null, 2)}\n` });
}
