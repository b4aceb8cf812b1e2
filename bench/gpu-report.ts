import { median } from '../src/averages.ts';
import { stepFlops } from '../src/depth/index.ts';
import { bertWork } from './bert-work.ts';
import type { Check } from './gpu-numbers.ts';
import { missingPyTorch, runPyTorch, runTaper, runTransformers, type StepResult } from './programs.ts';
import { percent, table } from './report.ts';

/** What is measured. */
interface GpuSizes {
  device: string;
  /** Of the BERT beside PyTorch. */
  layers: number;
  hidden: number;
  /** The sequence length of all models, and their vocabulary. */
  seq: number;
  vocab: number;
  /** Of a BERT alone and beside others: the first is the one that demands are made of, and that other models have. */
  microBatches: readonly [number, ...number[]];
  presets: readonly string[];
  steps: number;
}

/** What a run must show, and whether it did. */
interface Demand {
  text: string;
  isMet: boolean;
}

/** A part of what is measured, as a row of a table with the demands on it. */
interface Measured {
  row: string[];
  demands: Demand[];
}

/** The report on a GPU, made anew after each part of what is measured, which takes minutes in all. */
export function* gpuReport(checks: readonly Check[], sizes: GpuSizes): Generator<{ text: string; isMet: boolean }> {
  const { seq, vocab, microBatches, presets, steps } = sizes;
  const [usual, ...others] = microBatches;
  const numbers = numbersTable(checks);
  const missingTransformers = missingPyTorch('transformers');
  const missing = missingTransformers && missingPyTorch();
  const missed = missing ? [{ text: `PyTorch to compare with (${missing} is missing)`, isMet: false }] : [];
  const [berts, skipping, models]: [Measured[], Measured[], Measured[]] = [[], [], []];
  const bert = (batch: number, turns: number) =>
    berts.push(bertBesidePyTorch(sizes, { batch, turns, isAlone: !!missing }));
  const parts = [
    () => bert(usual, 2),
    () => skipping.push(skippedBlocks(sizes)),
    ...presets.map((preset) => () => models.push(modelBesideTransformers(sizes, preset, !!missingTransformers))),
    ...others.map((batch) => () => bert(batch, 1)),
  ];
  const rows = (measured: readonly Measured[]) => measured.map(({ row }) => row);
  for (const part of parts) {
    part();
    const measured = [...berts, ...skipping, ...models].flatMap(({ demands }) => demands);
    const demands = [...numbers.demands, ...missed, ...measured];
    const text = `${numbers.text}

## Compared with PyTorch

BERT, ${sizes.layers} blocks of width ${sizes.hidden}, dense, sequence ${seq}, dropout 0.1, bf16, AdamW, clipping; PyTorch with its scaled-dot-product attention and
its fused AdamW. Medians of ${steps} steps; the two programs alternate, twice each at micro-batch ${usual}. MFU is relative to the fastest large matrix
product on this GPU in the same minute. Host is the share of a step after which all of its work had been launched.

${table([
  [
    'micro-batch',
    'taper tokens/s',
    'MFU',
    'host',
    'memory MB',
    'PyTorch eager',
    'taper / eager',
    'compiled',
    'taper / compiled',
  ],
  ...rows(berts),
])}

## What skipped blocks save

PLD at θ = 0.5 against dense, micro-batch ${usual}, means of ${3 * steps} steps each.

${table([['mean depth', 's/step, dense', 's/step, PLD', 'time saved', 'step FLOPs saved'], ...rows(skipping)])}

## Models of today

Dense, sequence ${seq}, micro-batch ${usual}, a vocabulary of ${vocab}, no dropout, bf16, beside transformers in PyTorch's eager mode with its
scaled-dot-product attention and its fused AdamW, both computing the encoders' logits for masked tokens only. Medians of ${steps} steps.

${table([
  ['model', 'taper tokens/s', 'MFU', 'host', 'memory MB', 'transformers', 'transformers MB', 'taper / transformers'],
  ...rows(models),
])}

## In short

${table([['what is asked', ''], ...demands.map(({ text, isMet }) => [text, isMet ? 'met' : 'NOT met'])])}`;
    yield { text, isMet: demands.every(({ isMet }) => isMet) };
  }
}

/** What was compared, group by group, each with the comparison that came closest to its limit. */
function numbersTable(checks: readonly Check[]): { text: string; demands: Demand[] } {
  const groups = new Map<string, Check[]>();
  for (const check of checks) {
    const dtype = /, (float32|bfloat16|float16)$/.exec(check.name)?.[1];
    const group = dtype ? `operations in ${dtype}, forward and backward` : check.name;
    groups.set(group, [...(groups.get(group) ?? []), check]);
  }
  const share = ({ found, most }: Check) => (most === 0 ? (found ?? Infinity) : (found ?? Infinity) / most);
  const rows = Array.from(groups, ([group, all]) => {
    const worst = all.reduce((a, b) => (share(b) > share(a) ? b : a));
    return [
      group,
      `${all.length}`,
      worst.found?.toPrecision(2) ?? 'not finite',
      `${worst.most}`,
      worst.isMet ? 'ok' : `NOT: ${worst.name}`,
    ];
  });
  const failed = checks.filter(({ isMet }) => !isMet);
  for (const { name, found, most } of failed) console.log(`off: ${name}: ${found}, at most ${most}`);
  return {
    text: `## Does it compute what the CPU does?

Against the CPU with libtorch's plain operations in float32. Operations are off by parts of their largest element; losses and
gradient norms by parts of themselves. Shown is the comparison that came closest to its limit.

${table([['compared', 'comparisons', 'off by', 'allowed', ''], ...rows])}`,
    demands: [
      { text: `${checks.length} comparisons with the CPU, exact resume among them`, isMet: failed.length === 0 },
    ],
  };
}

