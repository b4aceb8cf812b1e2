import { missingPyTorch, runPyTorch, runTaper } from './programs.ts';
import { spread, table, writeResults } from './report.ts';

const sizes = [
  { name: '12 × 256, batch 32', flags: ['--hidden', '256', '--heads', '4', '--batch', '32'], steps: 6 },
  { name: '12 × 768, batch 16', flags: ['--hidden', '768', '--heads', '12', '--batch', '16'], steps: 4 },
];

/** taper's optimizer step beside PyTorch's: the two programs in turn, so that both see the same machine. */
export function speed(rounds = 3): void {
  const missing = missingPyTorch();
  if (missing) throw new Error(`cannot compare with PyTorch: ${missing} is missing`);
  const rows: string[][] = [
    ['size, sequence 128, dropout 0.1', 'precision', 'PyTorch s/step', 'taper s/step', 'PyTorch / taper'],
  ];
  let versions = '';
  for (const { name, flags, steps } of sizes) {
    for (const dtype of ['fp32', 'bf16']) {
      const all = [...flags, '--dtype', dtype, '--threads', '2', '--steps', `${steps}`, '--warmup', '2'];
      const pairs = Array.from({ length: rounds }, () => ({ pytorch: runPyTorch(all), taper: runTaper(all) }));
      const of = (who: 'pytorch' | 'taper') => pairs.map((pair) => pair[who].step_s_median);
      const ratios = pairs.map(({ pytorch, taper }) => pytorch.step_s_median / taper.step_s_median);
      rows.push([name, dtype, spread(of('pytorch'), 2), spread(of('taper'), 2), spread(ratios, 2)]);
      console.log(rows.at(-1)!.join('  '));
      versions = `${pairs[0]!.pytorch.peer} and ${pairs[0]!.taper.peer}`;
    }
  }
  const text = `${versions}, two threads each, the same OpenBLAS kernels for both.
${rounds} rounds, in each of which the two programs run in turn; a round's figure is the median of its steps. Shown are the
median over the rounds and, in brackets, the least and the most. Above 1, taper is faster.

${table(rows)}`;
  writeResults('cpu-speed', 'Speed on the CPU beside PyTorch', 'npm run bench -- speed', text);
}
