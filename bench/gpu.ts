import { stepFlops } from '../src/depth/index.ts';
import { defaultDevice } from '../src/machine/index.ts';
import { gpus, runtime } from '../src/tensor/index.ts';
import { bertWork } from './bert-work.ts';
import type { Check } from './gpu-numbers.ts';
import { missingPyTorch, runGpuChecks, runPyTorch, runTaper, runTransformers, type StepResult } from './programs.ts';
import { median, table, writeResults } from './report.ts';

// npm run check:gpu: whether a GPU computes what the CPU does, then how fast it trains, beside PyTorch. Some minutes; what is done is
// written at once.

const device = 'cuda';
const [layers, hidden, seq, vocab, steps] = [12, 768, 128, 30522, 20];

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

if (gpus.count() === 0) {
  const why = defaultDevice() === 'cuda' ? 'libtorch sees none' : 'there is none, or the addon was built without CUDA';
  console.error(`check:gpu needs an NVIDIA GPU, and ${why}; docs/setup.md says what it takes`);
  process.exit(2);
}
console.log(`${gpus.name()}, libtorch ${runtime().torchVersion}`);
const numbers = numbersTable(runGpuChecks(device));
console.log(numbers.text);
const missing = missingPyTorch();
const found = {
  berts: [] as Measured[],
  models: [] as Measured[],
  skipping: [] as Measured[],
};
for (const measure of [
  () => found.berts.push(bertBesidePyTorch(256, 2)),
  () => found.skipping.push(skippedBlocks(256)),
  ...(['ettin-32m', 'modernbert-base', 'llama-mini'] as const).map(
    (preset) => () => found.models.push(modelBesideTransformers(preset)),
  ),
  () => found.berts.push(bertBesidePyTorch(64, 1)),
  () => found.berts.push(bertBesidePyTorch(1024, 1)),
]) {
  measure();
  write();
}
process.exitCode = allDemands().every(({ isMet }) => isMet) ? 0 : 1;

function allDemands(): Demand[] {
  const missed = missing ? [{ text: `PyTorch to compare with (${missing} is missing)`, isMet: false }] : [];
  const measured = [...found.berts, ...found.skipping, ...found.models].flatMap(({ demands }) => demands);
  return [...numbers.demands, ...missed, ...measured];
}

