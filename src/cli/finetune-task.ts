import { ConfigError } from '../errors/index.ts';
import type { EmbeddingHead } from '../model/index.ts';
import type { Task } from '../tasks/index.ts';

/** The options of `finetune` that set the task, its files and its columns. */
export interface TaskOptions {
  task?: string;
  data?: string;
  train?: string;
  dev?: string;
  test?: string;
  text?: string[];
  label?: string[];
  columns?: string[];
  regression?: boolean;
  multiLabel?: boolean;
  threshold: number | 'best';
  windows: number;
  labelSmoothing: number;
  balanced?: boolean;
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

/** The tasks on a user's own files, by the option that selects each; the first is the default. */
const forms = {
  label: openTexts,
  regression: openTexts,
  multiLabel: openMultiLabel,
  tags: openTags,
  pairs: openPairs,
  unsupervised: openPairs,
} satisfies Record<string, (options: OwnOptions, warn: Warn) => Promise<Task>>;

type Form = keyof typeof forms;

/** The tasks that accept each of these options; a GLUE task accepts none of them. */
const takenBy: Readonly<Record<string, readonly Form[]>> = {
  test: ['label', 'regression', 'multiLabel', 'tags', 'pairs', 'unsupervised'],
  label: ['label', 'regression', 'multiLabel', 'tags'],
  columns: ['label', 'regression', 'multiLabel', 'pairs', 'unsupervised'],
  threshold: ['multiLabel'],
  windows: ['label', 'regression', 'multiLabel'],
  labelSmoothing: ['label', 'tags'],
  balanced: ['label', 'tags'],
  score: ['pairs', 'unsupervised'],
  pooling: ['pairs', 'unsupervised'],
  normalize: ['pairs', 'unsupervised'],
  dimensions: ['pairs', 'unsupervised'],
  temperature: ['pairs', 'unsupervised'],
};

const flagOf = (name: string) => `--${name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * Opens the task that the options select; `given` are the options on the command line.
 *
 * @throws ConfigError if they contradict each other or one is missing.
 * @throws DataError for files that cannot be used.
 */
export async function openTask(options: TaskOptions, given: readonly string[], warn: Warn): Promise<Task> {
  const { nameOfTask, openGlueTask } = await import('../tasks/index.ts');
  const { task, data, train } = options;
  const asked = (Object.keys(forms) as Form[]).filter((name) => name !== 'label' && options[name]);
  if (task !== undefined) {
    const own = given.find((name) => ['train', 'dev', 'text'].includes(name) || name in takenBy || name in forms);
    if (own !== undefined) {
      throw new ConfigError(
        `--task ${task}: has its own files, columns and objective; leave out ${flagOf(own)}, or give --train and --text instead of --task`,
      );
    }
    const name = nameOfTask(task, '--task');
    if (data === undefined) throw new ConfigError(`--data: missing; give the GLUE folder, or that of ${task}`);
    return openGlueTask(name, data, warn);
  }
  if (data !== undefined)
    throw new ConfigError('--task: missing; --data is the folder of a GLUE task; name the task, as in --task cola');
  if (train === undefined) {
    throw new ConfigError('--train: missing; give a file of examples with --train, or --task with --data');
  }
  if (asked.length > 1) {
    const [one, other] = asked.map(flagOf);
    throw new ConfigError(`${one} and ${other}: a model learns only one of them; leave out the other`);
  }
  const form = asked[0] ?? 'label';
  const other = given.find((name) => takenBy[name] && !takenBy[name].includes(form));
  if (other !== undefined) {
    const takers = takenBy[other]!.map((name) => (name === 'label' ? 'labels' : flagOf(name)));
    throw new ConfigError(`${flagOf(other)}: works only with ${takers.join(', ')}; leave it out`);
  }
  return forms[form]({ ...options, train }, warn);
}

async function textColumns({ text, train, columns }: OwnOptions): Promise<string[]> {
  const { columnsOf } = await import('../tasks/index.ts');
  if (text !== undefined) return text;
  const names = columns ? columns.map((name) => `"${name}"`).join(', ') : await columnsOf(train);
  throw new ConfigError(`--text: missing; name the text columns of ${train}, which has ${names}`);
}

async function openTexts(options: OwnOptions, warn: Warn): Promise<Task> {
  const { openOwnTask } = await import('../tasks/index.ts');
  const texts = await textColumns(options);
  const { regression: isRegression = false, columns: all, windows: numWindows } = options;
  const label = oneColumn(options.label) ?? 'label';
  return openOwnTask(options, { texts, label, isRegression, all }, warn, { ...labelOptions(options), numWindows });
}

const labelOptions = ({ labelSmoothing: smoothing, balanced: isBalanced = false }: OwnOptions) => ({
  smoothing,
  isBalanced,
});

function oneColumn(label: string[] | undefined): string | undefined {
  if (label === undefined || label.length === 1) return label?.[0];
  throw new ConfigError(
    `--label ${label.join(' ')}: several columns need --multi-label; name one column, or add --multi-label`,
  );
}

async function openMultiLabel(options: OwnOptions, warn: Warn): Promise<Task> {
  const { openMultiLabelTask } = await import('../tasks/index.ts');
  const texts = await textColumns(options);
  const { label: labels = ['label'], columns: all, threshold, windows: numWindows } = options;
  return openMultiLabelTask(options, { texts, labels, all }, { threshold, numWindows }, warn);
}

async function openTags(options: OwnOptions, warn: Warn): Promise<Task> {
  const { openTagTask } = await import('../tasks/index.ts');
  const { text = [] } = options;
  const tags = oneColumn(options.label);
  if (text.length > 1) throw new ConfigError(`--text ${text.join(' ')}: --tags takes one column of words; name one`);
  return openTagTask(options, { words: text[0], tags }, warn, labelOptions(options));
}

async function openPairs(options: OwnOptions, warn: Warn): Promise<Task> {
  const { openPairTask } = await import('../tasks/index.ts');
  const { unsupervised: isUnsupervised = false, score, columns: all, pooling, normalize, temperature } = options;
  const texts = await textColumns(options);
  const head = { kind: 'embedding', pooling, normalized: normalize, dimensions: options.dimensions ?? [] } as const;
  return openPairTask(options, { texts, score, all }, { head, temperature, isUnsupervised }, warn);
}
