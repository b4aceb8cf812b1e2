import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastConfig, loadConfig, type StepConfig } from '../src/config/index.ts';
import { objectives } from '../src/data/index.ts';
import { constant, stepFlops } from '../src/depth/index.ts';
import { initialise } from '../src/model/index.ts';
import { type Comparison, type Cost, compareRuns, lossCurves, type Spread } from '../src/report/index.ts';
import { scope } from '../src/tensor/index.ts';
import {
  measureSteps,
  randomBatch,
  type StepTimes,
  stepSeconds,
  trainingState,
  trainStep,
  workOf,
} from '../src/train/index.ts';
import { recordOf, recordsFolder, type StoredRecord, trainings } from './depth.ts';
import { table, writeResults } from './report.ts';

/** A step's time as a function of its depth, by what it depends on. */
interface Timing {
  pre: StepTimes;
  post: StepTimes;
  /** What a step with a gate for each sequence takes over one of the same depth with gates for the micro-batch. */
  bySequence: number;
}

/**
 * Times steps of the comparison's models on this machine, which should do nothing else, and writes docs/results/depth.md
 * from the records of all trainings that there are.
 */
export function reportDepth(): void {
  const found = trainings.flatMap((training) => recordOf(training) ?? []);
  if (found.length < 2) throw new Error('there are no two records to compare: npm run reproduce -- depth DATA');
  const timing = time();
  const records = found.map((record) => timed(record, timing));
  const comparison = compareRuns(records);
  mkdirSync(recordsFolder, { recursive: true });
  for (const [name, svg] of Object.entries(lossCurves(firstSeeds(records))))
    writeFileSync(join(recordsFolder, name), svg);
  const missing = trainings.filter((training) => recordOf(training) === undefined).map(({ id }) => id);
  writeResults(
    'depth',
    'Depth methods side by side',
    'npm run reproduce -- depth',
    document(records, comparison, timing, missing),
  );
}

/** One run of each setting, for the curves. */
function firstSeeds(records: readonly StoredRecord[]): StoredRecord[] {
  return records.filter(({ name }, i) => records.findIndex((other) => other.name === name) === i);
}

function configOf(norm: 'pre' | 'post'): StepConfig {
  return lastConfig(loadConfig({ file: 'configs/depth.yaml', overrides: { model: { norm } } }).config);
}

function time(): Timing {
  const [pre, post] = (['pre', 'post'] as const).map((norm) => measureSteps(configOf(norm)));
  return { pre: pre!, post: post!, bySequence: sequenceFactor(configOf('pre')) };
}

/** Steps at θ = 0.5 with both kinds of gates in turn, over what their depth lets expect. */
function sequenceFactor(config: StepConfig): number {
  const { model, data, train } = config;
  const work = workOf(config);
  return scope(() => {
    const depth = constant({ layers: model.layers, thetaBar: 0.5, profile: 'linear' });
    const base = { ...trainingState(config, initialise(model, 1)), depth };
    const batch = randomBatch({
      sequences: train.batchSize,
      sequenceLength: data.sequenceLength,
      vocabSize: model.vocabSize,
      predictedTokens: work.predictedTokens,
      hasPairs: objectives[data.objective].hasPairs,
    });
    const spent = (['batch', 'sequence'] as const).map((granularity) => ({ granularity, seconds: 0, flops: 0 }));
    const numWarmup = 12;
    for (let step = 0; step < 60; step++) {
      for (const kind of spent) {
        const state = { ...base, config: { ...config, depth: { ...config.depth, granularity: kind.granularity } } };
        const started = performance.now();
        const result = trainStep(state, step, [batch]);
        if (step < numWarmup) continue;
        kind.seconds += (performance.now() - started) / 1000;
        kind.flops += stepFlops(work, result.depth, result.updatedBlocks);
      }
    }
    const [batchWide, bySequence] = spent;
    return bySequence!.seconds / bySequence!.flops / (batchWide!.seconds / batchWide!.flops);
  });
}

/** The record with the time that its steps would have taken here, undisturbed. */
function timed(record: StoredRecord, { pre, post, bySequence }: Timing): StoredRecord {
  const times = record.config.model.norm === 'pre' ? pre : post;
  const factor = record.config.depth.granularity === 'sequence' ? bySequence : 1;
  const evaluations = record.evaluations.map((point) => {
    const depth = point.step === 0 ? 0 : point.depthSum / point.step;
    const seconds = factor * point.step * stepSeconds(times, { depth, updated: depth, microBatches: 1 });
    return { ...point, seconds };
  });
  return { ...record, evaluations };
}

