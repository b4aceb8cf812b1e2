import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Checkpoint, openCheckpoint } from '../../src/checkpoints/index.ts';
import { familyOf } from '../../src/model/index.ts';
import { rounded } from '../../src/report/format.ts';
import { readMetrics, summarise } from '../../src/runs/index.ts';
import { runCommand } from '../programs.ts';
import { Records, recipeOf } from '../records.ts';
import { medianText, percent, table, writeResults } from '../report.ts';
import { untrainedLike } from '../untrained.ts';
import { bookTask, type HourTask, type Labelled, mailTask } from './texts.ts';

const runs = fileURLToPath(new URL('../../../runs/first-hour', import.meta.url));
const records = new Records('first-hour');
const configFile = 'configs/start.yaml';
const sets = [
  'model.hiddenSize=128',
  'depth.method=dense',
  'train.optimizer=muon',
  'train.muonScale=0.8',
  'train.peakLearningRate=2e-3',
  'train.schedule=wsd',
  'train.steps=1500',
];
const seeds = [1, 2, 3];
/** How many examples are used, and how often fine-tuning reads them. */
const sizes = [
  { examples: 100, epochs: 30 },
  { examples: 1000, epochs: 10 },
  { examples: Number.POSITIVE_INFINITY, epochs: 3 },
];
type Size = (typeof sizes)[number];
const testExamples = 1000;

/** A model that is fine-tuned, and what its results depend on. */
interface Start {
  name: string;
  path: string;
  recipe: string;
}

/** Accuracies on the test set: of a fine-tuned model, of always the most frequent label, and of naive Bayes. */
type Found = Record<'model' | 'always' | 'naiveBayes', number>;

/**
 * What a newcomer gets with text and labels of his own: a small encoder, pre-trained on the text, against the same one untrained, one
 * pre-trained on other text (CHECKPOINT), and naive Bayes. Writes docs/results/first-hour.md after each size of the training set. What was
 * done before is not done again.
 */
