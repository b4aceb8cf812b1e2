import { stepFlops } from '../src/depth/index.ts';
import { bertWork } from './bert-work.ts';
import { missingPyTorch, runOps, runPyTorch, runTaper, type StepResult } from './programs.ts';
import { medianText, table, writeResults } from './report.ts';

interface Size {
  name: string;
  layers: number;
  hidden: number;
  batch: number;
  /** Measured steps a round. */
  steps: number;
}

const sizes: Size[] = [
  { name: '12 × 256, batch 32', layers: 12, hidden: 256, batch: 32, steps: 6 },
  { name: '12 × 768, batch 16', layers: 12, hidden: 768, batch: 16, steps: 3 },
  { name: '6 × 512, batch 32', layers: 6, hidden: 512, batch: 32, steps: 5 },
];
const precisions = ['fp32', 'bf16'] as const;
const [vocabSize, sequenceLength, threads] = [30522, 128, 2];

const flagsOf = ({ layers, hidden, batch }: Pick<Size, 'layers' | 'hidden' | 'batch'>): string[] =>
  Object.entries({ layers, hidden, heads: hidden / 64, batch, threads }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);

/** Both programs in turn, so that both see the same machine. */
function pairs(rounds: number, flags: readonly string[]) {
  return Array.from({ length: rounds }, () => ({ pytorch: runPyTorch(flags), taper: runTaper(flags) }));
}

/** What docs/results/cpu-speed.md holds: beside PyTorch, what skipping saves, single operations, and how a step scales. */
export function speed(rounds = 3): void {
  const missing = missingPyTorch();
  if (missing) throw new Error(`cannot compare with PyTorch: ${missing} is missing`);
  const sections = [besidePyTorch(rounds), skippingBesidePyTorch(rounds - 1), operations(), scaling()];
  writeResults('cpu-speed', 'Speed on the CPU', 'npm run bench', sections.join('\n\n'));
}

function report(rows: readonly string[][]): void {
  console.log(rows.at(-1)!.join('  '));
}

function besidePyTorch(rounds: number): string {
  const rows: string[][] = [
    ['size', 'precision', 'PyTorch s/step', 'taper s/step', 'PyTorch / taper', 'MFU', 'PyTorch MB', 'taper MB'],
  ];
  let versions = '';
  for (const size of sizes) {
    for (const dtype of precisions) {
      const flags = [...flagsOf(size), '--dtype', dtype, '--steps', `${size.steps}`, '--warmup', '2'];
      const all = pairs(rounds, flags);
      const of = (who: 'pytorch' | 'taper', key: 'step_s_median' | 'peak_memory_mb') =>
        all.map((pair) => pair[who][key]);
      const ratios = all.map(({ pytorch, taper }) => pytorch.step_s_median / taper.step_s_median);
      rows.push([
        size.name,
        dtype,
        medianText(of('pytorch', 'step_s_median'), 2),
        medianText(of('taper', 'step_s_median'), 2),
        medianText(ratios, 2),
        medianText(
          all.map(({ taper }) => 100 * taper.mfu),
          0,
          ' %',
        ),
        `${Math.max(...of('pytorch', 'peak_memory_mb'))}`,
        `${Math.max(...of('taper', 'peak_memory_mb'))}`,
      ]);
      report(rows);
      versions = `${all[0]!.pytorch.peer} and ${all[0]!.taper.peer}`;
    }
  }
  return `## Compared with PyTorch

${versions}, two threads each, \`OPENBLAS_CORETYPE\` the same for both; sequence 128, dropout 0.1, AdamW, clipping.
${rounds} rounds, and the two programs alternate in each; a round's figure is the median of its steps. Shown are the
median over the rounds and, in brackets, minimum and maximum. Above 1, taper is faster. MFU is the model's FLOPs per second, relative
to taper's fastest large matrix product on this machine in the same minute. Memory is the peak resident memory,
including the program itself.

${table(rows)}`;
}

