import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { mean } from '../../src/averages.ts';
import { lastConfig } from '../../src/config/index.ts';
import { lineChart } from '../../src/report/index.ts';
import type { StepTimes } from '../../src/train/index.ts';
import { scoredTasks } from '../glue-scores.ts';
import type { Measured } from '../records.ts';
import { percent, table, writeResults } from '../report.ts';
import { type BySeed, differences } from '../statistics.ts';
import { measureInTurn, secondsOf } from '../step-times.ts';
import { type Analysis, analysed, analysedSteps, analysisOf, type Figure, figureOf } from './analyses.ts';
import { meanScores, scored, scoresOf, sensitive, varied } from './glue.ts';
import {
  baseline,
  checkpoints,
  compared,
  fineTuningRates,
  learningRates,
  type PaperTraining,
  pld,
  preln,
  type Recipe,
  recipes,
  trainings,
} from './settings.ts';
import { configOf, lossOf, outcomeOf, recipeOfTraining, records } from './train.ts';
import { asGood, bearsHighRate, harmsMore, isSooner, lessSensitive, savesTime, type Verdict } from './verdicts.ts';

const folder = fileURLToPath(new URL('../../../docs/results/paper', import.meta.url));

/** A statement of the paper, in our words, and what we found. */
interface Claim {
  says: string;
  holds: Verdict;
  found: string;
}

type Times = Measured & Record<'pre' | 'post', StepTimes> & { threads: number };

/** The times that were measured before, or else now. */
function openTimes(threads: number): Times {
  const recipe = recipeOfTraining(baseline);
  const known = records.get<Times>('times', recipe);
  if (known) return known;
  const configs = [preln, baseline].map((training) => {
    const config = configOf(training);
    return { ...config, train: { ...config.train, threads } };
  });
  const [preTimes, postTimes] = measureInTurn(configs);
  return records.keep('times', recipe, { pre: preTimes!, post: postTimes!, threads });
}

/** The seconds of a training up to a step. */
function timeOf(training: PaperTraining, step: number, times: Times): number {
  const config = configOf(training);
  return secondsOf(config, times[config.model.norm], step);
}

