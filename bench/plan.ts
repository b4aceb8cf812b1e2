import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMetrics } from '../src/runs/index.ts';
import { runCommand } from './programs.ts';
import { table, writeResults } from './report.ts';

const rounds = 3;
const steps = 500;

/** What docs/results/plan.md holds: what `taper-lm plan --measure` says of a run, and what the run then takes. */
export function plan(texts: readonly string[]): void {
  if (texts.length === 0) throw new Error('give texts: npm run bench -- plan my/texts');
  const folder = mkdtempSync(join(tmpdir(), 'taper-plan-'));
  const sets = [
    ...['depth.method=pld', `train.steps=${steps}`, 'train.evalEvery=0', 'train.saveEvery=0', 'train.evalSamples=32'],
    `data.cache=${join(folder, 'cache')}`,
  ];
  try {
    const planned = (): number => {
      const found = runCommand(['plan', 'configs/paper.yaml', '--measure', '--json', '--set', ...sets]);
      return 3600 * (JSON.parse(found) as { measured: { hours: number } }).measured.hours;
    };
    const taken = (round: number): number => {
      const out = join(folder, `run-${round}`);
      runCommand(['pretrain', 'configs/paper.yaml', '--out', out, '--json', '--data', ...texts, '--set', ...sets]);
      const lines = readMetrics(join(out, 'metrics.jsonl'));
      return lines.reduce((sum, line) => sum + (line.type === 'step' ? line.stepSeconds : 0), 0);
    };
    const rows: string[][] = [
      ['round', 'planned before, s', 'planned after, s', 'taken, s', 'mean of the plans / taken'],
    ];
    let before = planned();
    for (let round = 1; round <= rounds; round++) {
      const seconds = taken(round);
      const after = planned();
      const ratio = (before + after) / 2 / seconds;
      rows.push([String(round), before.toFixed(1), after.toFixed(1), seconds.toFixed(1), ratio.toFixed(3)]);
      console.log(rows.at(-1)!.join('  '));
      before = after;
    }
    const sum = (column: number) => rows.slice(1).reduce((total, row) => total + Number(row[column]), 0);
    const overall = (sum(1) + sum(2)) / 2 / sum(3);
    writeResults(
      'plan',
      'Planned and measured time',
      'npm run bench -- plan TEXTS',
      `\`taper-lm plan --measure\` of \`configs/paper.yaml\` with PLD over ${steps} steps, before and after each of ${rounds} such runs: the time of
the steps. On a shared machine single plans differ with the other work of their half minute.

${table(rows)}

All plans over all runs: ${overall.toFixed(3)}.`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
