import { statSync } from 'node:fs';
import { Command } from 'commander';
import { ConfigError, commandText, counted } from '../errors/index.ts';
import { rounded } from '../report/format.ts';
import type { TextPredictor } from '../tasks/index.ts';
import type { TableExample } from '../tasks/read-examples.ts';
import { deviceOption, modelArgument } from './config.ts';
import { countOf } from './numbers.ts';
import { openRows, type RowWriter } from './row-writer.ts';
import { warn } from './terminal.ts';

interface PredictCommandOptions {
  text?: readonly string[];
  columns?: readonly string[];
  maxLength?: number;
  out?: string;
  device: string;
  threads: number;
}

/** How many texts are read, predicted and written at a time. */
const chunk = 1024;
/** Progress is a line every few seconds. */
const progressMs = 5000;

/** `taper-lm predict`: predicts labels, values or tags of texts. */
export function predictCommand(): Command {
  return new Command('predict')
    .description('predict the labels, values or tags of texts with a fine-tuned model')
    .argument(...modelArgument)
    .argument(
      '[inputs...]',
      'texts, or files: TSV, CSV, JSON lines, Parquet, or a .txt with one text per line (default: the lines of standard input)',
    )
    .option('--text <column...>', 'the text columns of a table (default: those of the training set)')
    .option('--columns <name...>', 'the names of all columns, for a table without a header')
    .option(
      '--max-length <n>',
      'longest text in tokens; longer ones are cut (default: as in fine-tuning)',
      countOf('--max-length', 8),
    )
    .option('--out <file>', 'new .jsonl or .csv file for the rows and their predictions (default: print JSON lines)')
    .addOption(deviceOption())
    .option('--threads <n>', 'threads for tensor work; 0 uses all', countOf('--threads', 0), 0)
    .addHelpText(
      'after',
      `
Examples:
  npx taper-lm predict runs/mails new-mails.csv --out labels.csv
  npx taper-lm predict runs/topics "The ship left the harbour." "The queen spoke."`,
    )
    .action(run);
}

async function run(path: string, inputs: readonly string[], options: PredictCommandOptions): Promise<void> {
  if (inputs.length === 0 && process.stdin.isTTY) {
    const command = commandText(['npx', 'taper-lm', 'predict', path, 'A text.']);
    throw new ConfigError(`no texts: give texts, a file, or lines on standard input, as in ${command}`);
  }
  const { maxLength, device } = options;
  using rows = openRows(options.out);
  const { openModel } = await import('../interop/index.ts');
  const { openPredictor } = await import('../tasks/index.ts');
  const { setNumThreads } = await import('../tensor/index.ts');
  setNumThreads(options.threads);
  using predictor = openPredictor(openModel(path, warn), {
    warn,
    device,
    ...(maxLength !== undefined && { maxLength }),
  });
  const count = await predictAll(predictor, examplesOf(path, inputs, predictor, options), rows);
  if (count === 0) throw new ConfigError('standard input has no texts; give one per line');
  rows.finish();
  if (options.out !== undefined) process.stdout.write(`${options.out}: ${counted(count, 'prediction')}\n`);
}

/** Predicts examples chunk by chunk, and returns their number. */
async function predictAll(
  predictor: TextPredictor,
  examples: AsyncIterable<TableExample>,
  rows: RowWriter,
): Promise<number> {
  const started = performance.now();
  let [count, shown] = [0, started];
  let next: TableExample[] = [];
  const flush = async () => {
    const predictions = await predictor.predict(next.map(({ texts }) => texts));
    const isRead = await rows.write(next.map(({ row }, i) => ({ row, prediction: predictions[i]! })));
    count += next.length;
    next = [];
    const now = performance.now();
    if (now - shown >= progressMs) {
      shown = now;
      const speed = rounded((1000 * count) / (now - started));
      process.stderr.write(`predicted ${counted(count, 'text')}, ${speed} per second\n`);
    }
    return isRead;
  };
  for await (const example of examples) {
    next.push(example);
    if (next.length === chunk && !(await flush())) return count;
  }
  if (next.length > 0) await flush();
  return count;
}

/** The examples of all inputs. */
async function* examplesOf(
  path: string,
  inputs: readonly string[],
  { input }: TextPredictor,
  { text, columns }: PredictCommandOptions,
): AsyncGenerator<TableExample> {
  const { examplesIn, lineExample, linesIn } = await import('../tasks/read-examples.ts');
  const { formatOf } = await import('../tasks/tables.ts');
  const texts = text ?? input?.texts ?? ['text'];
  // A table whose columns are named differently has a header.
  const headless = text || columns ? columns : input?.columns;
  if (texts.length > 1 && !(inputs.length > 0 && inputs.every((name) => formatOf(name)?.isLines === false))) {
    throw new ConfigError(
      `${path}: reads ${counted(texts.length, 'text')} at a time (${texts.join(', ')}); give a table with these columns, or name one column with --text`,
    );
  }
  for (const one of inputs) {
    const found = statSync(one, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw new ConfigError(`${one}: is a folder; give a table, a .txt file or texts`);
    const isPath = found?.isFile() || (formatOf(one) && !/\s/.test(one));
    const all = formatOf(one)?.namesColumns ? columns : headless;
    if (isPath) yield* examplesIn(one, { texts, all }, warn);
    else {
      if (one.trim() === '') throw new ConfigError('a text is empty; give some text');
      if (/^\S+[./]\w+$/.test(one)) warn(`${one}: no such file, so it is read as a text`);
      yield lineExample(one);
    }
  }
  if (inputs.length === 0) yield* linesIn(process.stdin.setEncoding('utf8') as AsyncIterable<string>);
}
