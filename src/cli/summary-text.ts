import { commandText, counted } from '../errors/index.ts';
import { compact, duration, flopsText, percent, rounded } from '../report/format.ts';
import type { EvalMetrics, Summary } from '../runs/index.ts';
import { isTooShort, leastSteps } from '../train/epochs.ts';
import type { PretrainResult } from '../train/index.ts';
import type { Look } from './look.ts';
import { bold } from './terminal.ts';

const accuracyOf = ({ mlmAccuracy, clmAccuracy }: EvalMetrics) => mlmAccuracy ?? clmAccuracy ?? 0;

/** A model learns little but common words from fewer tokens: docs/from-text-to-classifier.md; from few steps, too. */
const littleTokens = 10e6;

/** A model that predicts more than this has learned more, from a simple text even in few steps. */
const goodAccuracy = 0.5;

/** The summary of a run as text: what the model can do, then what it cost. */
export function summaryText(
  result: PretrainResult,
  summary: Summary,
  look?: Pick<Look, 'tokens' | 'commonest' | 'isContinued'>,
): string {
  const { firstEvaluation: first, lastEvaluation: last } = summary;
  const show = (value: number, text: (value: number) => string) =>
    Number.isFinite(value) ? text(value) : 'not finite';
  const fell = (number: (evaluation: EvalMetrics) => number, text: (value: number) => string, unit: string) => {
    if (!first || !last) return 'never measured';
    if (first.step === last.step)
      return `${show(number(first), text)}${unit} at step ${first.step}, not measured since`;
    return `${[first, last].map((one) => show(number(one), text)).join(' → ')}${unit}`;
  };
  const resume = commandText(['npx', 'taper-lm', 'pretrain', '--resume', '--out', result.run]);
  const end = result.stoppedBy !== undefined ? `, stopped by ${result.stoppedBy}; to continue: ${resume}` : '';
  const rows = [
    [
      'held-out loss',
      fell(
        ({ loss }) => loss,
        (loss) => loss.toFixed(3),
        ' nats (lower is better)',
      ),
    ],
    ['accuracy', fell(accuracyOf, percent, ' of the predicted tokens')],
    ['perplexity', fell(({ perplexity }) => perplexity, rounded, ' per token')],
    ['model', result.checkpoint],
    [
      'steps',
      `${result.step}${summary.steps < result.step ? `, ${summary.steps} of them` : ''} in ${duration(summary.stepSeconds)}${end}`,
    ],
    ...(summary.blockFlopsSaved === 0
      ? [['work', flopsText(summary.flops)]]
      : [
          ['work', `${flopsText(summary.flops)}; dense: ${flopsText(summary.denseFlops)}`],
          ['block FLOPs saved', `${percent(summary.blockFlopsSaved)} (of the work in the blocks)`],
          ['step FLOPs saved', `${percent(summary.stepFlopsSaved)} (of all work)`],
          ['time saved', timeText(summary.timeSaved)],
        ]),
  ];
  const isGood = last !== undefined && accuracyOf(last) > goodAccuracy;
  const limits = look && !look.isContinued && !isGood ? limitsText(result.step, look.tokens) : '';
  return `${bold(abilityText(result, summary, look), process.stdout)}\n${limits}\n${rows.map(([name, value]) => `${name!.padEnd(19)}${value}\n`).join('')}`;
}

/** Steps that other programs slowed down can make the time saved negative, which says nothing. */
function timeText(saved: number | undefined): string {
  if (saved === undefined) return 'unknown';
  return saved < 0
    ? 'not measurable: the times of the steps vary too much'
    : `${percent(saved)} (beside dense training)`;
}

/** What the model can do now, in one sentence. */
function abilityText(
  { run, step, stoppedBy }: PretrainResult,
  { firstEvaluation: first, lastEvaluation: last }: Summary,
  look: Pick<Look, 'commonest'> | undefined,
): string {
  if (!first || !last || first.step === last.step) {
    const why =
      stoppedBy === undefined
        ? 'The model has not been evaluated since it began'
        : `Stopped after ${counted(step, 'step')}, before the model was evaluated`;
    return `${why}; ${commandText(['npx', 'taper-lm', 'eval', run])} does that.`;
  }
  const ofHundred = (share: number) => Math.round(100 * share);
  const what = `${last.clmAccuracy === undefined ? 'hidden' : 'next'} tokens (words and parts of words)`;
  const constant = look ? `; always guessing the most frequent one would get ${ofHundred(look.commonest)} right` : '';
  return `Of 100 ${what} in text that it was not trained on, the model guesses ${ofHundred(accuracyOf(last))} correctly${constant}.`;
}

/** What to expect of a model that was trained for few steps, or on a small text. */
function limitsText(steps: number, tokens: number): string {
  const short = `It was trained for ${counted(steps, 'step')}; a new model needs about ${leastSteps.toLocaleString('en')} to learn more than common words and their neighbours.\n`;
  const small =
    `Its text has ${compact(tokens)} tokens. From fewer than ${compact(littleTokens)}, a model learns grammar and common words, but little about the content.\n` +
    'More text of the same kind helps most; with little text, start from a published model (docs/from-text-to-classifier.md).\n';
  return (isTooShort(steps) ? short : '') + (tokens < littleTokens ? small : '');
}
