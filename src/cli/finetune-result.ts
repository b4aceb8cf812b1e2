import { counted } from '../errors/index.ts';
import { type Head, headKinds } from '../model/heads.ts';
import { markdownTable, percent, table } from '../report/format.ts';
import { scoreRows } from '../report/tunings.ts';
import type { FineTuning, ScoredSet } from '../runs/fine-tuning.ts';
import type { FineTuned, Task } from '../tasks/index.ts';
import { scoreTitle } from '../tasks/score-title.ts';
import { bold } from './terminal.ts';

// What a fine-tuning prints, and the card of its model.

/** One seed of a fine-tuning. */
export interface SeedResult extends Pick<FineTuned, 'bestEpoch' | 'devs' | 'tests' | 'history'> {
  seed: number;
}

/** The numbers of training and development examples. */
export function sizesOf({ train, devs }: Task): { train: number; dev: number } {
  return { train: train.examples.length, dev: devs[0]!.examples.length };
}

export function heldOutText(task: Task): string {
  const { train, dev } = sizesOf(task);
  return `${counted(dev, 'example')} of ${task.name} ${dev === 1 ? 'is' : 'are'} held out for evaluation, leaving ${train} for training; give your own set with --dev`;
}

/** What a model with this head does, for its model card. */
const purposes: { [K in Head['kind']]: (labels: string) => string } = {
  'single-label': (labels) => `classifies a text as one of: ${labels}`,
  'multi-label': (labels) => `assigns a text any of: ${labels}`,
  regression: () => 'predicts a number for a text',
  token: (labels) => `tags each word with one of: ${labels}`,
  embedding: () => 'turns a text into a vector, for search and comparison by cosine',
};

/** The scores of some seeds and of predictions without a model, by their titles. */
export function titledScores(
  { head, baselines }: FineTuned,
  results: readonly SeedResult[],
): Pick<FineTuning, 'seeds' | 'baselines'> {
  const titled = ({ set, scores }: ScoredSet) => ({
    set,
    scores: Object.fromEntries(Object.entries(scores).map(([name, score]) => [scoreTitle(name, head), score])),
  });
  return {
    seeds: results.map((result) => ({ ...result, devs: result.devs.map(titled), tests: result.tests.map(titled) })),
    baselines: baselines.map(({ name, sets }) => ({ name, sets: sets.map(titled) })),
  };
}

/** The model card of the best of some seeds. */
export function cardOf(task: Task, tuned: FineTuned, results: readonly SeedResult[]): string {
  const { head } = tuned;
  const rows = scoreRows(titledScores(tuned, results), (score) => score.toFixed(4));
  const judged = task.isHeldOut ? `, evaluated on ${counted(sizesOf(task).dev, 'other')} from the same set` : '';
  const what = purposes[head.kind](head.kind === 'embedding' ? '' : head.labels.join(', '));
  const scores = rows.length > 1 ? `\n${markdownTable(rows)}\n` : '';
  return `---\nlibrary_name: transformers\npipeline_tag: ${headKinds[head.kind].pipeline}\ntags:\n- taper\n---\n\n# ${task.name}\n\nAn encoder that ${what}. Fine-tuned on ${counted(task.train.examples.length, 'example')}${judged}.\n${scores}`;
}

/** What the model can do, beside predictions without a model; then the scores of all seeds. */
export function resultText(results: readonly SeedResult[], tuned: FineTuned, task: Task): string {
  const rows = scoreRows({ ...titledScores(tuned, results), baselines: [] });
  if (rows.length === 1) return 'no development set: the model after the last epoch was kept\n';
  const { details } = tuned;
  return [
    `${bold(abilityText(tuned, task), process.stdout)}\n`,
    table(rows),
    ...(details ? [`on ${tuned.devs[0]!.set}:\n`, table(details.rows)] : []),
  ].join('\n');
}

/** The main score beside those of predictions without a model, on the test set if it has targets: `test: accuracy 90.0 %; always "ham" 68.0 %`. */
function abilityText(tuned: FineTuned, task: Task): string {
  const { head, bestEpoch, devs, tests, baselines, history, stoppedBy } = tuned;
  const { judgedBy = [] } = task.kind;
  const { set, scores } = [...tests, ...devs][0]!;
  const main = judgedBy.find((name) => name in scores) ?? Object.keys(scores)[0]!;
  const others = baselines.map(({ name, sets }) => ({
    name,
    score: sets.find((one) => one.set === set)!.scores[main]!,
  }));
  const own = scores[main]!;
  const namesOf = (some: typeof others) => some.map(({ name }) => name).join(' and ');
  const better = others.filter(({ score }) => own < 1 && score >= own);
  const count = [...task.tests, ...task.devs].find(({ name }) => name === set)!.examples.length;
  const margin = main === 'accuracy' ? chanceMargin(own, count) : 0;
  const close = others.filter(({ score }) => score < own && own - score < margin);
  const all = others.map(({ name, score }) => `; ${name} ${percent(score)}`);
  const isRising = own < 1 && bestEpoch === history.length && stoppedBy === undefined;
  const notes = [
    better.length > 0 &&
      `This model is no better than ${namesOf(better)}: more labelled examples help, or an encoder trained on more text (docs/fine-tuning.md).`,
    close.length > 0 &&
      `The lead over ${namesOf(close)} may be chance: with ${counted(count, 'example')}, a difference below ${(100 * margin).toFixed(1)} points often is.`,
    count < fewExamples &&
      `With ${counted(count, 'example')} this score says little; give more with ${set === 'test' ? '--test' : '--dev or --test'}.`,
    isRising && `The last epoch was the best; more may be better still: --epochs ${2 * history.length}.`,
    set === devs[0]?.set &&
      history.length > 1 &&
      `These examples also chose the best of ${history.length} epochs, which flatters the model a little; --test takes others.`,
  ];
  const lines = notes.flatMap((note) => (note ? [`\n${note}`] : []));
  return `${set}: ${scoreTitle(main, head)} ${percent(own)}${all.join('')}${lines.join('')}`;
}

/** On fewer examples than this a score is off by tens of points by chance. */
const fewExamples = 30;

/** How far two accuracies near `p` on n examples each differ by chance in 95 % of cases: `1.96·√(2·p·(1 − p) / n)`. */
const chanceMargin = (p: number, n: number) => 1.96 * Math.sqrt((2 * p * (1 - p)) / n);