/** Writes docs/results/paper.md from the records that there are. */
export function reportPaper(threads: number): void {
  const times = openTimes(threads);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/loss-by-samples.svg`, curves());
  const claims = [
    savedTime(times),
    equalSamples(),
    speedUp(times),
    highRates(),
    randomDrop(),
    fineTuningRate(),
    ...analysisClaims.map(byAnalysis),
  ];
  const verdicts = claims.map(({ says, holds }, i) => [`[${i + 1}](#${i + 1})`, says, verdictOf(holds)]);
  const { model, data, train } = lastConfig(configOf(preln));
  const sections = claims.map(
    ({ says, holds, found }, i) => `## ${i + 1}\n\n> ${says}\n\n**${verdictOf(holds)}.** ${found}`,
  );
  writeResults(
    'paper',
    'The paper, on two cores',
    'npm run reproduce -- paper BOOKS GLUE',
    `What Zhang and He report, in our words, beside what a BERT of ${model.layers} blocks of width ${model.hiddenSize} does: ${data.sequenceLength} tokens per sequence, ${train.steps.toLocaleString('en')} steps of ${train.batchSize} sequences of public-domain
books (\`configs/paper.yaml\`). Theirs is BERT-base on 64 GPUs, with thousands of times the tokens. Where ours does not agree, its size may be the reason. Losses
are held-out losses in nats of one seed, unless two are given; a difference below twice that between two seeds (${noiseText()}) counts as none. Times are those of steps measured
on ${times.date} (${times.processor}, ${times.threads} threads). Trained: ${datesText()}.

${table([['', 'the paper says', 'here'], ...verdicts])}

![Held-out loss by samples](paper/loss-by-samples.svg)

${sections.join('\n\n')}`,
  );
}

/** Twice the largest difference between two seeds of a compared recipe, in nats; undefined if none has two. */
function noise(): number | undefined {
  const differences = compared.flatMap((training) => {
    const [first, second] = [1, 2].map((seed) => lossOf({ ...training, seed }));
    const difference = Math.abs((first ?? Number.NaN) - (second ?? Number.NaN));
    return Number.isFinite(difference) ? [difference] : [];
  });
  return differences.length > 0 ? 2 * Math.max(...differences) : undefined;
}

const noiseText = () => noise()?.toFixed(3) ?? 'not known yet';

function datesText(): string {
  const outcomes = trainings.flatMap((training) => outcomeOf(training) ?? []);
  return [...new Set(outcomes.map(({ date, processor }) => `${date}, ${processor}`))].join('; ') || 'nothing yet';
}

const verdictOf = (holds: Verdict) => (holds === undefined ? 'Cannot tell' : holds ? 'Agrees' : 'Does not agree');
const labelOf = ({ recipe, learningRate }: Pick<PaperTraining, 'recipe' | 'learningRate'>) =>
  `${recipes[recipe].label}, ${learningRate}`;
const lossText = (training: PaperTraining) => {
  const loss = lossOf(training);
  return loss === undefined ? 'not trained yet' : Number.isFinite(loss) ? loss.toFixed(3) : 'diverged';
};

function savedTime(times: Times): Claim {
  const saved = 1 - timeOf(pld, checkpoints.all, times) / timeOf(preln, checkpoints.all, times);
  return {
    says: 'PLD saves 24 % of the time per sample.',
    holds: savesTime(saved),
    found: `${percent(saved)} less than PreLN without dropping, by the measured times of steps (3 points more or less agree).`,
  };
}

function equalSamples(): Claim {
  const says = 'After the same samples, PLD is as good as training without dropping, or better.';
  const [own, dense] = [pld, preln].map((training) => meanScores(training, checkpoints.all));
  const bothSeeds = (training: PaperTraining) => [1, 2].map((seed) => lossText({ ...training, seed })).join(' and ');
  const losses = `Held-out loss: PreLN ${bothSeeds(preln)}, PLD ${bothSeeds(pld)}.`;
  if (!own || !dense) return { says, holds: undefined, found: losses };
  const bySeed = (scores: readonly number[]): BySeed => new Map(scores.map((score, i) => [i, score]));
  const difference = differences(bySeed(dense), [bySeed(own)])[0]!;
  const { mean: more, margin } = difference;
  return {
    says,
    holds: asGood(difference),
    found: `GLUE, the mean of ${scoredTasks.length} tasks: PLD minus PreLN ${more.toFixed(2)} ± ${margin.toFixed(2)} points (paired t-test over the seeds of fine-tuning; less than a point worse is as good). ${losses}`,
  };
}

function speedUp(times: Times): Claim {
  const scoreOf = (training: PaperTraining, step: number) => {
    const scores = meanScores(training, step);
    return scores && mean(scores);
  };
  const target = scoreOf(baseline, checkpoints.all);
  const whole = timeOf(baseline, checkpoints.all, times);
  const rows = scored.map(([training, step]) => {
    const score = scoreOf(training, step);
    const seconds = timeOf(training, step, times);
    const reaches = score !== undefined && target !== undefined && score >= target;
    return { training, step, score, seconds, reaches };
  });
  const first = (recipe: Recipe) => rows.find((row) => row.training.recipe === recipe && row.reaches);
  const fastest = first('pld');
  const isComplete = rows.every(({ score }) => score !== undefined);
  const cells = rows.map(({ training, step, score, seconds, reaches }) => [
    labelOf(training),
    percent(step / checkpoints.all),
    (seconds / 60).toFixed(1),
    score?.toFixed(1) ?? '',
    reaches ? `${(whole / seconds).toFixed(2)}×` : '',
  ]);
  return {
    says: 'PLD with a ten times higher learning rate has the GLUE score of the baseline after 47 to 54 % of the samples, 2.5 to 2.8 times sooner.',
    holds: isSooner(isComplete ? (fastest ? whole / fastest.seconds : 0) : undefined),
    found: `Checkpoints of a run, as in the paper: their learning rate has not decayed. PreLN at the same rate without dropping is in the table, too.

${table([['model', 'samples', 'minutes', `GLUE (mean of ${scoredTasks.length} tasks)`, 'sooner than the baseline'], ...cells])}`,
  };
}

function highRates(): Claim {
  const names = ['postln', 'preln', 'pld'] as const;
  const at = (recipe: Recipe, learningRate: string) => ({ recipe, learningRate, seed: 1 });
  const rows = names.map((recipe) => [
    recipes[recipe].label,
    ...learningRates.map((learningRate) => lossText(at(recipe, learningRate))),
  ]);
  const [low, high] = ['1e-4', '1e-3'];
  const gain = (recipe: Recipe) => {
    const [before, after] = [low, high].map((rate) => lossOf(at(recipe, rate!)));
    return before === undefined || after === undefined ? undefined : before - after;
  };
  const [preGain, postGain, seeds] = [gain('preln'), gain('postln'), noise()];
  return {
    says: 'PostLN does not tolerate a ten times higher learning rate (1e-3), PreLN gains by it.',
    holds:
      preGain === undefined || postGain === undefined || seeds === undefined
        ? undefined
        : bearsHighRate(preGain, postGain, seeds),
    found: `Held-out loss at the end by the peak learning rate of pre-training:\n\n${table([['model', ...learningRates], ...rows])}`,
  };
}

function randomDrop(): Claim {
  const rate = '1e-3';
  const loss = (recipe: Recipe) => lossOf({ recipe, learningRate: rate, seed: 1 });
  const harm = (recipe: 'preln' | 'postln') => {
    const [dense, random] = [loss(recipe), loss(`${recipe}-random`)];
    return dense === undefined || random === undefined ? undefined : random - dense;
  };
  const [ofPre, ofPost, seeds] = [harm('preln'), harm('postln'), noise()];
  return {
    says: 'Dropping each block at random with probability ½ hurts PostLN far more than PreLN.',
    holds:
      ofPre === undefined || ofPost === undefined || seeds === undefined ? undefined : harmsMore(ofPost, ofPre, seeds),
    found: `Held-out loss at ${rate}: ${(['preln', 'preln-random', 'postln', 'postln-random'] as const)
      .map((recipe) => `${recipes[recipe].label}: ${lossText({ recipe, learningRate: rate, seed: 1 })}`)
      .join('; ')}.`,
  };
}

function fineTuningRate(): Claim {
  const scoreAt = (training: PaperTraining, learningRate: string) => {
    const all = sensitive.map((task) => scoresOf({ training, step: checkpoints.all, task, learningRate }));
    if (all.some((scores) => scores === undefined)) return undefined;
    return all.some((scores) => scores === null) ? null : 100 * mean(all.flatMap((scores) => scores!));
  };
  const rows = varied.map((training) => {
    const scores = fineTuningRates.map((rate) => scoreAt(training, rate));
    const known = scores.filter((score) => score !== undefined);
    const range =
      known.length < scores.length
        ? undefined
        : Math.max(...known.map((score) => score ?? 0)) - Math.min(...known.map((score) => score ?? 0));
    return { training, scores, range };
  });
  const [ofBaseline, , ofPld] = rows.map(({ range }) => range);
  const cells = rows.map(({ training, scores, range }) => [
    labelOf(training),
    ...scores.map((score) => (score === undefined ? '' : score === null ? 'diverged' : score.toFixed(1))),
    range?.toFixed(1) ?? '',
  ]);
  return {
    says: 'A model trained with PLD is less sensitive to the learning rate of fine-tuning than the baseline.',
    holds: ofBaseline === undefined || ofPld === undefined ? undefined : lessSensitive(ofPld, ofBaseline),
    found: `Mean of ${sensitive.map(({ title }) => title.split(',')[0]).join(' and ')} over three seeds, × 100, by the peak learning rate of fine-tuning. One that diverges counts as 0; ranges within a point of each other are equal.\n\n${table([['model', ...fineTuningRates, 'range'], ...cells])}`,
  };
}

/** A claim about PostLN and PreLN, tested by one number of each analysis. */
interface AnalysisClaim {
  says: string;
  /** What the number is. */
  what: string;
  numberOf(analysis: Analysis): number;
  figures: readonly Figure[];
  /** Whether it holds, by the numbers at each step. */
  holds(ofPost: readonly number[], ofPre: readonly number[]): boolean;
}

const isAlwaysLower = (ofPost: readonly number[], ofPre: readonly number[]) =>
  ofPre.every((value, i) => value < ofPost[i]!);

const analysisClaims: readonly AnalysisClaim[] = [
  {
    says: 'Under PostLN the gradient norms of the blocks differ a lot; under PreLN they are even (figure 1).',
    what: 'The largest gradient norm of a block divided by the smallest',
    numberOf: ({ parameterNorms }) => Math.max(...parameterNorms) / Math.min(...parameterNorms),
    figures: ['gradient-norms'],
    holds: isAlwaysLower,
  },
  {
    says: 'PreLN blocks preserve the norm of the gradient better than PostLN blocks (figure 2).',
    what: 'The mean distance of a block’s norm ratio from 1, |log₂ ratio|',
    numberOf: ({ normRatios }) => mean(normRatios.map((ratio) => Math.abs(Math.log2(ratio)))),
    figures: ['norm-ratios'],
    holds: isAlwaysLower,
  },
  {
    says: 'Removing one of the upper blocks of a trained model costs less than removing one of the lower blocks (figure 3).',
    what: 'The mean rise of the loss without a block of the lower half, minus that without one of the upper half, in nats',
    numberOf({ loss, withoutBlock }) {
      const half = withoutBlock.length / 2;
      const rises = withoutBlock.map((without) => without - loss);
      return mean(rises.slice(0, half)) - mean(rises.slice(half));
    },
    figures: ['lesions'],
    holds: (_, ofPre) => ofPre.at(-1)! > 0,
  },
  {
    says: 'As training proceeds, PreLN blocks change the state of a token less, so they can be skipped (figure 4).',
    what: 'The mean angle between the state of a token before and after a block, in degrees',
    numberOf: ({ angles }) => mean(angles),
    figures: ['distances', 'angles'],
    holds: (_, ofPre) => ofPre.at(-1)! < ofPre[0]!,
  },
];

function byAnalysis({ says, what, numberOf, figures, holds }: AnalysisClaim): Claim {
  const numbers = analysed.map((training) =>
    analysedSteps.flatMap((step) => {
      const analysis = analysisOf(training, step);
      return analysis ? [numberOf(analysis)] : [];
    }),
  );
  if (numbers.some(({ length }) => length < analysedSteps.length))
    return { says, holds: undefined, found: 'Not analysed yet.' };
  const rows = analysed.map((training, i) => [labelOf(training), ...numbers[i]!.map((value) => value.toFixed(3))]);
  const head = ['model', ...analysedSteps.map((step) => `step ${step.toLocaleString('en')}`)];
  const images = figures.flatMap((figure) =>
    analysed.map((training) => `![${labelOf(training)}: ${figure}](${figureOf(training, checkpoints.all, figure)})`),
  );
  const found = `${what}:\n\n${table([head, ...rows])}\n\n${images.join('\n')}`;
  return { says, holds: holds(numbers[0]!, numbers[1]!), found };
}

function curves(): string {
  const { train } = lastConfig(configOf(preln));
  const series = compared.flatMap((training) => {
    const outcome = outcomeOf(training);
    if (!outcome || !('losses' in outcome)) return [];
    const points = outcome.losses.map(([step, loss]) => [step * train.batchSize, loss] as const);
    return [{ name: labelOf(training), points }];
  });
  return lineChart({ title: 'Held-out loss by samples', xLabel: 'sequences trained on', yLabel: 'loss, nats', series });
}
