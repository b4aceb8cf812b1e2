import { Command, Option } from 'commander';
import type { Config } from '../config/index.ts';
import { ConfigError, counted } from '../errors/index.ts';
import { percent, table } from '../report/format.ts';
import type { FineTuned, FineTuneSettings, OwnColumns, Task } from '../tasks/index.ts';
import { fineTuneDefaults as defaults } from '../tasks/settings.ts';
import { deviceOption, jsonOption } from './config.ts';
import { checkNewFolder, writeFiles } from './files.ts';
import { countOf, listOf, numberOf } from './numbers.ts';
import { fineTuneBar } from './progress.ts';
import { warn } from './terminal.ts';

/** The options of a fine-tuning that `finetune` and `glue` share. */
export interface FineTuneOptions {
  epochs: number;
  batchSize: number;
  maxLength: number;
  dropout: number;
  precision?: 'fp32' | 'bf16';
  device: string;
  threads: number;
}

interface FinetuneCommandOptions extends FineTuneOptions {
  task?: string;
  data?: string;
  train?: string;
  dev?: string;
  test?: string;
  text?: string[];
  label: string;
  regression?: boolean;
  learningRate: number;
  seeds?: number[];
  out?: string;
  json?: boolean;
}

/** One seed of a fine-tuning. */
interface SeedResult extends Pick<FineTuned, 'bestEpoch' | 'devs' | 'history'> {
  seed: number;
}