function write(): void {
  const verdict = table([
    ['what is asked', ''],
    ...allDemands().map(({ text, isMet }) => [text, isMet ? 'met' : 'NOT met']),
  ]);
  const rows = (measured: readonly Measured[]) => measured.map(({ row }) => row);
  writeResults(
    'gpu',
    'On a GPU',
    'npm run check:gpu',
    [
      `${gpus.name()}, libtorch ${runtime().torchVersion}.`,
      numbers.text,
      `## Beside PyTorch

BERT-base, dense, sequence ${seq}, dropout 0.1, bf16, AdamW, clipping; PyTorch with its scaled-dot-product attention and its fused
AdamW. Medians of ${steps} steps; the two programs in turn, twice each at micro-batch 256. MFU is against the fastest large matrix product on this
GPU in the same minute. Host is the share of a step after which all of its work had been given out.

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
  ...rows(found.berts),
])}`,
      `## What skipped blocks save

PLD at θ = 0.5 against dense, micro-batch 256, means of 60 steps each.

${table([['mean depth', 's/step, dense', 's/step, PLD', 'time saved', 'step FLOPs saved'], ...rows(found.skipping)])}`,
      `## Models of today

Dense, sequence ${seq}, micro-batch 256, a vocabulary of ${vocab}, no dropout, bf16, beside transformers in PyTorch's eager mode with its
scaled-dot-product attention and its fused AdamW, logits of masked tokens only in both encoders. Medians of ${steps} steps.

${table([
  ['model', 'taper tokens/s', 'MFU', 'host', 'memory MB', 'transformers', 'transformers MB', 'taper / transformers'],
  ...rows(found.models),
])}`,
      `## In short

${verdict}`,
    ].join('\n\n'),
  );
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

function bertFlags(batch: number, steps: number): string[] {
  return flagsOf({ layers, hidden, heads: hidden / 64, batch, steps });
}

function flagsOf(sizes: Record<string, string | number>): string[] {
  const all = { ...sizes, seq, vocab, warmup: 5, dtype: 'bf16', device };
  return Object.entries(all).flatMap(([name, value]) => [`--${name}`, `${value}`]);
}

const tokensPerSecond = (batch: number, seconds: number | undefined) =>
  seconds === undefined ? '' : `${Math.round((batch * seq) / seconds)}`;
const percent = (share: number, digits = 0) => `${(100 * share).toFixed(digits)} %`;

/** taper and eager PyTorch in turn, then what PyTorch compiles. */
function bertBesidePyTorch(batch: number, turns: number): Measured {
  const flags = bertFlags(batch, steps);
  const pairs = Array.from({ length: turns }, () => ({
    taper: runTaper(flags),
    eager: missing ? undefined : runPyTorch(flags),
  }));
  const compiled = missing ? undefined : runPyTorch([...flags, '--compile']);
  const seconds = median(pairs.map(({ taper }) => taper.step_s_median));
  const mfu = median(pairs.map(({ taper }) => taper.mfu));
  const of = (others: (StepResult | undefined)[]) =>
    others[0] === undefined ? undefined : median(others.map((other) => other!.step_s_median));
  const [eagerSeconds, compiledSeconds] = [of(pairs.map(({ eager }) => eager)), of([compiled])];
  const { taper } = pairs[0]!;
  const over = (other: number | undefined) => (other === undefined ? '' : (other / seconds).toFixed(2));
  const row = [
    `${batch}`,
    tokensPerSecond(batch, seconds),
    percent(mfu),
    percent(taper.host_s_median / seconds),
    `${taper.peak_memory_mb}`,
    tokensPerSecond(batch, eagerSeconds),
    over(eagerSeconds),
    tokensPerSecond(batch, compiledSeconds),
    over(compiledSeconds),
  ];
  console.log(row.join('  '));
  const demands = [
    ...(batch === 256
      ? [{ text: `micro-batch 256: an MFU of 45 % at least (${percent(mfu, 1)})`, isMet: mfu >= 0.45 }]
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

function modelBesideTransformers(preset: string): Measured {
  const batch = 256;
  const flags = flagsOf({ preset, batch, steps });
  const taper = runTaper(flags);
  const eager = missing || missingPyTorch('transformers') ? undefined : runTransformers(flags);
  const row = [
    preset,
    tokensPerSecond(batch, taper.step_s_median),
    percent(taper.mfu),
    percent(taper.host_s_median / taper.step_s_median),
    `${taper.peak_memory_mb}`,
    tokensPerSecond(batch, eager?.step_s_median),
    `${eager?.peak_memory_mb ?? ''}`,
    eager ? (eager.step_s_median / taper.step_s_median).toFixed(2) : '',
  ];
  console.log(row.join('  '));
  return { row, demands: [] };
}

/** PLD late in training against dense. */
function skippedBlocks(batch: number): Measured {
  const flags = bertFlags(batch, 60);
  const work = bertWork({ layers, hidden, batch, seq, vocab });
  const dense = runTaper(flags);
  const dropped = runTaper([...flags, '--theta', '0.5']);
  const time = 1 - dropped.step_s_mean / dense.step_s_mean;
  const flops = 1 - stepFlops(work, dropped.mean_layers_run) / stepFlops(work, layers);
  const seconds = [dense, dropped].map(({ step_s_mean }) => `${step_s_mean}`);
  const row = [`${dropped.mean_layers_run}`, ...seconds, percent(time, 1), percent(flops, 1)];
  console.log(row.join('  '));
  return {
    row,
    demands: [{ text: `at θ = 0.5 a step takes at least 22 % less time (${percent(time, 1)})`, isMet: time >= 0.22 }],
  };
}
