import { ConfigError } from '../../errors/index.ts';
import type { MetricName } from '../metrics.ts';

/** A task of GLUE: where its columns are, what its labels are called, and how it is scored. */
export interface GlueTask {
  /** Its folder in GLUE's own download, and the file of its predictions for GLUE's server. */
  folder: string;
  submissions: readonly string[];
  /** The columns of one or two texts, in GLUE's files and in Hugging Face's. */
  texts: readonly string[];
  parquetTexts: readonly string[];
  /** The column of the label in GLUE's files; Hugging Face's is `label`, a number. */
  label: string;
  /** The columns of GLUE's files without a header. */
  columns?: readonly string[];
  /** The labels as GLUE's files have them, in Hugging Face's order; none for a regression. */
  labels: readonly string[];
  /** Their meanings, if they are numbers. */
  names?: readonly string[];
  metrics: readonly MetricName[];
  /** The development sets, by their name in GLUE's files and in Hugging Face's. */
  devs: readonly { name: string; parquetName: string }[];
}

const numbers = ['0', '1'] as const;
const dev = [{ name: 'dev', parquetName: 'validation' }] as const;
const pair = ['sentence1', 'sentence2'] as const;

/**
 * The nine tasks of GLUE.
 * Source: Wang et al., "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding", 2019.
 */
export const glueTasks = {
  cola: {
    folder: 'CoLA',
    submissions: ['CoLA'],
    texts: ['sentence'],
    parquetTexts: ['sentence'],
    label: 'label',
    columns: ['source', 'label', 'mark', 'sentence'],
    labels: numbers,
    names: ['unacceptable', 'acceptable'],
    metrics: ['matthews'],
    devs: dev,
  },
  sst2: {
    folder: 'SST-2',
    submissions: ['SST-2'],
    texts: ['sentence'],
    parquetTexts: ['sentence'],
    label: 'label',
    labels: numbers,
    names: ['negative', 'positive'],
    metrics: ['accuracy'],
    devs: dev,
  },
  mrpc: {
    folder: 'MRPC',
    submissions: ['MRPC'],
    texts: ['#1 String', '#2 String'],
    parquetTexts: pair,
    label: 'Quality',
    labels: numbers,
    names: ['not_equivalent', 'equivalent'],
    metrics: ['f1', 'accuracy'],
    devs: dev,
  },
  stsb: {
    folder: 'STS-B',
    submissions: ['STS-B'],
    texts: pair,
    parquetTexts: pair,
    label: 'score',
    labels: [],
    metrics: ['pearson', 'spearman'],
    devs: dev,
  },
  qqp: {
    folder: 'QQP',
    submissions: ['QQP'],
    texts: ['question1', 'question2'],
    parquetTexts: ['question1', 'question2'],
    label: 'is_duplicate',
    labels: numbers,
    names: ['not_duplicate', 'duplicate'],
    metrics: ['f1', 'accuracy'],
    devs: dev,
  },
  mnli: {
    folder: 'MNLI',
    submissions: ['MNLI-m', 'MNLI-mm'],
    texts: pair,
    parquetTexts: ['premise', 'hypothesis'],
    label: 'gold_label',
    labels: ['entailment', 'neutral', 'contradiction'],
    metrics: ['accuracy'],
    devs: [
      { name: 'dev_matched', parquetName: 'validation_matched' },
      { name: 'dev_mismatched', parquetName: 'validation_mismatched' },
    ],
  },
  qnli: {
    folder: 'QNLI',
    submissions: ['QNLI'],
    texts: ['question', 'sentence'],
    parquetTexts: ['question', 'sentence'],
    label: 'label',
    labels: ['entailment', 'not_entailment'],
    metrics: ['accuracy'],
    devs: dev,
  },
  rte: {
    folder: 'RTE',
    submissions: ['RTE'],
    texts: pair,
    parquetTexts: pair,
    label: 'label',
    labels: ['entailment', 'not_entailment'],
    metrics: ['accuracy'],
    devs: dev,
  },
  wnli: {
    folder: 'WNLI',
    submissions: ['WNLI'],
    texts: pair,
    parquetTexts: pair,
    label: 'label',
    labels: numbers,
    names: ['not_entailment', 'entailment'],
    metrics: ['accuracy'],
    devs: dev,
  },
} as const satisfies Record<string, GlueTask>;

/** The name of a task of GLUE, in lower case. */
export type GlueName = keyof typeof glueTasks;
/** The names of the tasks, in the order of GLUE's table. */
export const glueNames = Object.keys(glueTasks) as GlueName[];

/**
 * The task that a user names: SST-2 or sst2.
 *
 * @throws ConfigError for an unknown task; `option` is where the name came from.
 */
export function nameOfTask(text: string, option: string): GlueName {
  const plain = text.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const name = glueNames.find((known) => known === plain);
  if (name !== undefined) return name;
  throw new ConfigError(`${option} ${text}: is not one of ${glueNames.join(', ')}`);
}
