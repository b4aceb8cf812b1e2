import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { mean } from '../../src/averages.ts';
import { lastConfig } from '../../src/config/index.ts';
import { lineChart } from '../../src/report/index.ts';
import type { StepTimes } from '../../src/train/index.ts';
import { finalLoss } from '../books.ts';
import { scoredTasks } from '../glue-scores.ts';
import { table, writeResults } from '../report.ts';
import { type BySeed, type Difference, depthUse, differences, pooledDeviation, verdictOf } from '../statistics.ts';
import { configOf, type Times, timeOf } from './budget.ts';
import { type GlueRecord, glueOf } from './glue.ts';
import { type Setting, settingOf, settings } from './settings.ts';
import { outcomesOf, recordsOf, type TrainedRecord } from './train.ts';

const folder = fileURLToPath(new URL('../../../docs/results/depth', import.meta.url));
const numBest = 3;

/** A setting with its trainings, by rising seed. */
interface TrainedSetting {
  setting: Setting;
  records: readonly TrainedRecord[];
}

function allTrained(): TrainedSetting[] {
  return settings
    .map((setting) => ({ setting, records: recordsOf(setting) }))
    .filter(({ records }) => records.length > 0);
}

const byLoss = (a: TrainedSetting, b: TrainedSetting) =>
  mean(a.records.map(finalLoss)) - mean(b.records.map(finalLoss));

/** Dense, shallow, and of the other settings with several seeds those with the lowest loss for the same time: what is fine-tuned. */
export function fineTuned(): Setting[] {
  const compared = allTrained().filter(({ setting }) => setting.equal === 'time' && setting.seeds.length > 1);
  const others = compared.filter(({ setting }) => !['dense', 'shallow'].includes(setting.name));
  const best = others.sort(byLoss).slice(0, numBest);
  return [settingOf('dense'), settingOf('shallow'), ...best.map(({ setting }) => setting)];
}

/** Writes docs/results/depth.md from the records that there are. */
export function reportDepth(times: Times): void {
  const trained = allTrained();
  const dense = trained.find(({ setting }) => setting.name === 'dense');
  if (!dense) throw new Error('there is no record of dense training: npm run reproduce -- depth BOOKS');
  const others = trained.filter((each) => each !== dense).sort(byLoss);
  const toDense = pairedToDense(dense, others);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/loss-by-time.svg`, curves(trained, times));
  writeResults(
    'depth',
    'Depth methods side by side',
    'npm run reproduce -- depth BOOKS',
    page(dense, others, toDense, times),
  );
}

/** Each setting's losses minus those of dense training with the same seed, of those that have a seed in common. */
function pairedToDense(dense: TrainedSetting, others: readonly TrainedSetting[]): Map<TrainedSetting, Difference> {
  const bySeed = ({ records }: TrainedSetting): BySeed =>
    new Map(records.map((record) => [record.seed, finalLoss(record)]));
  const base = bySeed(dense);
  const paired = others.filter(({ records }) => records.some(({ seed }) => base.has(seed)));
  const found = differences(base, paired.map(bySeed));
  return new Map(paired.map((each, i) => [each, found[i]!]));
}

const stepText = ({ once, microBatch, block }: StepTimes) =>
  `${(1000 * (once + microBatch)).toFixed(1)} ms and ${(1000 * block).toFixed(2)} ms per block`;
const fixed = (value: number) => value.toFixed(3);
const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;

function differenceText({ mean, margin }: Difference): string {
  if (!Number.isFinite(margin)) return signed(mean);
  return `${signed(mean)} (${signed(mean - margin)} … ${signed(mean + margin)})`;
}

function page(
  dense: TrainedSetting,
  others: readonly TrainedSetting[],
  toDense: Map<TrainedSetting, Difference>,
  times: Times,
): string {
  const config = lastConfig(configOf(dense.setting));
  const { model, data, train } = config;
  const denseSeconds = timeOf(dense.setting, times);
  const rows = [dense, ...others].map((each) => {
    const { setting, records } = each;
    const seconds = timeOf(setting, times, records[0]!.steps);
    const losses = records.map(finalLoss);
    const difference = toDense.get(each);
    return {
      equal: setting.equal,
      cells: [
        setting.label,
        `${records.length}`,
        `${records[0]!.steps.toLocaleString('en')}`,
        mean(records.map(({ meanDepth }) => meanDepth)).toFixed(2),
        `${Math.round((100 * seconds) / denseSeconds)} %`,
        losses.length > 1
          ? `${fixed(mean(losses))} (${fixed(Math.min(...losses))}–${fixed(Math.max(...losses))})`
          : fixed(losses[0]!),
        difference ? differenceText(difference) : '',
        difference ? verdictOf(difference) : '',
      ],
    };
  });
  const head = ['setting', 'seeds', 'steps', 'blocks run', 'time', 'held-out loss', 'minus dense', 'verdict'];
  const ofBudget = (equal: Setting['equal']) =>
    rows.filter((row, i) => i === 0 || row.equal === equal).map(({ cells }) => cells);
  const machines = [
    ...new Set(
      [dense, ...others].flatMap(({ records }) => records.map(({ date, processor }) => `${date}, ${processor}`)),
    ),
  ];
  const named = (setting: Setting, seeds: readonly number[]) => seeds.map((seed) => `${setting.label} (seed ${seed})`);
  const missing = settings.flatMap((setting) => {
    const trained = outcomesOf(setting).map(({ seed }) => seed);
    return named(
      setting,
      setting.seeds.filter((seed) => !trained.includes(seed)),
    );
  });
  const diverged = settings.flatMap((setting) =>
    named(
      setting,
      outcomesOf(setting).flatMap((outcome) => ('diverged' in outcome ? [outcome.seed] : [])),
    ),
  );
  const { deviation, freedom } = pooledDeviation([dense, ...others].map(({ records }) => records.map(finalLoss)));
  return `${usesDepth(others, toDense, deviation)}

A ModernBERT of ${model.layers} blocks of width ${model.hiddenSize}, ${data.sequenceLength} tokens per sequence, ${train.batchSize} sequences per step, ${train.precision}, Muon and WSD, as \`configs/depth.yaml\` says; what
each setting changes is in [bench/depth/settings.ts](../../bench/depth/settings.ts). Trained on public-domain books, the learning rate decayed to 0 within each
run; held-out loss is that of the dense model, in nats, on ${train.evalSamples.toLocaleString('en')} sequences of other books. Trained: ${machines.join('; ')}.${missing.length > 0 ? ` Not trained yet: ${missing.join(', ')}.` : ''}${diverged.length > 0 ? ` Diverged: ${diverged.join(', ')}.` : ''}

Differences are between runs with the same seed: the same text in the same order, the same initial weights. In brackets the 95 % interval by Student's t,
with the standard deviation around the means of settings and of seeds, over all settings that have every seed. One of twenty such intervals misses, so one of these verdicts may be wrong. ${freedom === 0 ? 'No setting has two seeds yet, so there are no intervals.' : `The standard deviation of the loss between seeds is ${fixed(deviation)}.`}

## At equal time

Each method trains for as many steps as take the time of ${train.steps.toLocaleString('en')} dense ones. Trainings ran beside other work, so the time of a step was measured before
(${times.date}, ${times.processor}, ${times.threads} threads, both kinds of gates in turn): ${stepText(times.whole)}; with gates per sequence ${stepText(times.perSequence)}.

${table([head, ...ofBudget('time')])}

![Held-out loss by time](depth/loss-by-time.svg)

## At equal samples: does this model use its depth?

${table([head, ...ofBudget('samples')])}

${gluePart()}`;
}