const fixed = (value: number, digits: number) => value.toFixed(digits);
const spreadText = ({ mean, least, most }: Spread, digits: number) =>
  least === most ? fixed(mean, digits) : `${fixed(mean, digits)} (${fixed(least, digits)}–${fixed(most, digits)})`;

function document(
  records: readonly StoredRecord[],
  comparison: Comparison,
  timing: Timing,
  missing: readonly string[],
): string {
  const config = lastConfig(records[0]!.config);
  const { model, data, train } = config;
  const tokens = train.steps * train.batchSize * data.sequenceLength;
  const dense = train.steps * stepFlops(workOf(config), model.layers);
  const ofSetting = (names: readonly string[]) => comparison.runs.filter(({ name }) => names.includes(name));
  const reference = (name: string) => {
    const target = comparison.runs.find((run) => run.name === name);
    return target ? compareRuns(records, { loss: target.last.loss }) : undefined;
  };
  const rows = comparison.settings.map(({ runs, finalLoss, lossAtEqual }) => {
    const last = ofSetting(runs).map((run) => run.last);
    const depth = last.reduce((sum, point) => sum + point.depthSum / point.step, 0) / last.length;
    const flops = last.reduce((sum, point) => sum + point.flops, 0) / last.length;
    const seconds = last.reduce((sum, point) => sum + point.seconds, 0) / last.length;
    return [
      runs[0]!,
      String(runs.length),
      fixed(depth, 2),
      `${fixed(100 * (1 - depth / model.layers), 1)} %`,
      `${fixed(100 * (1 - flops / dense), 1)} %`,
      fixed(seconds / 60, 1),
      spreadText(finalLoss, 3),
      spreadText(lossAtEqual.flops, 3),
      spreadText(lossAtEqual.seconds, 3),
    ];
  });
  const head = [
    'setting',
    'seeds',
    'blocks run',
    'block FLOPs saved',
    'step FLOPs saved',
    'minutes',
    'final loss',
    'loss at equal FLOPs',
    'loss at equal time',
  ];
  const speedups = (name: string): string => {
    const to = reference(name);
    if (!to) return '';
    const base = to.runs.find((run) => run.name === name)!;
    const ratio = (run: Comparison['runs'][number], cost: Cost) =>
      run.toLoss ? fixed(base.toLoss![cost] / run.toLoss[cost], 2) : 'never';
    const lines = to.runs.map((run) => [
      `${run.name}, seed ${run.seed}`,
      ratio(run, 'samples'),
      ratio(run, 'flops'),
      ratio(run, 'seconds'),
    ]);
    return `### To the final loss of ${name} (${fixed(to.loss, 3)})\n\n${table([['run', 'samples', 'FLOPs', 'time'], ...lines])}`;
  };
  const { pre, post, bySequence } = timing;
  const ms = (times: StepTimes) =>
    `${fixed(1000 * (times.once + times.microBatch), 1)} ms and ${fixed(1000 * times.block, 2)} ms a block`;
  const machines = [...new Set(records.map(({ date, processor }) => `${date}, ${processor}`))].join('; ');
  return `${model.layers} blocks of width ${model.hiddenSize}, ${data.sequenceLength} tokens a sequence, ${train.steps} steps of ${train.batchSize} sequences (${fixed(tokens / 1e6, 1)} million tokens, less
than an epoch), ${train.precision}, as \`configs/depth.yaml\` says. Trained on public-domain books, held-out books of ${train.evalSamples} sequences. Trained:
${machines}.${missing.length > 0 ? ` Not trained yet: ${missing.join(', ')}.` : ''}

Losses are held-out MLM losses in nats with every block on. The trainings ran beside other work, so their clock says nothing;
time is that of steps timed apart, on a machine that did nothing else: ${ms(pre)} under PreLN, ${ms(post)}
under PostLN, two threads; times ${fixed(bySequence, 3)} with a gate a sequence. A run's time is that line over the depths that it ran.

## What each came to

At equal FLOPs and at equal time: where all runs had spent as much as the cheapest of them did in all.

${table([head, ...rows])}

![Held-out loss by samples](depth/loss-by-samples.svg)
![Held-out loss by FLOPs](depth/loss-by-flops.svg)
![Held-out loss by time](depth/loss-by-seconds.svg)

## How much less it took to reach a loss

Above 1: times less than that run. Between evaluations losses are interpolated linearly; nothing is smoothed.

${['PostLN, dense, 1e-4', 'PreLN, dense'].map(speedups).filter(Boolean).join('\n\n')}`;
}
