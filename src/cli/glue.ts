import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { mean } from '../averages.ts';
import { DataError } from '../errors/index.ts';
import { table } from '../report/format.ts';
import type { GlueName, SetScores } from '../tasks/index.ts';
import { jsonOption } from './config.ts';
import { prepareFolder } from './files.ts';
import { type FineTuneOptions, fineTuneOptions, settingsOf } from './finetune.ts';
import { countOf, listOf, numberOf } from './numbers.ts';
import { fineTuneProgress } from './progress.ts';
import { warn } from './terminal.ts';

interface GlueOptions extends FineTuneOptions {
  data: string;
  tasks?: string[];
  learningRates?: number[];
  seeds?: number[];
  out: string;
  json?: boolean;
}

/** A line of results.jsonl: one fine-tuning. */
interface Result {
  /** A key of its inputs: SHA-256 of the weights and of the examples, and the settings. */
  made: string;
  task: GlueName;
  learningRate: number;
  seed: number;
  devs: SetScores[];
}

/** A task with its best learning rate. */
interface TaskSummary {
  task: GlueName;
  learningRate: number;
  /** Means over the seeds, for each development set, at that learning rate. */
  devs: { set: string; scores: Record<string, number> }[];
  /** The mean of all scores: the task's part of the average. */
  mean: number;
  seeds: number[];
}

/** `taper-lm glue`: fine-tunes on GLUE tasks, each at its best learning rate. */
export function glueCommand(): Command {
  const command = new Command('glue')
    .description(
      'fine-tune a pre-trained encoder on GLUE tasks with several learning rates and seeds, and print one table',
    )
    .argument('<checkpoint>', 'checkpoint folder, or a run (its newest)')
    .requiredOption('--data <dir>', 'GLUE folder, with one folder per task')
    .option('--tasks <name...>', 'the tasks (default: all in the folder)')
    .option(
      '--learning-rates <x...>',
      'peak learning rates (default: 0.2, 0.6, 1 and 2 times that of finetune; 1e-5 3e-5 5e-5 1e-4 for BERT-base)',
      listOf(numberOf('--learning-rates', { from: 0 })),
    )
    .option('--seeds <n...>', 'seeds (default: 1)', listOf(countOf('--seeds', 0)))
    .requiredOption('--out <dir>', 'folder for the results; an interrupted run continues from them');
  for (const option of fineTuneOptions()) command.addOption(option);
  return command
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExample:\n  npx taper-lm glue runs/bert-mini --data glue --tasks cola sst2 --seeds 1 2 3 --out runs/glue',
    )
    .action(run);
}

async function run(path: string, options: GlueOptions): Promise<void> {
  const { checkTunable, defaultLearningRate, fineTune, glueNames, glueTasks, nameOfTask, openGlueTask } = await import(
    '../tasks/index.ts'
  );
  const { openCheckpoint } = await import('../checkpoints/index.ts');
  const { setNumThreads } = await import('../tensor/index.ts');
  const seeds = [...new Set(options.seeds ?? [1])];
  const isThere = (name: GlueName) =>
    [glueTasks[name].folder, name].some((folder) => existsSync(join(options.data, folder)));
  const named = options.tasks?.map((text) => nameOfTask(text, '--tasks'));
  const tasks = [...new Set(named ?? glueNames.filter(isThere))];
  if (tasks.length === 0) {
    throw new DataError(`${options.data}: holds no task folder such as CoLA; give the GLUE folder`);
  }
  const checkpoint = openCheckpoint(path, warn);
  checkTunable(checkpoint);
  const usual = defaultLearningRate(checkpoint.config.model.hiddenSize);
  const byDefault = [0.2, 0.6, 1, 2].map((times) => Number((times * usual).toPrecision(2)));
  const learningRates = [...new Set(options.learningRates ?? byDefault)];
  setNumThreads(options.threads);
  const opened = await Promise.all(tasks.map((name) => openGlueTask(name, options.data, warn)));
  prepareFolder(options.out);
  const file = join(options.out, 'results.jsonl');
  const known = readResults(file);
  const results: Result[] = [];
  for (const [i, name] of tasks.entries()) {
    const task = opened[i]!;
    const examples = createHash('sha256')
      .update(JSON.stringify([task.train, task.devs]))
      .digest('hex');
    for (const learningRate of learningRates) {
      for (const seed of seeds) {
        const settings = settingsOf(options, { learningRate, seed, trainedIn: checkpoint.config.train.precision });
        const made = JSON.stringify([checkpoint.weightsHash, name, examples, settings]);
        let result = known.find((before) => before.made === made);
        if (!result) {
          using progress = fineTuneProgress(`${name}, learning rate ${learningRate}, seed ${seed}`, task.kind.head);
          const { devs, weights } = await fineTune(checkpoint, { ...task, tests: [] }, settings, progress);
          for (const weight of weights.values()) weight.free();
          result = { made, task: name, learningRate, seed, devs };
          appendFileSync(file, `${JSON.stringify(result)}\n`);
        }
        results.push(result);
      }
    }
  }
  const summaries = tasks.map((name) =>
    summaryOf(
      name,
      results.filter(({ task }) => task === name),
    ),
  );
  const average = mean(summaries.map((summary) => summary.mean));
  process.stdout.write(
    options.json ? `${JSON.stringify({ tasks: summaries, average })}\n` : glueText(summaries, average),
  );
}

function readResults(file: string): Result[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as Result;
    } catch (cause) {
      throw new DataError(`${file}:${i + 1}: not valid JSON; delete the line`, { cause });
    }
  });
}

/** The learning rate with the best mean over the seeds on the first development set. */
function summaryOf(task: GlueName, results: readonly Result[]): TaskSummary {
  const rates = [...new Set(results.map(({ learningRate }) => learningRate))];
  const at = (rate: number) => results.filter(({ learningRate }) => learningRate === rate);
  const scoreAt = (rate: number) => mean(at(rate).map(({ devs }) => mean(Object.values(devs[0]!.scores))));
  const learningRate = rates.reduce((best, rate) => (scoreAt(rate) > scoreAt(best) ? rate : best));
  const chosen = at(learningRate);
  const devs = chosen[0]!.devs.map(({ set, scores }, i) => {
    const names = Object.keys(scores);
    return {
      set,
      scores: Object.fromEntries(names.map((name) => [name, mean(chosen.map((one) => one.devs[i]!.scores[name]!))])),
    };
  });
  const all = mean(devs.flatMap(({ scores }) => Object.values(scores)));
  return { task, learningRate, devs, mean: all, seeds: chosen.map(({ seed }) => seed) };
}

/** One line per task, with its scores. */
function glueText(summaries: readonly TaskSummary[], average: number): string {
  const score = (value: number) => (100 * value).toFixed(1);
  const named = (scores: Record<string, number>) =>
    Object.entries(scores)
      .map(([name, value]) => `${name} ${score(value)}`)
      .join(', ');
  const rows = summaries.map(({ task, devs, mean: all, learningRate, seeds }) => [
    task,
    devs.map(({ scores }) => named(scores)).join(' / '),
    score(all),
    String(learningRate),
    String(seeds.length),
  ]);
  const head = ['task', 'scores on dev', 'mean', 'learning rate', 'seeds'];
  return table([head, ...rows, ['average', '', score(average), '', '']]);
}
