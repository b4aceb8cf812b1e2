import { resolve } from 'node:path';
import { Command } from 'commander';
import { DataError } from '../errors/index.ts';
import { table } from '../report/format.ts';
import type { Comparison, RunRecord } from '../report/index.ts';
import { jsonOption } from './config.ts';
import { writeFiles } from './files.ts';
import { numberOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface CompareOptions {
  loss?: number;
  out?: string;
  json?: boolean;
}

/** `taper-lm compare`: what several runs reached, and what it took them. */
export function compareCommand(): Command {
  return new Command('compare')
    .description('lay runs side by side: loss at equal samples, FLOPs and time, and what it took to reach one loss')
    .argument('<run...>', 'folders of runs; the first is what the others are measured against')
    .option(
      '--loss <nats>',
      'the loss that all are to reach (default: the highest of their last)',
      numberOf('--loss', { above: 0 }),
    )
    .option('--out <dir>', 'write the curves and the numbers there: SVG and JSON')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm compare runs/dense runs/pld --out comparison')
    .action(run);
}

async function run(paths: string[], options: CompareOptions): Promise<void> {
  const { comparisonNote, comparisonTables, compareRuns, readRun } = await import('../report/index.ts');
  if (paths.length < 2) throw new DataError(`${paths[0]}: one run has nothing to be compared with; give two or more`);
  const twice = paths.find((path, i) => paths.slice(0, i).some((before) => resolve(before) === resolve(path)));
  if (twice !== undefined) throw new DataError(`${twice}: is given twice; give each run once`);
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
