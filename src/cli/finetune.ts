import { relative } from 'node:path';
import { Command, Option } from 'commander';
import type { ExampleInput } from '../checkpoints/index.ts';
import type { Config } from '../config/index.ts';
import { ConfigError, UserError } from '../errors/index.ts';
import { abortReason } from '../errors/words.ts';
import { type FineTuning, fineTuningFile } from '../runs/fine-tuning.ts';
import type { FineTuned, FineTuneSettings, Task } from '../tasks/index.ts';
import { defaultLearningRate, fineTuneDefaults as defaults, defaultTemperature } from '../tasks/settings.ts';
import { deviceOption, givenIn, jsonOption } from './config.ts';
import { checkNewFolder, writeFiles } from './files.ts';
import { inputOf, nextText } from './finetune-next.ts';
import { cardOf, heldOutText, resultText, type SeedResult, sizesOf, titledScores } from './finetune-result.ts';
import { openTask, type TaskOptions } from './finetune-task.ts';
import { countOf, listOf, numberOf } from './numbers.ts';
import { fineTuneProgress } from './progress.ts';
import { watchTraining } from './run-time.ts';
import { finishing, signalExitCodes, watchSignals } from './signals.ts';
import { warn } from './terminal.ts';

/** The options of a fine-tuning that `finetune` and `glue` share. */
export interface FineTuneOptions {
  epochs: number;
  batchSize: number;
  microBatch: number;
  maxLength: number;
  dropout: number;
  precision?: 'fp32' | 'bf16';
  device: string;
  threads: number;
}

interface FinetuneCommandOptions extends FineTuneOptions, TaskOptions {
  metric?: string;
  layerDecay: number;
  freeze: number;
  patience?: number;
  learningRate?: number;
  seeds?: number[];
  out?: string;
  json?: boolean;
}

