import type { Config } from '../config/index.ts';
import { objectives } from '../data/index.ts';
import { commandText } from '../errors/index.ts';
import { duration, flopsText, percent, rounded } from '../report/format.ts';
import type { EvalMetrics, Summary } from '../runs/index.ts';
import type { PretrainResult } from '../train/index.ts';
import { bold } from './terminal.ts';

const accuracyOf = ({ mlmAccuracy, clmAccuracy }: EvalMetrics) => mlmAccuracy ?? clmAccuracy ?? 0;

/** The summary of a run as text: what the model can do, then what it cost. */
export function summaryText(result: PretrainResult, summary: Summary): string {
  const { firstEvaluation: first, lastEvaluation: last } = summary;
  const show = (value: number, text: (value: number) => string) =>
    Number.isFinite(value) ? text(value) : 'not finite';
  const fell = (number: (evaluation: EvalMetrics) => number, text: (value: number) => string) =>
    first && last ? `${show(number(first), text)} → ${show(number(last), text)}` : 'never measured';
  const end = result.stoppedBy !== undefined ? `, stopped by ${result.stoppedBy}; --resume continues it` : '';
  const rows = [
    [
      'held-out loss',
      `${fell(
        ({ loss }) => loss,
        (loss) => loss.toFixed(3),
      )} nats (lower is better)`,
    ],
    ['accuracy', `${fell(accuracyOf, percent)} of the predicted tokens`],
    ['perplexity', `${fell(({ perplexity }) => perplexity, rounded)} per token`],
    ['model', result.checkpoint],
    ['steps', `${result.step} in ${duration(summary.stepSeconds)}${end}`],
    ['work', `${flopsText(summary.flops)}; dense: ${flopsText(summary.denseFlops)}`],
    ['block FLOPs saved', `${percent(summary.blockFlopsSaved)} (of the work in the blocks)`],
    ['step FLOPs saved', `${percent(summary.stepFlopsSaved)} (of all work)`],
    ['time saved', summary.timeSaved === undefined ? 'unknown' : percent(summary.timeSaved)],
  ];
  return `${bold(abilityText(result.run, summary), process.stdout)}\n\n${rows.map(([name, value]) => `${name!.padEnd(19)}${value}\n`).join('')}`;
}

/** What the model can do now, in one sentence. */
function abilityText(run: string, { firstEvaluation: first, lastEvaluation: last }: Summary): string {
  if (!first || !last || first.step === last.step) {
    return `The model has not been evaluated since it began; ${commandText(['npx', 'taper-lm', 'eval', run])} does that.`;
  }
  const now = percent(accuracyOf(last));
  const what =
    last.clmAccuracy === undefined
      ? `predicts ${now} of masked tokens correctly`
      : `predicts the next token correctly ${now} of the time`;
  return `The model ${what} in text it was not trained on (${percent(accuracyOf(first))} at the start).`;
}

/** Commands that show what the model of a run can do, on a line of held-out text if there is one. */
export function tryText({ run }: PretrainResult, { lastEvaluation }: Summary, { data }: Config): string {
  const [{ parts } = { parts: [] }] = lastEvaluation?.examples ?? [];
  const [start = 'The', after = 'sat.'] = parts;
  const before = start.replace(/^##\S+\s*/, ''); // the rest of a word
  const words = objectives[data.objective].masks
    ? ['fill', run, `${before} [MASK] ${after}`]
    : ['generate', run, before];
  return [words, ['dashboard', run]].map((words) => `  ${commandText(['npx', 'taper-lm', ...words])}\n`).join('');
}
