import { median } from '../src/averages.ts';
import { lastConfig, loadConfig } from '../src/config/index.ts';
import { stepFlops } from '../src/depth/index.ts';
import { scope, setNumThreads, Tensor } from '../src/tensor/index.ts';
import { workOf } from '../src/train/index.ts';
import { missingPyTorch, runTaper, runTransformers, type StepResult } from './programs.ts';
import { medianText, table, writeResults } from './report.ts';

const presets = ['ettin-32m', 'llama-mini'] as const;
const precisions = ['fp32', 'bf16'] as const;
const [threads, batch, sequenceLength] = [2, 32, 128];

/** What docs/results/models.md holds: models of today beside transformers', what skipping saves in them, and what a window does. */
export function models(rounds = 3): void {
  const missing = missingPyTorch('transformers');
  if (missing) throw new Error(`cannot compare with transformers: ${missing} is missing`);
  const sections = [besideTransformers(rounds), skipping(rounds - 2), windows(rounds)];
  writeResults('models', 'Modern models on the CPU', 'npm run bench -- models', sections.join('\n\n'));
}

type Preset = (typeof presets)[number];
const flagsOf = (preset: Preset, dtype: string, steps: number) =>
  Object.entries({ preset, dtype, threads, batch, seq: sequenceLength, steps, warmup: 2 }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);

/** What transformers computes logits of, beside taper, which in an encoder takes only the masked tokens. */
const variants: { preset: Preset; logits: string; flags?: string[] }[] = [
  { preset: 'ettin-32m', logits: 'of masked tokens' },
  { preset: 'ettin-32m', logits: 'of all tokens', flags: ['--all-logits'] },
  { preset: 'llama-mini', logits: 'of all tokens' },
];

function besideTransformers(rounds: number): string {
  const rows = [
    [
      'model',
      "transformers' logits",
      'precision',
      'transformers s/step',
      'taper s/step',
      'ratio',
      'MFU',
      'transformers MB',
      'taper MB',
    ],
  ];
  let versions = '';
  for (const variant of variants) {
    for (const dtype of precisions) {
      const flags = flagsOf(variant.preset, dtype, 4);
      const pairs = Array.from({ length: rounds }, () => ({
        theirs: runTransformers([...flags, ...(variant.flags ?? [])]),
        ours: runTaper(flags),
      }));
      const seconds = (who: 'theirs' | 'ours') => pairs.map((pair) => pair[who].step_s_median);
      const most = (who: 'theirs' | 'ours') => `${Math.max(...pairs.map((pair) => pair[who].peak_memory_mb))}`;
      const ratios = pairs.map(({ theirs, ours }) => theirs.step_s_median / ours.step_s_median);
      rows.push([
        variant.preset,
        variant.logits,
        dtype,
        medianText(seconds('theirs'), 2),
        medianText(seconds('ours'), 2),
        medianText(ratios, 2),
        medianText(
          pairs.map(({ ours }) => 100 * ours.mfu),
          0,
          ' %',
        ),
        most('theirs'),
        most('ours'),
      ]);
      console.log(rows.at(-1)!.join('  '));
      versions = `${pairs[0]!.theirs.peer} and ${pairs[0]!.ours.peer}`;
    }
  }
  return `## Compared with transformers

${versions}, ${threads} threads each; sequence ${sequenceLength}, batch ${batch}, a vocabulary of 30,522, no dropout, AdamW (PyTorch's fused one), clipping,
attention by \`scaled_dot_product_attention\`. For an encoder's loss taper computes logits of the masked tokens only (30 %); transformers does so with
\`sparse_prediction\`, which is not its default. ${rounds} rounds, and the two programs alternate in
each; a round's figure is the median of its steps. Shown are the median over the rounds and, in brackets, minimum and maximum. Above 1,
taper is faster.

${table(rows)}`;
}

function skipping(rounds: number): string {
  const rows = [['model', 'precision', 'mean depth', 'step FLOPs saved', 'time saved', 'time / FLOPs']];
  for (const preset of presets) {
    const { config } = loadConfig({
      overrides: {
        model: { preset, vocabSize: 30522 },
        data: { sequenceLength },
        train: { steps: 1, batchSize: batch },
      },
    });
    const work = workOf(lastConfig(config));
    for (const dtype of precisions) {
      const flags = flagsOf(preset, dtype, 8);
      const pairs = Array.from({ length: rounds }, () => ({
        dense: runTaper(flags),
        dropped: runTaper([...flags, '--theta', '0.5']),
      }));
      const saved = pairs.map(({ dense, dropped }) => ({
        flops: 1 - stepFlops(work, dropped.mean_layers_run) / stepFlops(work, work.layers),
        time: 1 - dropped.step_s_mean / dense.step_s_mean,
      }));
      const depth = ({ mean_layers_run }: StepResult) => mean_layers_run;
      const percent = (fractions: number[]) =>
        medianText(
          fractions.map((fraction) => 100 * fraction),
          1,
          ' %',
        );
      rows.push([
        preset,
        dtype,
        medianText(
          pairs.map(({ dropped }) => depth(dropped)),
          2,
        ),
        percent(saved.map(({ flops }) => flops)),
        percent(saved.map(({ time }) => time)),
        medianText(
          saved.map(({ time, flops }) => time / flops),
          2,
        ),
      ]);
      console.log(rows.at(-1)!.join('  '));
    }
  }
  return `## What skipped blocks save

PLD at θ = 0.5, as late in training, against dense steps: 8 steps each, ${rounds} round${rounds === 1 ? '' : 's'}. At 1 in the last column, time falls with the FLOPs.

${table(rows)}`;
}

/** Attention of the local and the global blocks of ettin-32m: forward and backward. */
function windows(rounds: number): string {
  const [N, T, heads, headSize] = [4, 1024, 6, 64];
  setNumThreads(threads);
  const rotary = Array.from({ length: headSize / 2 }, (_, i) => 10_000 ** ((-2 * i) / headSize));
  const rows = [['precision', 'global ms', 'local ms', 'local / global']];
  for (const [name, dtype] of [
    ['fp32', 'float32'],
    ['bf16', 'bfloat16'],
  ] as const) {
    const once = (window: number) =>
      scope(() => {
        const qkv = Tensor.normal([N, T, 3 * heads * headSize], { std: 1, seed: 1 })
          .to(dtype)
          .detach()
          .requiresGrad();
        const cotangent = Tensor.normal([N, T, heads * headSize], { std: 1, seed: 2 }).to(dtype);
        const started = performance.now();
        qkv.attention(heads, { rotary, window }).grad([qkv], cotangent);
        return performance.now() - started;
      });
    // In turn, since other programs use the machine.
    const pairs = Array.from({ length: 8 * rounds }, () => [once(-1), once(64)] as const).slice(rounds);
    const [global, local] = [pairs.map(([own]) => own), pairs.map(([, own]) => own)];
    rows.push([name, medianText(global, 1), medianText(local, 1), (median(local) / median(global)).toFixed(2)]);
    console.log(rows.at(-1)!.join('  '));
  }
  return `## What a window saves

Attention of ettin-32m (${heads} heads of ${headSize}) over ${N} sequences of ${T} tokens, forward and backward: in a global block, and in a local one whose tokens
see 64 tokens on each side.

${table(rows)}`;
}