/** `taper-lm finetune`: fine-tunes a pre-trained encoder with a new head. */
export function finetuneCommand(): Command {
  const command = new Command('finetune')
    .description('fine-tune a pre-trained encoder: text classification or regression, token tagging, embeddings')
    .argument('<checkpoint>', 'checkpoint folder, or a run (its newest)')
    .option('--task <name>', 'a GLUE task: cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli')
    .option('--data <dir>', "for --task: the GLUE folder, or the task's own")
    .option('--train <file>', 'your training set: TSV, CSV, JSON lines or Parquet; with --tags also CoNLL columns')
    .option('--dev <file>', 'your development set (default: a tenth of the training set is held out)')
    .option('--test <file>', 'your test set: it is predicted, and scored if it has labels')
    .option('--text <column...>', 'the text columns: one or two; with --pairs also a third, a negative for the first')
    .option(
      '--label <column...>',
      'the column of the label or the tags (default: label, tags, or the last CoNLL column)',
    )
    .option('--columns <name...>', 'the names of all columns, for a table without a header')
    .option('--regression', 'predict a number instead of a label')
    .option('--multi-label', 'predict any number of labels: one column of lists, or several columns of 1 and 0')
    .option(
      '--threshold <x>',
      'with --multi-label: predict a label from this probability on; best finds one per label on the development set',
      thresholdOf,
      0.5,
    )
    .option(
      '--windows <n>',
      'read a text longer than --max-length in up to n windows, and average their logits',
      countOf('--windows'),
      1,
    )
    .option(
      '--label-smoothing <x>',
      'the share of the target that is spread over all labels',
      numberOf('--label-smoothing', { from: 0, below: 1 }),
      0,
    )
    .option('--balanced', 'weight the loss so that rare labels count as much as frequent ones')
    .option('--tags', 'predict a tag for each word: named entities, parts of speech')
    .option('--pairs', 'learn embeddings from pairs of texts that belong together')
    .option('--unsupervised', 'learn embeddings from single texts, without pairs')
    .option('--score <column>', 'with --pairs: the column with the similarity of each pair')
    .addOption(
      new Option('--pooling <how>', 'for embeddings: the mean over the tokens, or the first token')
        .choices(['mean', 'first'])
        .default('mean'),
    )
    .option('--no-normalize', 'do not scale embeddings to length 1')
    .option(
      '--dimensions <n...>',
      'for embeddings: shorter sizes to train as well (Matryoshka), as in 64 128',
      listOf(countOf('--dimensions')),
    )
    .option(
      '--temperature <x>',
      'for pairs without scores: divides the cosines before the softmax',
      numberOf('--temperature', { above: 0 }),
      defaultTemperature,
    )
    .option(
      '--layer-decay <x>',
      "each block's learning rate as a fraction of that of the block above it",
      numberOf('--layer-decay', { above: 0, to: 1 }),
      defaults.layerDecay,
    )
    .option(
      '--freeze <n>',
      'freeze the embeddings and the lowest n blocks; 0 freezes nothing',
      countOf('--freeze', 0),
      0,
    )
    .option('--patience <n>', 'stop after n epochs without a better score', countOf('--patience'))
    .option('--metric <name>', 'the score by which the best epoch is kept, as in f1')
    .option(
      '--learning-rate <x>',
      'the peak learning rate (default: by the hidden size; 5e-5 for BERT-base, more for smaller models)',
      numberOf('--learning-rate', { from: 0 }),
    )
    .option(
      '--seeds <n...>',
      'the seeds to train with; the best model is kept (default: 1)',
      listOf(countOf('--seeds', 0)),
    )
    .option('--out <dir>', 'write the model and its predictions to this folder');
  for (const option of fineTuneOptions()) command.addOption(option);
  return command
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
CTRL-C finishes the step and keeps the best epoch so far; a second CTRL-C ends at once. A fine-tuning cannot be resumed.

Examples:
  npx taper-lm finetune runs/bert-mini --task cola --data glue --out runs/cola
  npx taper-lm finetune runs/bert-mini --train mails.csv --text subject body --label folder --out runs/mails
  npx taper-lm finetune runs/bert-mini --tags --train posts.conll --dev posts-dev.conll --out runs/entities
  npx taper-lm finetune runs/bert-mini --pairs --train pairs.tsv --text question answer --out runs/search`,
    )
    .action(run);
}

/** A probability, or `best`. */
function thresholdOf(text: string): number | 'best' {
  return text === 'best' ? 'best' : numberOf('--threshold', { above: 0, below: 1 })(text);
}

export const fineTuneOptions = () => [
  new Option('--epochs <n>', 'passes over the training set').argParser(countOf('--epochs')).default(defaults.epochs),
  new Option('--batch-size <n>', 'examples per step').argParser(countOf('--batch-size')).default(defaults.batchSize),
  new Option(
    '--micro-batch <n>',
    'sequences per forward and backward pass; a larger --batch-size runs in parts, with no more memory but a third more time',
  )
    .argParser(countOf('--micro-batch'))
    .default(defaults.microBatchSize),
  new Option('--max-length <n>', 'longest example in tokens; longer ones are cut')
    .argParser(countOf('--max-length', 8))
    .default(defaults.maxLength),
  new Option('--dropout <rate>', 'dropout of hidden states and attention')
    .argParser(numberOf('--dropout', { from: 0, below: 1 }))
    .default(defaults.dropout),
  new Option('--precision <kind>', 'precision of matrix products (default: as in pre-training)').choices([
    'fp32',
    'bf16',
  ]),
  deviceOption(),
  new Option('--threads <n>', 'threads for tensor work; 0 uses all').argParser(countOf('--threads', 0)).default(0),
];

/** The settings of a fine-tuning of a checkpoint that was trained in `precision`. */
export function settingsOf(
  { epochs, batchSize, microBatch: microBatchSize, maxLength, dropout, precision, device }: FineTuneOptions,
  { learningRate, seed, trainedIn }: { learningRate: number; seed: number; trainedIn: Config['train']['precision'] },
): FineTuneSettings {
  const given = { epochs, batchSize, microBatchSize, maxLength, dropout, learningRate, seed, device };
  // float16 needs a loss scale, which is left to pre-training; bfloat16 has its range.
  return { ...defaults, ...given, precision: precision ?? (trainedIn === 'fp16' ? 'bf16' : trainedIn) };
}

async function run(path: string, options: FinetuneCommandOptions, command: Command): Promise<void> {
  if (options.out !== undefined) checkNewFolder(options.out);
  const { checkTunable, fineTune } = await import('../tasks/index.ts');
  const { openCheckpoint } = await import('../checkpoints/index.ts');
  const { setNumThreads } = await import('../tensor/index.ts');
  const task = await openTask(options, givenIn(command), warn);
  const checkpoint = openCheckpoint(path, warn);
  checkTunable(checkpoint);
  task.kind.checkSettings?.(options, task.train.examples);
  if (task.isHeldOut) process.stderr.write(`${heldOutText(task)}\n`);
  setNumThreads(options.threads);
  const { hiddenSize } = checkpoint.config.model;
  const learningRate = options.learningRate ?? defaultLearningRate(hiddenSize);
  const notes = [
    ...(options.learningRate === undefined ? [rateText(learningRate, hiddenSize)] : []),
    ...(options.out === undefined ? ['the model will not be saved; to keep it, give --out DIR'] : []),
  ];
  const slowdown = watchTraining({ train: options });
  using signals = watchSignals(finishing);
  const { signal } = signals;
  const results: SeedResult[] = [];
  let best: FineTuned | undefined;
  let stoppedBy: string | undefined;
  const seeds = [...new Set(options.seeds ?? [1])];
  if (seeds.length > 1 && task.devs.length === 0)
    throw new ConfigError('--seeds: the best of several seeds is chosen on a development set; give one with --dev');
  for (const seed of seeds) {
    const shared = settingsOf(options, { learningRate, seed, trainedIn: checkpoint.config.train.precision });
    const { layerDecay, freeze: frozenBlocks, patience, metric } = options;
    const own = { layerDecay, frozenBlocks, ...(metric !== undefined && { metric }) };
    const settings = { ...shared, ...own, ...(patience !== undefined && { patience }) };
    const what = seeds.length > 1 ? `${task.name}, seed ${seed}` : task.name;
    using progress = fineTuneProgress(what, task.kind.head, seed === seeds[0] ? { notes, slowdown } : {});
    let tuned: FineTuned;
    try {
      const isFirst = seed === seeds[0];
      const say = { note: (text: string) => void process.stderr.write(`${text}\n`) };
      tuned = await fineTune(checkpoint, task, settings, { ...progress, ...(isFirst && say) }, signal);
    } catch (error) {
      if (!best) throw error;
      // The best of the earlier seeds is kept.
      if (signal.aborted) {
        stoppedBy = abortReason(signal);
        break;
      }
      if (!(error instanceof UserError)) throw error;
      warn(`seed ${seed} is left out: ${error.message}`);
      continue;
    }
    const { bestEpoch, devs, tests, history } = tuned;
    stoppedBy = tuned.stoppedBy;
    results.push({ seed, bestEpoch, devs, tests, history });
    const isBetter = best === undefined || devs[0]!.judged > best.devs[0]!.judged;
    for (const weight of (isBetter ? best : tuned)?.weights.values() ?? []) weight.free();
    if (isBetter) best = tuned;
    if (stoppedBy !== undefined) break;
  }
  const input = await inputOf(options);
  if (options.out !== undefined) await write(options.out, checkpoint, task, best!, { path, results, input });
  const { head } = task.kind;
  const { details, baselines } = best!;
  const found = {
    task: task.name,
    labels: head.kind === 'embedding' ? null : head.labels,
    heldOut: task.isHeldOut ? sizesOf(task) : null,
    learningRate,
    seeds: results,
    baselines,
    stoppedBy: stoppedBy ?? null,
    ...(details && { [details.name]: details.json }),
  };
  process.stdout.write(
    options.json
      ? `${JSON.stringify(found)}\n`
      : `${resultText(results, best!, task)}\n${await nextText(options, task.kind.head, input)}`,
  );
  if (stoppedBy === undefined) return;
  process.stderr.write(`${stoppedText(stoppedBy, best!.bestEpoch, options)}\n`);
  process.exitCode = signalExitCodes[stoppedBy] ?? 1;
}

const rateText = (rate: number, hiddenSize: number) =>
  `learning rate ${rate.toExponential()} (default for a hidden size of ${hiddenSize}); change it with --learning-rate`;

function stoppedText(reason: string, bestEpoch: number, { epochs, out }: FinetuneCommandOptions): string {
  const kept = out === undefined ? 'these are the scores' : `${out} holds the model`;
  const again = out === undefined ? 'again' : 'again with another --out';
  return `stopped by ${reason}: ${kept} of epoch ${bestEpoch} of ${epochs}. It cannot be resumed; to train for all epochs, run the command ${again}`;
}

/** The model as a checkpoint, and predictions for each set. */
async function write(
  out: string,
  checkpoint: Parameters<typeof import('../tasks/index.ts')['fineTune']>[0],
  task: Task,
  tuned: FineTuned,
  { path, results, input }: { path: string; results: readonly SeedResult[]; input: ExampleInput },
): Promise<void> {
  const { writeCheckpoint } = await import('../checkpoints/index.ts');
  const { config, progress, tokenizerJson } = checkpoint;
  const { head, weights, predictions } = tuned;
  const card = cardOf(task, tuned, results);
  writeCheckpoint(out, { config, progress, tokenizerJson, head, input, weights, card });
  const record: FineTuning = {
    from: relative(out, path),
    time: new Date().toISOString(),
    command: process.argv.slice(1),
    task: task.name,
    labels: head.kind === 'embedding' ? null : head.labels,
    examples: task.train.examples.length,
    ...titledScores(tuned, results),
    decidedBy: tuned.decidedBy,
  };
  writeFiles(out, { ...predictions, [fineTuningFile]: `${JSON.stringify(record, null, 2)}\n` });
}
