import { existsSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { ConfigError, DataError, UserError } from '../errors/index.ts';
import type { Comparison, ReportedRun } from '../report/index.ts';
import { writeFiles } from './files.ts';
import { warn } from './terminal.ts';

/** `taper-lm report`: what runs came to, as one page to send or to print. */
export function reportCommand(): Command {
  return new Command('report')
    .description(
      'write what runs came to, with figures, settings and how they were trained: one HTML file, or Markdown',
    )
    .argument('<run...>', 'folders of runs; several are compared with the first')
    .requiredOption(
      '-o, --out <file>',
      'report.html, which needs nothing else, or report.md, with its figures beside it',
    )
    .addHelpText('after', '\nExample:\n  npx taper-lm report runs/dense runs/pld -o report.html')
    .action(run);
}

async function run(paths: string[], { out }: { out: string }): Promise<void> {
  const kind = extname(out);
  if (kind !== '.html' && kind !== '.md') throw new ConfigError(`--out ${out}: ends neither in .html nor in .md`);
  const twice = paths.find((path, i) => paths.slice(0, i).some((before) => resolve(before) === resolve(path)));
  if (twice !== undefined) throw new DataError(`${twice}: is given twice; give each run once`);
  const { reportHtml, reportOf } = await import('../report/index.ts');
  const runs: ReportedRun[] = [];
  for (const path of paths) runs.push(await readRunView(path));
  const comparison = await comparisonOf(paths);
  if (kind === '.html') {
    writeFiles(dirname(out), { [basename(out)]: reportHtml(reportOf(runs, { comparison })) });
    return;
  }
  const folder = `${basename(out, kind)}-figures`;
  const { markdown, figures } = reportOf(runs, { comparison, folder });
  writeFiles(dirname(out), { [basename(out)]: markdown });
  writeFiles(join(dirname(out), folder), figures);
}

async function readRunView(path: string): Promise<ReportedRun> {
  const { RunReader } = await import('../report/index.ts');
  if (!existsSync(join(path, 'config.json')) || !existsSync(join(path, 'metrics.jsonl'))) {
    throw new DataError(
      `${path}: config.json or metrics.jsonl is missing; give the folder of a run, as --out named it`,
    );
  }
  const reader = new RunReader(path);
  await reader.read();
  const view = reader.view();
  if (view.columns.step.length === 0) throw new DataError(`${path}: has no step yet; report when it has trained`);
  return { name: path, ...view };
}

/** What there is to compare, or why it cannot be. */
async function comparisonOf(paths: readonly string[]): Promise<Comparison | string | undefined> {
  if (paths.length === 1) return undefined;
  const { compareRuns, readRun } = await import('../report/index.ts');
  try {
    return compareRuns(paths.map((path) => readRun(path, warn)));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}
