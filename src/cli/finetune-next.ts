import type { ExampleInput } from '../checkpoints/index.ts';
import { commandText } from '../errors/index.ts';
import type { Head } from '../model/index.ts';
import type { TaskOptions } from './finetune-task.ts';

// What follows a fine-tuning: how its model reads other examples, and the commands that use it.

/** An input whose columns are known. */
type NamedInput = ExampleInput & { texts: readonly string[] };

/** How a model reads other examples than those of its fine-tuning. */
export async function inputOf(options: TaskOptions & { maxLength: number }): Promise<NamedInput> {
  const { glueTasks, nameOfTask } = await import('../tasks/index.ts');
  const { task, tags, text, columns, maxLength, windows } = options;
  const isNumbered = tags && Number(text?.[0]) > 0; // the columns of CoNLL files have no names
  const own = text === undefined || isNumbered ? ['text'] : text;
  const texts = task === undefined ? own : glueTasks[nameOfTask(task, '--task')].parquetTexts;
  return { texts, ...(columns && { columns }), maxLength, windows };
}

/** The commands that use a fine-tuned model, with the user's own paths. */
export async function nextText(
  { out, train, dev, test, tags }: TaskOptions & { out?: string },
  { kind }: Head,
  { texts, columns }: NamedInput,
): Promise<string> {
  if (out === undefined) return 'The model was not saved; give --out DIR to keep it.\n';
  const { freeName } = await import('../checkpoints/index.ts');
  const { formatOf } = await import('../tasks/tables.ts');
  // The files of --tags may have lists of words instead of texts, and a .txt is read line by line.
  const isTable = (path: string | undefined) => path !== undefined && formatOf(path)?.isLines === false;
  const unseen = tags ? undefined : [test, dev].find(isTable);
  const table = unseen ?? (!tags && isTable(train) ? train : undefined);
  // Predictions for the examples that the model was trained on tell nothing.
  const given = texts.length === 1 ? (unseen ?? 'A text of yours.') : table;
  const uses = {
    embed: table && !columns && ['embed', out, '--in', table, '--text', texts[0]!, '--out', freeName('vectors.npy')],
    predict: given && ['predict', out, given, ...(given === table ? ['--out', freeName('predictions.csv')] : [])],
  };
  const use = kind === 'embedding' ? uses.embed : uses.predict;
  const onnx = freeName(`${out.replace(/\/+$/, '')}-onnx`);
  const commands = [use, ['serve', out], ['export', out, '--to', 'onnx', '--out', onnx]];
  const lines = commands.map((words) => (words ? `  ${commandText(['npx', 'taper-lm', ...words])}\n` : ''));
  return `What next:\n${lines.join('')}`;
}
