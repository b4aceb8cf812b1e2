import type { BenchResult } from '../src/cli/bench-options.ts';
import { stepFlops } from '../src/depth/index.ts';
import { bertWork } from './bert-work.ts';
import { runTaper } from './programs.ts';
import { median, spread, table, writeResults } from './report.ts';

const rounds = 4;
const [layers, hidden, batch] = [12, 256, 32];
const kinds = [
  { name: 'every block on', flags: ['--theta', '1'] },
  { name: 'θ = 0.5, a gate a micro-batch', flags: ['--theta', '0.5', '--granularity', 'batch'] },
  { name: 'θ = 0.5, a gate a sequence', flags: ['--theta', '0.5', '--granularity', 'sequence'] },
];

/** What docs/results/gates.md holds: how even steps are, and whether what is skipped is time, with both kinds of gates. */
export function gates(): void {
  const size = { layers, hidden, heads: hidden / 64, batch, dtype: 'bf16', steps: 30, warmup: 8 };
  const flags = Object.entries(size).flatMap(([key, value]) => [`--${key}`, `${value}`]);
  const all = Array.from({ length: rounds }, () => kinds.map((kind) => runTaper([...flags, ...kind.flags])));
  const rows = kinds.map((kind, k) => {
    const results = all.map((round) => round[k]!);
    const flops = results.map(({ layers_run }) => layers_run.map(flopsAt));
    const saved = flops.map((steps) => 1 - mean(steps) / flopsAt(layers));
    const timeSaved = all.map((round) => 1 - round[k]!.step_s_mean / round[0]!.step_s_mean);
    return [
      kind.name,
      results[0]!.mean_layers_run.toFixed(2),
      spread(
        results.map(({ step_s_mean }) => step_s_mean),
        3,
      ),
      spread(
        results.map(({ step_s }) => 100 * variation(step_s)),
        1,
        ' %',
      ),
      spread(
        results.map(({ step_s }) => 100 * robustVariation(step_s)),
        1,
        ' %',
      ),
      `${(100 * variation(flops[0]!)).toFixed(1)} %`,
      k === 0
        ? ''
        : spread(
            saved.map((share, round) => timeSaved[round]! / share),
            2,
          ),
    ];
  });
  const head = [
    'gates',
    'mean depth',
    's/step, mean',
    'CV of the time',
    'the same, robust',
    'CV of the FLOPs',
    'time / FLOPs saved',
  ];
  const ratios = (value: (result: BenchResult) => number) =>
    all.map(([, byBatch, bySequence]) => value(bySequence!) / value(byBatch!));
  const perFlop = ({ step_s_mean, layers_run }: BenchResult) => step_s_mean / mean(layers_run.map(flopsAt));
  const evenness = (spreadOf: (seconds: readonly number[]) => number) =>
    spread(
      all.map(([, byBatch, bySequence]) => spreadOf(byBatch!.step_s) / spreadOf(bySequence!.step_s)),
      1,
    );
  writeResults(
    'gates',
    'Gates for micro-batches and for sequences',
    'npm run bench -- gates',
    `PLD as late in training, ${layers} × ${hidden}, batch ${batch}, sequence 128, bf16, one micro-batch a step. ${rounds} rounds, in each of which the
three programs run in turn, 30 steps each after 8 that are not counted (kernels are chosen in them). The coefficient of
variation (CV) is the standard deviation of a round's step times over their mean; with every block on it is the
machine's own unrest. The robust one is 1.48 times the median distance from the median, over the median: a few steps that
something else on the machine disturbed do not count. That of the FLOPs is the same of what the gates let through. Medians over the rounds, with the least
and the most. Time saved is over FLOPs saved in the last column: 1 where what is skipped is time.

${table([head, ...rows])}

With a gate a sequence the CV of the time is ${evenness(variation)} times smaller than with a gate a micro-batch,
${evenness(robustVariation)} times by the robust measure, and a FLOP takes
${spread(ratios(perFlop), 3)} times as long: each step updates every block, and takes its sequences out and puts them back.`,
  );
}

/** FLOPs of a step when so many blocks run. */
const flopsAt = (depth: number) => stepFlops(bertWork({ layers, hidden, batch, seq: 128, vocab: 30522 }), depth);

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** 1.4826 · the median of |x − median| / median: the coefficient of variation of a normal distribution, whatever its outliers. */
function robustVariation(values: readonly number[]): number {
  const center = median(values);
  return (1.4826 * median(values.map((value) => Math.abs(value - center)))) / center;
}

function variation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1)) / center;
}