export function firstHour(args: string[]): void {
  const options = { threads: { type: 'string', default: '1' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [books, mails, other] = positionals.map((path) => resolve(process.env.INIT_CWD ?? '.', path));
  if (books === undefined || mails === undefined)
    throw new Error('give two folders: npm run bench -- first-hour BOOKS MAILS [CHECKPOINT]');
  const { threads } = values;
  const tasks = [bookTask(books), mailTask(mails)].map((task) => {
    const own = pretrained(task, threads);
    return { task, own, starts: startsOf(task, own, other) };
  });
  for (const seed of seeds) {
    for (const size of sizes) {
      for (const { task, starts } of tasks) for (const start of starts) fineTuned(task, start, { size, seed, threads });
      report(tasks, other);
    }
  }
}

/** The checkpoint of a model pre-trained on the texts of a task. */
function pretrained({ name, texts }: HourTask, threads: string): Checkpoint {
  const out = join(runs, name);
  mkdirSync(out, { recursive: true });
  const file = write(out, 'texts', texts);
  const run = join(out, 'run');
  const data = [`data.train=["${file}"]`, `data.cache=${join(out, 'cache')}`, `train.threads=${threads}`];
  runCommand(['pretrain', configFile, '--out', run, '--resume', '--set', ...sets, ...data]);
  return openCheckpoint(run, console.warn);
}

function write(folder: string, name: string, texts: readonly Labelled[]): string {
  const path = join(folder, `${name}.jsonl`);
  writeFileSync(path, texts.map((text) => `${JSON.stringify(text)}\n`).join(''));
  return path;
}

/** What a result depends on: the encoder, and how it is fine-tuned and tested. */
const recipeWith = (...encoder: readonly string[]) =>
  recipeOf(configFile, [...encoder, JSON.stringify({ sizes, testExamples })]);

function startsOf({ name }: HourTask, own: Checkpoint, other: string | undefined): Start[] {
  const recipe = recipeWith(...sets);
  return [
    { name: 'untrained', path: untrainedLike(own, join(runs, name)), recipe },
    { name: 'pre-trained on its own text', path: own.path, recipe },
    ...(other === undefined
      ? []
      : [
          {
            name: 'pre-trained on other text',
            path: other,
            recipe: recipeWith(openCheckpoint(other, console.warn).weightsHash),
          },
        ]),
  ];
}

const recordOf = (task: HourTask, start: Start, { examples }: Size, seed: number) =>
  records.get<Found>(nameOf(task, start, examples, seed), start.recipe);

const nameOf = (task: HourTask, start: Start, examples: number, seed: number) =>
  `${task.name}-${start.name.replaceAll(' ', '-')}-${Number.isFinite(examples) ? examples : 'all'}-${seed}`;

function fineTuned(
  task: HourTask,
  start: Start,
  { size, seed, threads }: { size: Size; seed: number; threads: string },
): void {
  if (recordOf(task, start, size, seed)) return;
  const folder = join(runs, task.name);
  const train = write(folder, `train-${size.examples}`, task.train.slice(0, size.examples));
  const test = write(folder, 'test', task.test.slice(0, testExamples));
  const files = ['--train', train, '--test', test, '--text', 'text', '--metric', 'accuracy'];
  const how = ['--epochs', `${size.epochs}`, '--seeds', `${seed}`, '--threads', threads, '--json'];
  const { seeds: tuned, baselines } = JSON.parse(runCommand(['finetune', start.path, ...files, ...how])) as {
    seeds: { tests: { scores: { accuracy: number } }[] }[];
    baselines: { name: string; sets: { set: string; scores: { accuracy: number } }[] }[];
  };
  const [always, naiveBayes] = baselines.map(({ sets }) => sets.find(({ set }) => set === 'test')!.scores.accuracy);
  const found: Found = { model: tuned[0]!.tests[0]!.scores.accuracy, always: always!, naiveBayes: naiveBayes! };
  const name = nameOf(task, start, size.examples, seed);
  records.keep(name, start.recipe, found);
  console.log(`${name}: ${percent(found.model)}`);
}

interface Prepared {
  task: HourTask;
  own: Checkpoint;
  starts: readonly Start[];
}

function report(tasks: readonly Prepared[], other: string | undefined): void {
  const { model, data } = tasks[0]!.own.config;
  const otherText =
    other === undefined
      ? ''
      : ` The model pre-trained on other text is ${describe(openCheckpoint(other, console.warn))}.`;
  writeResults(
    'first-hour',
    'Own text and own labels: when pre-training pays',
    'npm run bench -- first-hour BOOKS MAILS [CHECKPOINT]',
    `A classifier for one's own texts, made with ${sizes.map(({ examples }) => (Number.isFinite(examples) ? examples.toLocaleString('en') : 'all')).join(', ')} labelled examples. The encoder is a ${familyOf(model).title(model)} of ${model.layers} blocks of width ${model.hiddenSize},
trained with ${configFile} and ${sets.map((set) => `\`${set}\``).join(', ')}, in sequences of ${data.sequenceLength}.${otherText}

${tasks.map((one) => section(one)).join('\n\n')}

Accuracy on ${testExamples.toLocaleString('en')} held-out examples in percent: the median of the fine-tunings' seeds, with minimum and maximum; without brackets, a single seed, or seeds that agree. Held out is a fifth of the
paragraphs or mails, by their hash; pre-training does not read them either. Fine-tuning uses the default learning rate, and ${sizes.map(({ examples, epochs }) => `${epochs} epochs for ${Number.isFinite(examples) ? examples.toLocaleString('en') : 'all'}`).join(', ')}; a tenth of the examples
is held out to choose the epoch. Naive Bayes gets the other nine tenths.`,
  );
}

const describe = ({ config: { model }, progress }: Checkpoint) =>
  `a ${familyOf(model).title(model)} of ${model.layers} blocks of width ${model.hiddenSize} after ${rounded(progress.tokens / 1e6)} million tokens`;

function section({ task, own, starts }: Prepared): string {
  const cells = (start: Start, which: keyof Found) =>
    sizes.map((size) => {
      const values = seeds
        .flatMap((seed) => recordOf(task, start, size, seed) ?? [])
        .map((found) => 100 * found[which]);
      if (new Set(values).size < 2) return values[0]?.toFixed(1) ?? '–';
      return medianText(values, 1);
    });
  const { lastEvaluation } = summarise(readMetrics(join(runs, task.name, 'run', 'metrics.jsonl')));
  const characters = task.texts.reduce((sum, { text }) => sum + text.length, 0);
  const counts = sizes.map(({ examples }) => Math.min(examples, task.train.length).toLocaleString('en'));
  return `## ${task.title[0]!.toUpperCase()}${task.title.slice(1)}

Text for pre-training: ${rounded(characters / 1e6)} million characters. In ${rounded(own.progress.step)} steps the model read ${rounded(own.progress.tokens / 1e6)} million tokens; it then predicts ${percent(lastEvaluation!.mlmAccuracy!)} of
the masked tokens in held-out text.

${table([
  ['', ...counts.map((count) => `${count} examples`)],
  ['always the most frequent label', ...cells(starts[0]!, 'always')],
  ['naive Bayes on words', ...cells(starts[0]!, 'naiveBayes')],
  ...starts.map((start) => [start.name, ...cells(start, 'model')]),
])}`;
}
