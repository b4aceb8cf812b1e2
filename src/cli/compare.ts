import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { DataError } from '../config/index.ts';
import { duration, flopsText, rounded, table } from '../report/format.ts';
import type { ComparedRun, Comparison, Cost, EvaluationPoint, RunRecord, Spread } from '../report/index.ts';
import { jsonOption } from './config.ts';
import { writeFiles } from './files.ts';

interface CompareOptions {
  loss?: number;
  out?: string;
  json?: boolean;
}

/** `taper compare`: what several runs reached, and what it took them. */
export function compareCommand(): Command {
  return new Command('compare')
    .description('lay runs side by side: loss at equal samples, FLOPs and time, and what it took to reach one loss')
    .argument('<run...>', 'folders of runs; the first is what the others are measured against')
    .option('--loss <nats>', 'the loss that all are to reach (default: the highest of their last)', lossOf)
    .option('--out <dir>', 'write the curves and the numbers there: SVG and JSON')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  taper compare runs/dense runs/pld --out comparison')
    .action(run);
}

function lossOf(text: string): number {
  const loss = Number(text);
  if (!(loss > 0 && loss < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError('it must be a number above 0.');
  return loss;
}

async function run(paths: string[], options: CompareOptions): Promise<void> {
  const { compareRuns, readRun } = await import('../report/index.ts');
  if (paths.length < 2) throw new DataError(`${paths[0]}: one run has nothing to be compared with; give two or more`);
  const twice = paths.find((path, i) => paths.slice(0, i).some((before) => resolve(before) === resolve(path)));
  if (twice !== undefined) throw new DataError(`${twice}: is given twice; give each run once`);
  const warn = (message: string) => process.stderr.write(`warning: ${message}\n`);
  const records = paths.map((path) => readRun(path, warn));
  const comparison = compareRuns(records, options);
  if (options.out !== undefined) await writeComparison(options.out, records, comparison);
  process.stdout.write(options.json ? `${JSON.stringify(comparison)}\n` : comparisonText(comparison));
}

async function writeComparison(out: string, records: readonly RunRecord[], comparison: Comparison): Promise<void> {
  const { lossCurves } = await import('../report/index.ts');
  writeFiles(out, { ...lossCurves(records), 'comparison.json': `${JSON.stringify(comparison, null, 2)}\n` });
}

const loss = (value: number) => value.toFixed(4);
const amounts: Record<Cost, (value: number) => string> = { samples: rounded, flops: flopsText, seconds: duration };
const spent = (cost: Record<Cost, number>) => [cost.samples, cost.flops, cost.seconds] as const;
const texts = (cost: Record<Cost, number>) => {
  const [samples, flops, seconds] = spent(cost);
  return [amounts.samples(samples), amounts.flops(flops), amounts.seconds(seconds)];
};

function comparisonText({ equal, loss: target, runs, settings }: Comparison): string {
  const [samples, flops, seconds] = texts(equal);
  const reached = ({ toLoss }: ComparedRun) => (toLoss ? texts(toLoss) : ['never', 'never', 'never']);
  const total = (last: EvaluationPoint) => [String(last.step), ...texts(last), loss(last.loss)];
  const parts = [
    'What each run came to (loss: held-out, in nats; time: of its steps):',
    table([['run', 'steps', 'samples', 'FLOPs', 'time', 'loss'], ...runs.map((run) => [run.name, ...total(run.last)])]),
    'Loss where all had spent the same:',
    table([
      ['run', `at ${samples} samples`, `at ${flops}`, `at ${seconds}`],
      ...runs.map(({ name, lossAtEqual }) => [name, ...spent(lossAtEqual).map(loss)]),
    ]),
    `Spent until the loss was ${loss(target)}:`,
    table([['run', 'samples', 'FLOPs', 'time'], ...runs.map((run) => [run.name, ...reached(run)])]),
    `How many times less than ${settings[0]!.runs.join(', ')} that is:`,
    table([
      ['setting', 'runs', 'samples', 'FLOPs', 'time'],
      ...settings.map(({ runs: names, speedup }) => [
        names[0]!,
        String(names.length),
        ...(speedup ? [speedup.samples, speedup.flops, speedup.seconds].map(ratioText) : ['never', 'never', 'never']),
      ]),
    ]),
  ];
  return `${parts.join('\n')}\nBetween evaluations losses are interpolated linearly; nothing is smoothed.\n`;
}

/** `1.32`, with the least and the most where several pairs of seeds were compared. */
function ratioText({ mean, least, most }: Spread): string {
  return least === most ? mean.toFixed(2) : `${mean.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`;
}
