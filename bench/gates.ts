import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mean, median } from '../src/averages.ts';
import type { BenchResult } from '../src/cli/bench-options.ts';
import { granularities, stepFlops } from '../src/depth/index.ts';
import { namesOf } from '../src/keys/index.ts';
import { readMetrics } from '../src/runs/index.ts';
import { bertWork } from './bert-work.ts';
import { runCommand, runTaper } from './programs.ts';
import { medianText, table, writeResults } from './report.ts';
import { pooledDeviation } from './statistics.ts';

const rounds = 4;
const [layers, hidden, batch] = [12, 256, 32];
/** The rows of the tables. */
const [dense, byBatch, bySequence, exact, exactWhole] = [0, 1, 2, 3, 4];

/** What docs/results/gates.md holds: how even steps are, and whether what is skipped is time, with every kind of gates; and what ranks wait. */
export function gates(): void {
  writeResults(
    'gates',
    'Variation of step times by kind of gate',
    'npm run bench -- gates',
    `${evenness()}\n\n${waiting()}`,
  );
}

function evenness(): string {
  const kinds = [
    { name: 'dense', flags: ['--theta', '1'] },
    ...namesOf(granularities).map((kind) => ({
      name: `θ = 0.5, ${granularities[kind].words}`,
      flags: ['--theta', '0.5', '--granularity', kind],
    })),
    { name: `θ = 7/13, exact`, flags: ['--theta', `${7 / 13}`, '--granularity', 'exact'] },
  ];
  const size = { layers, hidden, heads: hidden / 64, batch, dtype: 'bf16', steps: 30, warmup: 8 };
  const flags = Object.entries(size).flatMap(([key, value]) => [`--${key}`, `${value}`]);
  const all = Array.from({ length: rounds }, () => kinds.map((kind) => runTaper([...flags, ...kind.flags])));
  const rows = kinds.map((kind, k) => {
    const results = all.map((round) => round[k]!);
    const flops = results.map(({ layers_run }) => layers_run.map(flopsAt));
    const saved = flops.map((steps) => 1 - mean(steps) / flopsAt(layers));
    const timeSaved = all.map((round) => 1 - round[k]!.step_s_mean / round[0]!.step_s_mean);
    const percentages = (of: (seconds: readonly number[]) => number) =>
      medianText(
        results.map(({ step_s }) => 100 * of(step_s)),
        1,
        ' %',
      );
    const seconds = results.map(({ step_s_mean }) => step_s_mean);
    const share = saved.map((share, round) => timeSaved[round]! / share);
    return [
      kind.name,
      results[0]!.mean_layers_run.toFixed(2),
      medianText(seconds, 3),
      percentages(variation),
      percentages(robustVariation),
      `${(100 * variation(flops[0]!)).toFixed(1)} %`,
      k === 0 ? '' : medianText(share, 2),
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
  const ratio = (value: (result: BenchResult) => number, of: number, to: number, digits = 1) =>
    medianText(
      all.map((round) => value(round[of]!) / value(round[to]!)),
      digits,
    );
  const perFlop = ({ step_s_mean, layers_run }: BenchResult) => step_s_mean / mean(layers_run.map(flopsAt));
  const cv = ({ step_s }: BenchResult) => variation(step_s);
  const robust = ({ step_s }: BenchResult) => robustVariation(step_s);
  return `PLD as late in training, ${layers} × ${hidden}, batch ${batch}, sequence 128, bf16, one micro-batch per step. ${rounds} rounds; in each,
the programs alternate, 30 steps each after 8 that are not counted (kernels are chosen in them). The coefficient of
variation (CV) is the standard deviation of a round's step times over their mean. The CV of dense steps is the noise of the
machine. The robust CV is 1.48 times the median distance from the median, over the median: a few disturbed steps do not count. The CV
of the FLOPs is that of the blocks that ran. Medians over the rounds, with minimum and maximum. The last column is time saved over FLOPs saved: 1 if
time falls with the FLOPs.

${table([head, ...rows])}

With one gate per block and sequence, the CV of the time is ${ratio(cv, byBatch, bySequence)} times smaller than with one gate per block,
${ratio(robust, byBatch, bySequence)} times by the robust measure, and a FLOP takes
${ratio(perFlop, bySequence, byBatch, 3)} times as long: each step updates every block, and gathers and scatters its sequences.

With \`exact\` the CV is ${ratio(cv, exact, dense)} times that of dense steps, ${ratio(robust, exact, dense)} times by the
robust measure; with one gate per block it is ${ratio(cv, byBatch, dense)} and ${ratio(robust, byBatch, dense)} times. At θ = 0.5 the mean is
8.75 blocks: three steps of four run nine, the others eight. At θ = 7/13 it is nine, and each step runs nine: there the CV is
${ratio(cv, exactWhole, dense)} times that of dense steps, ${ratio(robust, exactWhole, dense)} times by the robust measure.`;
}

/** The steps of a run on two ranks; the first ones are left out. */
const [rankSteps, rankWarmup] = [30, 5];
const texts = ['docs/log.md', 'docs/data.md', 'docs/training.md', 'docs/methods'];

function waiting(): string {
  const kinds = [
    { name: 'dense', sets: ['depth.method=dense'] },
    ...namesOf(granularities).map((kind) => ({
      name: `θ = 0.5, ${granularities[kind].words}`,
      sets: ['depth.method=constant', `depth.granularity=${kind}`],
    })),
  ];
  const folder = mkdtempSync(join(tmpdir(), 'taper-gates-'));
  try {
    const all = Array.from({ length: rounds }, (_, round) =>
      kinds.map(({ sets }, k) =>
        waitsOf(join(folder, `${round}-${k}`), [...sets, `data.cache=${join(folder, 'cache')}`]),
      ),
    );
    const ms = (values: readonly number[]) =>
      medianText(
        values.map((seconds) => 1000 * seconds),
        0,
      );
    const rows = kinds.map(({ name }, k) => [
      name,
      ms(all.map((round) => round[k]!.step)),
      ms(all.map((round) => round[k]!.wait)),
    ]);
    const ratios = all.map((round) => round[exact]!.wait / round[byBatch]!.wait);
    return `## Two ranks

\`configs/paper.yaml\` on texts of this project, on two ranks of one thread each, one micro-batch per step; ${rankSteps} steps, the first
${rankWarmup} left out. The wait is the time that rank 0 spent waiting for all-reduces in a step, the mean over a run. All ranks draw the same gates,
of any kind, so they always run the same blocks.

${table([['gates', 'ms/step', 'waited, ms'], ...rows])}

With \`exact\` a rank waits ${medianText(ratios, 2)} times as long as with one gate per block.`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The mean step of a run on two ranks, and how long rank 0 waited in it, in seconds. */
function waitsOf(out: string, sets: readonly string[]): { step: number; wait: number } {
  const train = { steps: rankSteps, microBatchSize: 128, threads: 1, evalEvery: 0, evalSamples: 64, saveEvery: 0 };
  const all = [
    ...Object.entries(train).map(([key, value]) => `train.${key}=${value}`),
    'model.vocabSize=2048',
    ...sets,
  ];
  const words = ['pretrain', 'configs/paper.yaml', '--data', ...texts, '--out', out, '--set', ...all];
  runCommand(['launch', '--processes', '2', '--', ...words]);
  const lines = readMetrics(join(out, 'metrics.jsonl')).flatMap((line) =>
    line.type === 'step' && line.step > rankWarmup ? [line] : [],
  );
  return {
    step: mean(lines.map(({ stepSeconds }) => stepSeconds)),
    wait: mean(lines.map(({ waitSeconds }) => waitSeconds ?? 0)),
  };
}

/** FLOPs of a step with `depth` blocks. */
const flopsAt = (depth: number) => stepFlops(bertWork({ layers, hidden, batch, seq: 128, vocab: 30522 }), depth);

/** 1.4826 · the median of |x − median| / median: the coefficient of variation of a normal distribution, whatever its outliers. */
function robustVariation(values: readonly number[]): number {
  const center = median(values);
  return (1.4826 * median(values.map((value) => Math.abs(value - center)))) / center;
}

const variation = (values: readonly number[]) => pooledDeviation([values]).deviation / mean(values);