/** The first line of the page. */
function usesDepth(
  others: readonly TrainedSetting[],
  toDense: Map<TrainedSetting, Difference>,
  deviation: number,
): string {
  const differenceOf = (name: string) => {
    const control = others.find(({ setting }) => setting.name === name);
    return control && toDense.get(control);
  };
  const [difference, ofSix] = ['samples-9', 'samples-6'].map(differenceOf);
  const depth = depthUse(difference, deviation);
  if (depth === 'unknown')
    return '**Whether this model uses its depth is not known yet**: its control with nine blocks does not have two seeds.';
  const found = `with nine of its twelve blocks and the same samples the loss changes by ${signed(difference!.mean)} nats, ${(difference!.mean / deviation).toFixed(1)} times the standard deviation between seeds${ofSix ? `, with six by ${signed(ofSix.mean)}` : ''}`;
  const lines = {
    much: `**This model uses its depth**: ${found}.`,
    little: `**This model uses its depth a little**: ${found}. That is less than four times, so differences between methods may be too small to see.`,
    none: `**Depth hardly matters at this size**: ${found}. What follows says little about larger models.`,
  };
  return lines[depth];
}

function gluePart(): string {
  const tuned = settings.map((setting) => ({ setting, glue: glueOf(setting) })).filter(({ glue }) => glue.length > 0);
  const base = tuned.find(({ setting }) => setting.name === 'dense');
  if (!base || tuned.length < 2) return '';
  const others = tuned.filter((one) => one !== base);
  const columns = scoredTasks.map(({ name: task }) => {
    const bySeed = ({ glue }: { glue: readonly GlueRecord[] }): BySeed =>
      new Map(glue.map(({ seed, scores }) => [seed, 100 * mean(scores[task]!)]));
    const toDense = differences(bySeed(base), others.map(bySeed));
    return tuned.map((one) => {
      const points = mean([...bySeed(one).values()]).toFixed(1);
      const difference = toDense[others.indexOf(one)];
      return difference ? `${points} (${pointsText(difference)})` : points;
    });
  });
  const rows = tuned.map(({ setting, glue }, i) => [
    setting.label,
    `${glue.length}`,
    ...columns.map((cells) => cells[i]!),
  ]);
  return `## After fine-tuning

Each training was fine-tuned with five seeds, and their mean counts as its score (× 100). In brackets the difference to dense, paired by the seed of the training, and its
95 % interval, which is that of trainings, as above.

${table([['setting', 'seeds', ...scoredTasks.map(({ title }) => title)], ...rows])}`;
}

/** A difference of scores: `+1.2 ± 0.8`, without an interval if nothing is known of the deviation. */
function pointsText({ mean: more, margin }: Difference): string {
  const points = `${more < 0 ? '−' : '+'}${Math.abs(more).toFixed(1)}`;
  return Number.isFinite(margin) ? `${points} ± ${margin.toFixed(1)}` : points;
}

function curves(trained: readonly TrainedSetting[], times: Times): string {
  const series = trained
    .filter(({ setting }) => setting.equal === 'time' && setting.seeds.length > 1)
    .map(({ setting, records: [first] }) => {
      const points = first!.losses.filter(([step]) => step > 0);
      return {
        name: setting.label.split(', ').slice(0, 2).join(', '),
        points: points.map(([step, loss]) => [timeOf(setting, times, first!.steps, step) / 60, loss] as const),
      };
    });
  return lineChart({ title: 'Held-out loss by time', xLabel: 'minutes of training', yLabel: 'loss, nats', series });
}
