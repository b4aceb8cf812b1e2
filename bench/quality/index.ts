import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { lineChart } from '../../src/report/index.ts';
import { missingPyTorch } from '../programs.ts';
import { median, spread, table, writeResults } from '../report.ts';
import { records, stepsToTarget, type Trained } from './records.ts';
import { type Rung, rungs, seeds, target } from './rungs.ts';
import { stepTimes } from './times.ts';
import { trainLadder } from './train.ts';

const rounds = 3;
const results = fileURLToPath(new URL('../../../docs/results', import.meta.url));

/**
 * What docs/results/quality.md holds: how long each rung of the ladder takes to the same held-out accuracy. Trains what has no record
 * in quality.jsonl beside it, which may take hours and goes on where it was stopped; then times steps, the rungs in turn. With names
 * of rungs it only trains those.
 */
export async function quality(args: string[]): Promise<void> {
  const options = { threads: { type: 'string', default: '2' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [books, ...names] = positionals;
  if (books === undefined) throw new Error('give the folder of the books: npm run bench -- quality BOOKS');
  const folder = resolve(process.env.INIT_CWD ?? '.', books);
  if (!existsSync(join(folder, 'valid.jsonl.gz'))) throw new Error(`${folder}: has no valid.jsonl.gz`);
  const unknown = names.find((name) => !rungs.some((rung) => rung.name === name));
  if (unknown !== undefined) throw new Error(`${unknown}: there are ${rungs.map(({ name }) => name).join(', ')}`);
  const missing = missingPyTorch('transformers');
  if (missing) throw new Error(`cannot compare with transformers: ${missing} is missing`);
  await trainLadder(folder, names, Number(values.threads));
  if (names.length > 0) return;
  report(records(), await stepTimes(folder, rungs, rounds));
}

function report(all: readonly Trained[], times: ReadonlyMap<Rung, readonly number[]>): void {
  const first = rungs[0]!;
  const secondsOf = (rung: Rung) => median(times.get(rung)!);
  const found = rungs.map((rung) => {
    const steps = seeds.map((seed) => stepsToTarget(all, rung, seed));
    const longest = Math.max(...all.filter((one) => one.rung === rung.name).map((one) => one.steps));
    // Where the target was missed with some seed, what was spent in vain is the least that it takes.
    const isReached = steps.every((count) => count !== undefined);
    const counts = steps.map((count) => count ?? longest);
    return { rung, counts, isReached, minutes: (median(counts) * secondsOf(rung)) / 60 };
  });
  const slowest = found[0]!;
  const rows = found.map(({ rung, counts, isReached, minutes }) => {
    const below = found.find((other) => other.rung.name === rung.on) ?? slowest;
    const times_ = (seconds: number, unreached: boolean) => `${unreached ? '> ' : ''}${seconds.toFixed(2)}`;
    return [
      rung.label,
      isReached ? spread(counts, 0) : `> ${Math.max(...counts).toLocaleString('en')}`,
      spread(
        times.get(rung)!.map((each) => 1000 * each),
        0,
      ),
      `${isReached ? '' : '> '}${minutes.toFixed(1)}`,
      rung === first ? '' : times_(below.minutes / minutes, !below.isReached),
      rung === first ? '' : times_(slowest.minutes / minutes, !slowest.isReached),
    ];
  });
  const head = ['rung', 'steps', 'ms/step', 'minutes', 'sooner than the one below', 'sooner than the first'];
  mkdirSync(join(results, 'quality'), { recursive: true });
  writeFileSync(join(results, 'quality', 'accuracy-by-minutes.svg'), curves(all, secondsOf));
  writeResults(
    'quality',
    'The speed-run: minutes to one accuracy',
    'npm run bench -- quality BOOKS',
    `Minutes of training on two processors until ${100 * target} % of the masked tokens of held-out books are predicted (15 % masked, sequences of 128), for a
model of 12 blocks of width 128 with 8,192 tokens in steps of 32 sequences. Each training is a whole one, whose learning rate falls to 0 at
its end: a rung is trained for more or fewer steps until there are trainings on either side of the target, at most a factor of 1.5 apart, and a line between
them says the steps. Their time is that of a short run of the same recipe, ${rounds} rounds, the rungs in turn. Steps: median over seeds ${seeds.join(' and ')} with the least and the most.

${table([head, ...rows])}

Held-out accuracy of all trainings over the minutes that they take, seed ${seeds[0]}:

![Held-out accuracy by minutes of training](quality/accuracy-by-minutes.svg)

Everything that was trained is in [quality.jsonl](quality.jsonl), what the rungs are in [bench/quality/rungs.ts](../../bench/quality/rungs.ts) and
[configs/quality.yaml](../../configs/quality.yaml).`,
  );
}

function curves(all: readonly Trained[], secondsOf: (rung: Rung) => number): string {
  const series = rungs.map((rung) => ({
    name: rung.label,
    points: all
      .filter((one) => one.rung === rung.name && one.seed === seeds[0])
      .sort((a, b) => a.steps - b.steps)
      .map(({ steps, accuracy }) => [(steps * secondsOf(rung)) / 60, 100 * accuracy] as const),
  }));
  return lineChart({
    title: 'Held-out accuracy of whole trainings',
    xLabel: 'minutes of training',
    yLabel: '% of masked tokens',
    series,
  });
}