function skippingBesidePyTorch(rounds: number): string {
  const rows: string[][] = [['size', 'program', 'mean depth', 'step FLOPs saved', 'time saved', 'time / FLOPs']];
  const [small, base] = [sizes[0]!, sizes[1]!];
  for (const [size, dtype] of [
    [small, 'fp32'],
    [small, 'bf16'],
    [base, 'bf16'],
  ] as const) {
    const work = bertWork({ ...size, seq: sequenceLength, vocab: vocabSize });
    const flags = [...flagsOf(size), '--dtype', dtype, '--steps', '8', '--warmup', '2'];
    const dense = pairs(rounds, flags);
    const dropped = pairs(rounds, [...flags, '--theta', '0.5']);
    for (const who of ['pytorch', 'taper'] as const) {
      const flops = ({ mean_layers_run }: StepResult) =>
        1 - stepFlops(work, mean_layers_run) / stepFlops(work, size.layers);
      const time = (i: number) => 1 - dropped[i]![who].step_s_mean / dense[i]![who].step_s_mean;
      const rounded = dropped.map((pair, i) => ({
        depth: pair[who].mean_layers_run,
        flops: flops(pair[who]),
        time: time(i),
      }));
      rows.push([
        `${size.name}, ${dtype}`,
        who === 'pytorch' ? 'PyTorch' : 'taper',
        medianText(
          rounded.map(({ depth }) => depth),
          2,
        ),
        medianText(
          rounded.map(({ flops }) => 100 * flops),
          1,
          ' %',
        ),
        medianText(
          rounded.map(({ time }) => 100 * time),
          1,
          ' %',
        ),
        medianText(
          rounded.map(({ time, flops }) => time / flops),
          2,
        ),
      ]);
      report(rows);
    }
  }
  return `## What skipped blocks save

PLD at θ = 0.5, as late in training, against dense training: 8 steps each, ${rounds} rounds. FLOPs are those of the blocks that
ran, which differ between the programs. The last column is 1 if time falls with the FLOPs.

${table(rows)}`;
}

function operations(): string {
  const tables = sizes.slice(0, 2).flatMap((size) =>
    precisions.map((dtype) => {
      const { stepSeconds, operations } = runOps([...flagsOf(size), '--dtype', dtype, '--steps', '3', '--warmup', '2']);
      const rows = [['operation', 'times', 'forward ms', '', 'backward ms', '', 'of a step']];
      for (const { operation, times, forward, backward, share } of operations) {
        const cells = (pass: typeof backward) => {
          if (!pass) return ['', ''];
          const speed = pass.gflopsPerSecond
            ? `${pass.gflopsPerSecond.toFixed(0)} GFLOP/s`
            : `${pass.gbPerSecond!.toFixed(0)} GB/s`;
          return [pass.ms.toFixed(2), speed];
        };
        rows.push([operation, `${times}`, ...cells(forward), ...cells(backward), `${(100 * share).toFixed(1)} %`]);
      }
      console.log(`operations of ${size.name}, ${dtype}`);
      return `${size.name}, ${dtype}, a step of ${stepSeconds.toFixed(2)} s:\n\n${table(rows)}`;
    }),
  );
  return `## Operation by operation

\`taper-lm bench ops\`: each operation on its own, the median of seven. GFLOP/s where matrix products dominate, otherwise GB/s
read and written. \`linearCrossEntropy\` computes the products of its gradient in the forward pass.

${tables.join('\n\n')}`;
}

function scaling(): string {
  const base = { layers: 6, hidden: 256, batch: 16, seq: 128 };
  const variations: Record<string, number[]> = {
    batch: [4, 16, 64],
    seq: [64, 128, 256, 512],
    hidden: [128, 256, 512, 1024],
    layers: [3, 6, 12, 24],
  };
  const rows = [['changed', 'precision', 's/step', 'tokens/s', 'GFLOP/s', 'MFU', 'peak MB']];
  for (const [what, values] of Object.entries(variations)) {
    for (const value of values) {
      for (const dtype of precisions) {
        const size = { ...base, [what]: value };
        const flags = [...flagsOf(size), '--seq', `${size.seq}`, '--dtype', dtype, '--steps', '4', '--warmup', '2'];
        const result = runTaper(flags);
        rows.push([
          `${what} ${value}`,
          dtype,
          result.step_s_median.toFixed(3),
          `${Math.round(result.tokens_per_s)}`,
          `${Math.round(result.gflops_per_s)}`,
          `${Math.round(100 * result.mfu)} %`,
          `${result.peak_memory_mb}`,
        ]);
        report(rows);
      }
    }
  }
  return `## How a step scales

Only taper, from ${base.layers} × ${base.hidden}, batch ${base.batch}, sequence ${base.seq}, one size changed at a time; medians of four steps. With few
tokens the 30,522 rows of the vocabulary dominate: their optimizer update does not depend on the batch.

${table(rows)}`;
}
