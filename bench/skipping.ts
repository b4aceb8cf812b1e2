import { blockFlops, type StepShape, stepFlops } from '../src/depth/index.ts';
import { runTaper } from './programs.ts';
import { spread, table, writeResults } from './report.ts';

const sizes = [
  { hidden: 256, heads: 4, batch: 32 },
  { hidden: 768, heads: 12, batch: 8 },
];
const [layers, vocabSize, sequenceLength] = [12, 30522, 128];

/** Whether skipped blocks cost nothing: step time at θ = 0.5 against every block on, beside the FLOPs of the blocks that ran. */
export function skipping(rounds = 3): void {
  const rows: string[][] = [
    ['size', 'precision', 'mean depth', 'block FLOPs saved', 'step FLOPs saved', 'time saved', 'time − FLOPs, points'],
  ];
  for (const { hidden, heads, batch } of sizes) {
    const shape: StepShape = {
      layers,
      hiddenSize: hidden,
      ffnSize: 4 * hidden,
      vocabSize,
      maxPositions: sequenceLength,
      sequenceLength,
      sequences: batch,
      maskedTokens: Math.floor(batch * sequenceLength * 0.15),
      nsp: true,
    };
    for (const dtype of ['fp32', 'bf16']) {
      const flags = ['--hidden', `${hidden}`, '--heads', `${heads}`, '--batch', `${batch}`, '--dtype', dtype];
      const run = (theta: number) => runTaper([...flags, '--theta', `${theta}`, '--steps', '12', '--warmup', '2']);
      const saved = Array.from({ length: rounds }, () => {
        const [dense, dropped] = [run(1), run(0.5)];
        const depth = dropped.layers_run.reduce((a, b) => a + b, 0) / dropped.layers_run.length;
        return {
          depth,
          flops: 1 - stepFlops(shape, depth) / stepFlops(shape, layers),
          blocks: ((layers - depth) * blockFlops(shape)) / (layers * blockFlops(shape)),
          time: 1 - dropped.step_s_mean / dense.step_s_mean,
        };
      });
      const percent = (values: number[]) =>
        spread(
          values.map((value) => 100 * value),
          1,
        );
      rows.push([
        `${layers} × ${hidden}, batch ${batch}`,
        dtype,
        spread(
          saved.map(({ depth }) => depth),
          2,
        ),
        percent(saved.map(({ blocks }) => blocks)),
        percent(saved.map(({ flops }) => flops)),
        percent(saved.map(({ time }) => time)),
        percent(saved.map(({ time, flops }) => time - flops)),
      ]);
      console.log(rows.at(-1)!.join('  '));
    }
  }
  const text = `PLD at θ = 0.5 (as late in training) against dense, ${rounds} rounds of 12 steps each in turn; FLOPs are those of
the gates that fell. Median over the rounds (least–most), in per cent.

${table(rows)}`;
  writeResults('step-time', 'What skipped blocks save', 'npm run bench -- skipping', text);
}
