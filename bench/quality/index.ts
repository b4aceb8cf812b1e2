import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../../src/averages.ts';
import { lineChart } from '../../src/report/index.ts';
import { missingPyTorch } from '../programs.ts';
import { table, writeResults } from '../report.ts';
import { records, stepsToTarget, type TrainedRung } from './records.ts';
import { type Rung, rungs, seeds, target } from './rungs.ts';
import { ladder } from './table.ts';
import { writeSequences } from './texts.ts';
import { stepTimes } from './times.ts';
import { trainLadder } from './train.ts';

const rounds = 3;
const results = fileURLToPath(new URL('../../../docs/results', import.meta.url));
const minutesShown = [0.5, 1, 2, 5, 10, 20, 50, 100, 200];

/**
 * What docs/results/quality.md holds: how long each rung of the ladder takes to one held-out accuracy. Trains what has no record
 * in quality.jsonl beside it, which takes hours and resumes where it was stopped; then times steps, the rungs in turn. With names
 * of rungs it only trains those.
 */
export async function quality(args: string[]): Promise<void> {
  const options = { threads: { type: 'string', default: '2' } } as const; // changes no result: steps are timed afterwards
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [books, ...names] = positionals;
  if (books === undefined) throw new Error('give the folder of the books: npm run bench -- quality BOOKS');
  const folder = resolve(process.env.INIT_CWD ?? '.', books);
  if (!existsSync(join(folder, 'valid.jsonl.gz'))) throw new Error(`${folder}: has no valid.jsonl.gz`);
  const unknown = names.find((name) => !rungs.some((rung) => rung.name === name));
  if (unknown !== undefined) throw new Error(`${unknown}: there are ${rungs.map(({ name }) => name).join(', ')}`);
  const missing = missingPyTorch('transformers', 'accelerate');
  if (missing) throw new Error(`cannot compare with transformers: ${missing} is missing`);
  await writeSequences(folder);
  await trainLadder(folder, names, Number(values.threads));
  if (names.length > 0) return;
  report(records(), stepTimes(folder, rungs, rounds));
}

function report(all: readonly TrainedRung[], times: ReadonlyMap<Rung, readonly number[]>): void {
  const climbed = rungs.map((rung) => ({
    rung,
    steps: seeds.map((seed) => stepsToTarget(all, rung, seed)),
    ...longestOf(all.filter((one) => one.rung === rung.name)),
    seconds: times.get(rung)!,
  }));
  const stepOf = (name: string) => median(climbed.find(({ rung }) => rung.name === name)!.seconds);
  mkdirSync(join(results, 'quality'), { recursive: true });
  writeFileSync(join(results, 'quality', 'accuracy-by-minutes.svg'), curves(all, times));
  writeResults(
    'quality',
    'The speed-run: minutes to one accuracy',
    'npm run bench -- quality BOOKS',
    `Minutes of training on two cores until ${100 * target} % of the masked tokens of held-out books are predicted (15 % masked, sequences of 128), for a
model of 12 blocks of width 128 with 8,192 tokens, in steps of 32 sequences. Each training run is complete: its learning rate decays to
0. A recipe is trained with more or fewer steps until there are trainings on either side of the target, at most a factor of 1.5 apart, and the steps are interpolated
between them. For a rung that missed the target, the table shows its longest training and the accuracy with each seed. A step's time is the mean of a short run of the same
recipe on two threads, ${rounds} rounds, the rungs in turn. Figures are medians, with the range in brackets: of the seeds ${seeds.join(' and ')}, and of the rounds.

${table(ladder(climbed))}

A step of the same BERT takes transformers ${(stepOf('transformers') / stepOf('bert')).toFixed(1)} times as long as taper: that is the gain from the engine. The ModernBERT row shows the gain from the model and its recipe; its speed-up is
relative to taper's BERT. Differences of a few percent between the last rows are within the range of the step times.

Held-out accuracy of all trainings by the minutes that they take, seed ${seeds[0]}:

![Held-out accuracy by minutes of training](quality/accuracy-by-minutes.svg)

Everything that was trained is in [quality.jsonl](quality.jsonl); what the rungs are, in [bench/quality/rungs.ts](../../bench/quality/rungs.ts) and
[configs/quality.yaml](../../configs/quality.yaml).`,
  );
}

/** The longest trainings of a rung. */
function longestOf(trained: readonly TrainedRung[]) {
  const longest = Math.max(...trained.map(({ steps }) => steps));
  return { longest, reached: trained.filter(({ steps }) => steps === longest).map(({ accuracy }) => accuracy) };
}

function curves(all: readonly TrainedRung[], times: ReadonlyMap<Rung, readonly number[]>): string {
  const series = rungs.map((rung) => ({
    name: rung.name,
    points: all
      .filter((one) => one.rung === rung.name && one.seed === seeds[0])
      .sort((a, b) => a.steps - b.steps)
      .map(({ steps, accuracy }) => [(steps * median(times.get(rung)!)) / 60, 100 * accuracy] as const),
  }));
  return lineChart({
    title: 'Held-out accuracy of whole trainings',
    xLabel: 'minutes of training',
    yLabel: '% of masked tokens',
    logTicks: minutesShown,
    series,
  });
}