function bertFlags(sizes: GpuSizes, batch: number, steps = sizes.steps): string[] {
  const { layers, hidden } = sizes;
  return flagsOf(sizes, { layers, hidden, heads: hidden / 64, batch, steps });
}

function flagsOf({ seq, vocab, device }: GpuSizes, others: Record<string, string | number>): string[] {
  const all = { ...others, seq, vocab, warmup: 5, dtype: 'bf16', device };
  return Object.entries(all).flatMap(([name, value]) => [`--${name}`, `${value}`]);
}

function rate(tokens: number, seconds: number | undefined): string {
  return seconds === undefined ? '' : `${Math.round(tokens / seconds)}`;
}

/** taper and eager PyTorch in turn, then what PyTorch compiles. */
function bertBesidePyTorch(
  sizes: GpuSizes,
  { batch, turns, isAlone }: { batch: number; turns: number; isAlone: boolean },
): Measured {
  const flags = bertFlags(sizes, batch);
  const tokens = batch * sizes.seq;
  const [usual] = sizes.microBatches;
  const pairs = Array.from({ length: turns }, () => ({
    taper: runTaper(flags),
    eager: isAlone ? undefined : runPyTorch(flags),
  }));
  const compiled = isAlone ? undefined : runPyTorch([...flags, '--compile']);
  const seconds = median(pairs.map(({ taper }) => taper.step_s_median));
  const mfu = median(pairs.map(({ taper }) => taper.mfu));
  const of = (others: (StepResult | undefined)[]) =>
    others[0] === undefined ? undefined : median(others.map((other) => other!.step_s_median));
  const [eagerSeconds, compiledSeconds] = [of(pairs.map(({ eager }) => eager)), of([compiled])];
  const { taper } = pairs[0]!;
  const over = (other: number | undefined) => (other === undefined ? '' : (other / seconds).toFixed(2));
  const row = [
    `${batch}`,
    rate(tokens, seconds),
    percent(mfu),
    percent(taper.host_s_median / seconds),
    `${taper.peak_memory_mb}`,
    rate(tokens, eagerSeconds),
    over(eagerSeconds),
    rate(tokens, compiledSeconds),
    over(compiledSeconds),
  ];
  console.log(row.join('  '));
  const demands = [
    ...(batch === usual
      ? [{ text: `micro-batch ${batch}: an MFU of 45 % at least (${percent(mfu)})`, isMet: mfu >= 0.45 }]
      : []),
    ...(eagerSeconds && compiledSeconds
      ? [
          {
            text: `micro-batch ${batch}: at least 1.3 times eager PyTorch (${over(eagerSeconds)})`,
            isMet: eagerSeconds / seconds >= 1.3,
          },
          {
            text: `micro-batch ${batch}: not slower than compiled (${over(compiledSeconds)})`,
            isMet: compiledSeconds / seconds >= 1,
          },
        ]
      : []),
  ];
  return { row, demands };
}

function modelBesideTransformers(sizes: GpuSizes, preset: string, isAlone: boolean): Measured {
  const [batch] = sizes.microBatches;
  const tokens = batch * sizes.seq;
  const flags = flagsOf(sizes, { preset, batch, steps: sizes.steps });
  const taper = runTaper(flags);
  const eager = isAlone ? undefined : runTransformers(flags);
  const row = [
    preset,
    rate(tokens, taper.step_s_median),
    percent(taper.mfu),
    percent(taper.host_s_median / taper.step_s_median),
    `${taper.peak_memory_mb}`,
    rate(tokens, eager?.step_s_median),
    `${eager?.peak_memory_mb ?? ''}`,
    eager ? (eager.step_s_median / taper.step_s_median).toFixed(2) : '',
  ];
  console.log(row.join('  '));
  return { row, demands: [] };
}

/** PLD late in training against dense. */
function skippedBlocks(sizes: GpuSizes): Measured {
  const { layers, hidden, seq, vocab, steps } = sizes;
  const [batch] = sizes.microBatches;
  const flags = bertFlags(sizes, batch, 3 * steps);
  const work = bertWork({ layers, hidden, batch, seq, vocab });
  const dense = runTaper(flags);
  const dropped = runTaper([...flags, '--theta', '0.5']);
  const time = 1 - dropped.step_s_mean / dense.step_s_mean;
  const flops = 1 - stepFlops(work, dropped.mean_layers_run) / stepFlops(work, layers);
  const seconds = [dense, dropped].map(({ step_s_mean }) => `${step_s_mean}`);
  const row = [`${dropped.mean_layers_run}`, ...seconds, percent(time), percent(flops)];
  console.log(row.join('  '));
  return {
    row,
    demands: [{ text: `at θ = 0.5 a step takes at least 22 % less time (${percent(time)})`, isMet: time >= 0.22 }],
  };
}