/** `taper-lm finetune`: a classifier, or a regression, out of a pre-trained model. */
export function finetuneCommand(): Command {
  const command = new Command('finetune')
    .description('make a classifier of a pre-trained BERT, for a task of GLUE or your own')
    .argument('<checkpoint>', 'checkpoint folder, or a run (its newest)')
    .option('--task <name>', 'a task of GLUE: cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli')
    .option('--data <dir>', "GLUE's folder, or the task's")
    .option('--train <file>', 'own training set: TSV, CSV, JSON lines or Parquet')
    .option('--dev <file>', 'own set to judge by (default: a tenth of the training set, which is held out)')
    .option('--test <file>', 'own set to predict')
    .option('--text <column...>', 'the columns of one or two texts of an own set')
    .option('--label <column>', 'the column of the label of an own set', 'label')
    .option('--regression', 'the label is a number to be found')
    .option(
      '--learning-rate <x>',
      'the peak learning rate',
      numberOf('--learning-rate', { from: 0 }),
      defaults.learningRate,
    )
    .option(
      '--seeds <n...>',
      'the seeds to train with; the best model is kept (default: 1)',
      listOf(countOf('--seeds', 0)),
    )
    .option('--out <dir>', 'write the model and its predictions there');
  for (const option of fineTuneOptions()) command.addOption(option);
  return command
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  npx taper-lm finetune runs/bert-mini --task cola --data glue --out runs/cola
  npx taper-lm finetune runs/bert-mini --train mails.csv --text subject body --label folder --out runs/mails`,
    )
    .action(run);
}

export const fineTuneOptions = () => [
  new Option('--epochs <n>', 'how often the training set is read')
    .argParser(countOf('--epochs'))
    .default(defaults.epochs),
  new Option('--batch-size <n>', 'examples in a step').argParser(countOf('--batch-size')).default(defaults.batchSize),
  new Option('--max-length <n>', 'tokens of an example at most; more are cut')
    .argParser(countOf('--max-length', 8))
    .default(defaults.maxLength),
  new Option('--dropout <rate>', 'of hidden states and attention')
    .argParser(numberOf('--dropout', { from: 0, below: 1 }))
    .default(defaults.dropout),
  new Option('--precision <kind>', 'of matrix products (default: as the model was trained)').choices(['fp32', 'bf16']),
  deviceOption(),
  new Option('--threads <n>', 'for tensor work; 0 takes all').argParser(countOf('--threads', 0)).default(0),
];

/** The settings of a fine-tuning of a checkpoint that was trained in `precision`. */
export function settingsOf(
  { epochs, batchSize, maxLength, dropout, precision, device }: FineTuneOptions,
  { learningRate, seed, trainedIn }: { learningRate: number; seed: number; trainedIn: Config['train']['precision'] },
): FineTuneSettings {
  const given = { epochs, batchSize, maxLength, dropout, learningRate, seed, device };
  // float16 needs a loss scale, which is left to pre-training; bfloat16 has its range.
  return { ...defaults, ...given, precision: precision ?? (trainedIn === 'fp16' ? 'bf16' : trainedIn) };
}

async function run(path: string, options: FinetuneCommandOptions): Promise<void> {
  if (options.out !== undefined) checkNewFolder(options.out);
  const { fineTune } = await import('../tasks/index.ts');
  const { openCheckpoint } = await import('../checkpoints/index.ts');
  const { setNumThreads } = await import('../tensor/index.ts');
  const task = await openTask(options, warn);
  const checkpoint = openCheckpoint(path, warn);
  if (task.isHeldOut) process.stderr.write(`${heldOutText(task)}\n`);
  if (options.threads > 0) setNumThreads(options.threads);
  const results: SeedResult[] = [];
  let best: FineTuned | undefined;
  const seeds = [...new Set(options.seeds ?? [1])];
  for (const seed of seeds) {
    const { learningRate } = options;
    const settings = settingsOf(options, { learningRate, seed, trainedIn: checkpoint.config.train.precision });
    using bar = fineTuneBar(seeds.length > 1 ? `${task.name}, seed ${seed}` : task.name);
    const tuned = await fineTune(checkpoint, task, settings, bar);
    const { bestEpoch, devs, history } = tuned;
    results.push({ seed, bestEpoch, devs, history });
    const isBetter = best === undefined || devs[0]!.mean > best.devs[0]!.mean;
    for (const weight of (isBetter ? best : tuned)?.weights.values() ?? []) weight.free();
    if (isBetter) best = tuned;
  }
  if (options.out !== undefined) await write(options.out, checkpoint, task, best!, results);
  const found = {
    task: task.name,
    labels: task.classifier.labels,
    heldOut: task.isHeldOut ? sizesOf(task) : null,
    seeds: results,
    confusion: await confusionOf(task, best!),
  };
  process.stdout.write(options.json ? `${JSON.stringify(found)}\n` : resultText(task, results, found.confusion));
}

async function openTask(options: FinetuneCommandOptions, warn: (message: string) => void): Promise<Task> {
  const { columnsOf, nameOfTask, openGlueTask, openOwnTask } = await import('../tasks/index.ts');
  const { task, data, train, dev, test, text, label, regression } = options;
  if (task !== undefined) {
    if (train !== undefined || dev !== undefined || text !== undefined) {
      throw new ConfigError(
        '--task: has its own files and columns; give either --task with --data, or --train and --text',
      );
    }
    const name = nameOfTask(task, '--task');
    if (data === undefined) throw new ConfigError(`--data: missing; give the folder of GLUE, or of ${task}`);
    return openGlueTask(name, data, warn);
  }
  if (data !== undefined)
    throw new ConfigError('--task: missing; --data is the folder of a task of GLUE, as in --task cola');
  if (train === undefined) {
    throw new ConfigError('--train: missing; give a table of examples with --train and --text, or --task with --data');
  }
  if (text === undefined) {
    throw new ConfigError(
      `--text: missing; name one or two of the columns of ${train}, which are ${await columnsOf(train)}`,
    );
  }
  if (text.length > 2)
    throw new ConfigError(`--text ${text.join(' ')}: a model reads one or two columns; join others before`);
  const columns: OwnColumns = { texts: text, label, isRegression: regression ?? false };
  return openOwnTask({ train, dev, test }, columns, warn);
}

/** How many examples there are to train on and to judge by. */
function sizesOf({ train, devs }: Task): { train: number; dev: number } {
  return { train: train.examples.length, dev: devs[0]!.examples.length };
}

function heldOutText(task: Task): string {
  const { train, dev } = sizesOf(task);
  return `${counted(dev, 'example')} of ${task.name} ${dev === 1 ? 'is' : 'are'} held out for evaluation, which leaves ${train} to train on; give a set of your own with --dev`;
}

async function confusionOf(task: Task, { predictions }: FineTuned): Promise<number[][] | null> {
  if (task.classifier.isRegression) return null;
  const { confusion } = await import('../tasks/index.ts');
  const [{ name, examples }] = task.devs as [Task['devs'][0]];
  const right = examples.map(({ target }) => target!);
  return confusion(task.classifier.labels.length, predictions[name]!, right);
}

/** The model as a checkpoint, and predictions for each set. */
async function write(
  out: string,
  checkpoint: Parameters<typeof import('../tasks/index.ts')['fineTune']>[0],
  task: Task,
  { classifier, weights, predictions }: FineTuned,
  results: readonly SeedResult[],
): Promise<void> {
  const { predictionsTsv } = await import('../tasks/index.ts');
  const { writeCheckpoint } = await import('../checkpoints/index.ts');
  const { config, progress, tokenizerJson } = checkpoint;
  writeCheckpoint(out, { config, progress, tokenizerJson, classifier, weights, card: cardOf(task, results) });
  writeFiles(
    out,
    Object.fromEntries(
      Object.entries(predictions).map(([set, values]) => [`${set}.tsv`, predictionsTsv(task, values)]),
    ),
  );
}

function cardOf(task: Task, results: readonly SeedResult[]): string {
  const rows = results.flatMap(({ seed, bestEpoch, devs }) =>
    devs.map(
      ({ set, scores }) =>
        `| ${seed} | ${bestEpoch} | ${set} | ${Object.entries(scores)
          .map(([name, score]) => `${name} ${score.toFixed(4)}`)
          .join(', ')} |`,
    ),
  );
  const { labels, isRegression } = task.classifier;
  const judged = task.isHeldOut ? `, judged by ${counted(sizesOf(task).dev, 'other')} of the same set` : '';
  const what = isRegression ? 'gives a value for a text' : `tells apart: ${labels.join(', ')}`;
  return `---\nlibrary_name: transformers\npipeline_tag: text-classification\ntags:\n- taper\n---\n\n# ${task.name}\n\nA BERT that ${what}. Fine-tuned on ${counted(task.train.examples.length, 'example')}${judged}.\n\n| seed | best epoch | set | scores |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

function resultText(task: Task, results: readonly SeedResult[], confusion: number[][] | null): string {
  const names = task.metrics;
  const rows = results.flatMap(({ seed, bestEpoch, devs }) =>
    devs.map(({ set, scores }) => [
      String(seed),
      set,
      String(bestEpoch),
      ...names.map((name) => percent(scores[name]!)),
    ]),
  );
  const parts = [table([['seed', 'set', 'best epoch', ...names], ...rows])];
  if (confusion) {
    const { labels } = task.classifier;
    const head = ['right \\ predicted', ...labels];
    parts.push(table([head, ...confusion.map((row, i) => [labels[i]!, ...row.map(String)])]));
  }
  return parts.join('\n');
}
