import { ConfigError } from '../errors/index.ts';
import type { EmbeddingHead } from '../model/index.ts';
import type { Task } from '../tasks/index.ts';

/** The options of `finetune` that say what is learned, from which files and columns. */
export interface TaskOptions {
  task?: string;
  data?: string;
  train?: string;
  dev?: string;
  test?: string;
  text?: string[];
  label?: string;
  columns?: string[];
  regression?: boolean;
  tags?: boolean;
  pairs?: boolean;
  unsupervised?: boolean;
  score?: string;
  pooling: EmbeddingHead['pooling'];
  normalize: boolean;
  dimensions?: number[];
  temperature: number;
}

type Warn = (message: string) => void;
type OwnOptions = TaskOptions & { train: string };

/** What is learned from own files, by the option that asks for it; the first one is learned where none does. */
const forms = {
  label: openTexts,
  regression: openTexts,
  tags: openTags,
  pairs: openPairs,
  unsupervised: openPairs,
} satisfies Record<string, (options: OwnOptions, warn: Warn) => Promise<Task>>;

/**
 * Opens the task that the options ask for.
 *
 * @throws ConfigError where they contradict each other or one is missing.
 * @throws DataError for files that cannot be used.
 */
export async function openTask(options: TaskOptions, warn: Warn): Promise<Task> {
  const { nameOfTask, openGlueTask } = await import('../tasks/index.ts');
  const { task, data, train } = options;
  const asked = (['regression', 'tags', 'pairs', 'unsupervised'] as const).filter((name) => options[name]);
  if (task !== undefined) {
    if (train !== undefined || options.dev !== undefined || options.text !== undefined || asked.length > 0) {
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
    throw new ConfigError('--train: missing; give a file of examples with --train, or --task with --data');
  }
  if (asked.length > 1) {
    throw new ConfigError(`--${asked[0]} and --${asked[1]}: a model learns one of them; leave out the other`);
  }
  return forms[asked[0] ?? 'label']({ ...options, train }, warn);
}

/** The columns of texts, at most so many. */
async function textColumns({ text, train, columns }: OwnOptions, most: number): Promise<string[]> {
  const { columnsOf } = await import('../tasks/index.ts');
  if (text === undefined) {
    const names = columns ? columns.map((name) => `"${name}"`).join(', ') : await columnsOf(train);
    throw new ConfigError(`--text: missing; name the columns of texts in ${train}, which has ${names}`);
  }
  if (text.length <= most) return text;
  throw new ConfigError(`--text ${text.join(' ')}: takes ${most} columns at most; join others before`);
}

async function openTexts(options: OwnOptions, warn: Warn): Promise<Task> {
  const { openOwnTask } = await import('../tasks/index.ts');
  const texts = await textColumns(options, 2);
  const { label = 'label', regression: isRegression = false, columns: all } = options;
  return openOwnTask(options, { texts, label, isRegression, all }, warn);
}

async function openTags(options: OwnOptions, warn: Warn): Promise<Task> {
  const { openTagTask } = await import('../tasks/index.ts');
  const { text = [], label: tags } = options;
  if (text.length > 1) throw new ConfigError(`--text ${text.join(' ')}: words are in one column; give that`);
  return openTagTask(options, { words: text[0], tags }, warn);
}

async function openPairs(options: OwnOptions, warn: Warn): Promise<Task> {
  const { openPairTask } = await import('../tasks/index.ts');
  const { unsupervised: isUnsupervised = false, score, columns: all, pooling, normalize, temperature } = options;
  const texts = await textColumns(options, 3);
  if (texts.length < 2 && !isUnsupervised) {
    throw new ConfigError(`--text ${texts.join(' ')}: a pair has two texts; name both columns, or give --unsupervised`);
  }
  const head = { kind: 'embedding', pooling, normalized: normalize, dimensions: options.dimensions ?? [] } as const;
  return openPairTask(options, { texts, score, all }, { head, temperature, isUnsupervised }, warn);
}
