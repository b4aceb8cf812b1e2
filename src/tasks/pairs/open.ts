import { basename } from 'node:path';
import { ConfigError, DataError } from '../../errors/index.ts';
import type { EmbeddingHead } from '../../model/index.ts';
import { cellOf, checkTextColumns, numberIn, readOwnTable, readTestSet, textOf } from '../cells.ts';
import { holdOut } from '../hold-out.ts';
import type { Table } from '../tables.ts';
import type { ExampleSet } from '../task.ts';
import type { PairExample } from './example.ts';
import { type PairTask, pairKind } from './kind.ts';

/** The columns of a table of pairs. */
export interface PairColumns {
  /** The text columns: two that belong together, and optionally one that does not; each is a separate text without supervision. */
  texts: readonly string[];
  /** The similarity score of the first two, if known. */
  score?: string | undefined;
  /** The names of all columns, for a file without a header. */
  all?: readonly string[] | undefined;
}

const advice = 'name the right one with --text or --score, or all columns with --columns if the file has no header';

/**
 * Opens a table of pairs for embeddings: scored ones if the training set has the score column. Without a development set, a tenth
 * of the training set is held out as one, except for single texts.
 *
 * @throws DataError if a file or a column is missing, a text is empty, a score is not a number, or all scores are equal.
 * @throws ConfigError if pairs have one text or more than three, scored ones more than two, or those of a development or test set one.
 */
export async function openPairTask(
  files: { train: string; dev?: string | undefined; test?: string | undefined },
  columns: PairColumns,
  learned: { head: EmbeddingHead; temperature: number; isUnsupervised: boolean },
  warn: (message: string) => void,
): Promise<PairTask> {
  const { head, temperature, isUnsupervised } = learned;
  checkTextColumns(columns.texts, 3);
  if (columns.texts.length < 2 && !isUnsupervised) {
    throw new ConfigError(
      `--text ${columns.texts.join(' ')}: a pair has two texts; name both columns, or give --unsupervised`,
    );
  }
  const table = (path: string) => readOwnTable(path, columns, warn);
  const hasScores = ({ rows }: Table) => columns.score !== undefined && Object.hasOwn(rows[0]!, columns.score);
  const pairs = (table: Table) => pairsOf(table, { ...columns, score: hasScores(table) ? columns.score : undefined });

  const testSet = async (path: string) => {
    const test = await table(path);
    const { score: _, ...unscored } = columns;
    const read = (isScored: boolean) => pairsOf(test, isScored ? columns : unscored);
    return readTestSet(hasScores(test), read, warn);
  };

  const train = await table(files.train);
  const isScored = hasScores(train) && !isUnsupervised;
  if (isScored && columns.texts.length > 2) {
    throw new ConfigError(
      `--text ${columns.texts.join(' ')}: scored pairs have two texts; leave out the third text, or leave out --score to learn from unscored pairs`,
    );
  }
  if (columns.texts.length === 1 && (files.dev !== undefined || files.test !== undefined)) {
    throw new ConfigError(
      `--text ${columns.texts[0]}: a development or test set for embeddings needs pairs; name two text columns`,
    );
  }
  const all = isUnsupervised ? textsOf(train, columns) : pairs(train);
  if (isScored && all.every(({ score }) => score === all[0]!.score)) {
    throw new DataError(
      `${files.train}: every pair has the ${columns.score} ${all[0]!.score}; leave out --score to learn from unscored pairs`,
    );
  }
  const given = files.dev === undefined ? undefined : await table(files.dev);
  if (columns.score !== undefined && !hasScores(train) && !(given && hasScores(given))) {
    cellOf(train.rows[0]!, columns.score, train.where(0), advice); // throws: the column is missing
  }
  const parts =
    given || isUnsupervised
      ? { train: all, dev: [] }
      : holdOut(all, files.train, { textsOf: ({ texts }) => texts.slice(0, 1) });
  const dev: ExampleSet<PairExample>[] = given
    ? [{ name: 'dev', examples: pairs(given) }]
    : parts.dev.length > 0
      ? [{ name: 'dev', examples: parts.dev }]
      : [];
  return {
    name: basename(files.train),
    kind: pairKind(head, { temperature, isScored }),
    train: { name: 'train', examples: parts.train },
    devs: dev,
    tests: files.test === undefined ? [] : [{ name: 'test', examples: await testSet(files.test) }],
    isHeldOut: given === undefined && dev.length > 0,
  };
}

function pairsOf({ rows, where }: Table, { texts, score }: PairColumns): PairExample[] {
  const number = numberIn('score');
  return rows.map((row, i) => ({
    texts: texts.map((column) => textOf(row, column, where(i), advice)),
    ...(score !== undefined && { score: number(cellOf(row, score, where(i), advice), where(i)) }),
  }));
}

/** Each different text of the columns, as a single text. */
function textsOf({ rows, where }: Table, { texts }: PairColumns): PairExample[] {
  const all = rows.flatMap((row, i) => texts.map((column) => textOf(row, column, where(i), advice)));
  return [...new Set(all)].map((text) => ({ texts: [text] }));
}
