import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { Command } from 'commander';
import { ConfigError, DataError, UserError } from '../errors/index.ts';
import type { Comparison, ReportedRun, ReportedTuning } from '../report/index.ts';
import { readFineTuning } from '../runs/fine-tuning.ts';
import { checkDistinct, writeFiles } from './files.ts';
import { warn } from './terminal.ts';

/** `taper-lm report`: writes a report on runs, as one page to send or to print. */
export function reportCommand(): Command {
  return new Command('report')
    .description('write a report on runs, with results, figures and settings: one HTML file, or Markdown')
    .argument('<run...>', 'folders of runs, compared with the first, and of fine-tuned models')
    .requiredOption(
      '-o, --out <file>',
      'report.html, which is self-contained, or report.md, with its figures in a folder beside it',
    )
    .addHelpText('after', '\nExample:\n  npx taper-lm report runs/dense runs/pld -o report.html')
    .action(run);
}

async function run(paths: string[], { out }: { out: string }): Promise<void> {
  const kind = extname(out);
  if (kind !== '.html' && kind !== '.md')
    throw new ConfigError(`--out ${out}: ends neither in .html nor in .md; give a name such as report.html`);
  checkDistinct(paths);
  const { reportHtml, reportOf } = await import('../report/index.ts');
  const runs: ReportedRun[] = [];
  const tunings: ReportedTuning[] = [];
  for (const path of paths) {
    const record = readFineTuning(path);
    if (record) tunings.push({ ...record, name: path });
    else runs.push(await readRunView(path));
  }
  const comparison = await comparisonOf(runs.map(({ name }) => name));
  if (kind === '.html') {
    writeFiles(dirname(out), { [basename(out)]: reportHtml(reportOf(runs, { comparison, tunings })) });
    return;
  }
  const folder = `${basename(out, kind)}-figures`;
  const { markdown, figures } = reportOf(runs, { comparison, tunings, folder });
  writeFiles(dirname(out), { [basename(out)]: markdown });
  if (Object.keys(figures).length > 0) writeFiles(join(dirname(out), folder), figures);
}

async function readRunView(path: string): Promise<ReportedRun> {
  const { RunReader } = await import('../report/index.ts');
  if (!existsSync(join(path, 'config.json')) || !existsSync(join(path, 'metrics.jsonl'))) {
    throw new DataError(
      `${path}: config.json or metrics.jsonl is missing; give the folder of a run or of a fine-tuned model, its --out`,
    );
  }
  const reader = new RunReader(path);
  await reader.read();
  const view = reader.view();
  if (view.columns.step.length === 0)
    throw new DataError(`${path}: has no steps yet; run this again when it has trained`);
  return { name: path, ...view };
}

/** The comparison of the runs, or the reason why they cannot be compared. */
async function comparisonOf(paths: readonly string[]): Promise<Comparison | string | undefined> {
  if (paths.length < 2) return undefined;
  const { compareRuns, readRun } = await import('../report/index.ts');
  try {
    return compareRuns(paths.map((path) => readRun(path, warn)));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}
