import { stepFlops } from '../src/depth/index.ts';
import { defaultDevice } from '../src/machine/index.ts';
import { gpus, runtime } from '../src/tensor/index.ts';
import { bertWork } from './bert-work.ts';
import type { Check } from './gpu-numbers.ts';
import { missingPyTorch, runGpuChecks, runPyTorch, runTaper, type StepResult } from './programs.ts';
import { median, table, writeResults } from './report.ts';

// npm run check:gpu: whether a GPU computes what the CPU does, then how fast it trains BERT-base, beside PyTorch. Some minutes.

const device = 'cuda';
const microBatches = [64, 256, 1024];
const [layers, hidden, seq, vocab, steps] = [12, 768, 128, 30522, 20];

/** What a run must show, and whether it did. */
interface Demand {
  text: string;
  isMet: boolean;
}

if (gpus.count() === 0) {
  const why = defaultDevice() === 'cuda' ? 'libtorch sees none' : 'there is none, or the addon was built without CUDA';
  console.error(`check:gpu needs an NVIDIA GPU, and ${why}; docs/setup.md says what it takes`);
  process.exit(2);
}
console.log(`${gpus.name()}, libtorch ${runtime().torchVersion}`);
const checks = runGpuChecks(device);
const numbers = numbersTable(checks);
console.log(numbers.text);
const speed = besidePyTorch();
const skipping = skippedBlocks();
const demands = [...numbers.demands, ...speed.demands, ...skipping.demands];
const verdict = table([['what is asked', ''], ...demands.map(({ text, isMet }) => [text, isMet ? 'met' : 'NOT met'])]);
writeResults(
  'gpu',
  'On a GPU',
  'npm run check:gpu',
  [
    `${gpus.name()}, libtorch ${runtime().torchVersion}.`,
    numbers.text,
    speed.text,
    skipping.text,
    `## In short\n\n${verdict}`,
  ].join('\n\n'),
);
process.exitCode = demands.every(({ isMet }) => isMet) ? 0 : 1;

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

function flagsOf(batch: number, steps: number): string[] {
  const sizes = { layers, hidden, heads: hidden / 64, seq, vocab, batch, steps, warmup: 5, dtype: 'bf16', device };
  return Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, `${value}`]);
}

/** Each batch: taper and PyTorch's eager mode in turn, twice, then what PyTorch compiles. */
function besidePyTorch(): { text: string; demands: Demand[] } {
  const missing = missingPyTorch();
  const rows = [
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
  ];
  const demands: Demand[] = missing ? [{ text: `PyTorch to compare with (${missing} is missing)`, isMet: false }] : [];
  for (const batch of microBatches) {
    const flags = flagsOf(batch, steps);
    const turns = [1, 2].map(() => ({
      taper: runTaper(flags),
      eager: missing ? undefined : runPyTorch(flags),
    }));
    const compiled = missing ? undefined : runPyTorch([...flags, '--compile']);
    const seconds = median(turns.map(({ taper }) => taper.step_s_median));
    const ratio = (others: (StepResult | undefined)[]) =>
      others[0] === undefined ? undefined : median(others.map((other) => other!.step_s_median)) / seconds;
    const overEager = ratio(turns.map(({ eager }) => eager));
    const overCompiled = ratio([compiled]);
    const tokens = (s: number | undefined) => (s === undefined ? '' : `${Math.round((batch * seq) / s)}`);
    const { taper } = turns[0]!;
    rows.push([
      `${batch}`,
      tokens(seconds),
      `${(100 * median(turns.map(({ taper }) => taper.mfu))).toFixed(0)} %`,
      `${((100 * taper.host_s_median) / seconds).toFixed(0)} %`,
      `${taper.peak_memory_mb}`,
      tokens(overEager && overEager * seconds),
      overEager?.toFixed(2) ?? '',
      tokens(overCompiled && overCompiled * seconds),
      overCompiled?.toFixed(2) ?? '',
    ]);
    console.log(rows.at(-1)!.join('  '));
    if (overEager === undefined || overCompiled === undefined) continue;
    demands.push(
      {
        text: `micro-batch ${batch}: at least 1.3 times eager PyTorch (${overEager.toFixed(2)})`,
        isMet: overEager >= 1.3,
      },
      { text: `micro-batch ${batch}: not slower than compiled (${overCompiled.toFixed(2)})`, isMet: overCompiled >= 1 },
    );
  }
  return {
    text: `## Beside PyTorch

BERT-base, every block on, sequence ${seq}, dropout 0.1, bf16, AdamW, clipping; PyTorch with its scaled-dot-product attention and
its fused AdamW. Medians of ${steps} steps; taper and eager PyTorch in turn, twice each. MFU is against the fastest large matrix product on
this GPU in the same minute. Host is the share of a step after which all of its work had been given out.

${table(rows)}`,
    demands,
  };
}

/** PLD late in training against every block on. */
function skippedBlocks(): { text: string; demands: Demand[] } {
  const batch = 256;
  const flags = flagsOf(batch, 60);
  const dense = runTaper(flags);
  const dropped = runTaper([...flags, '--theta', '0.5']);
  const work = bertWork({ layers, hidden, batch, seq, vocab });
  const time = 1 - dropped.step_s_mean / dense.step_s_mean;
  const flops = 1 - stepFlops(work, dropped.mean_layers_run) / stepFlops(work, layers);
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return {
    text: `## What skipped blocks save

PLD at θ = 0.5 against every block on, micro-batch ${batch}, means of 60 steps each.

${table([
  ['mean depth', 's/step, dense', 's/step, PLD', 'time saved', 'step FLOPs saved'],
  [dropped.mean_layers_run, dense.step_s_mean, dropped.step_s_mean, percent(time), percent(flops)],
])}`,
    demands: [{ text: `at θ = 0.5 a step takes at least 22 % less time (${percent(time)})`, isMet: time >= 0.22 }],
  };
}
