import { createHash } from 'node:crypto';
import { type Config, sourceName } from '../config/index.ts';
import {
  type Corpus,
  type DuplicateCounts,
  type DuplicateOptions,
  type Duplicates,
  openDuplicates,
  type TextTokenizer,
} from '../data/index.ts';
import { counted, DataError } from '../errors/index.ts';
import type { Reporter } from '../runs/index.ts';
import type { Corpora } from './corpora.ts';

/** Duplicates, and the duplicate documents of each text in ascending order. */
export interface Repeated extends Duplicates {
  of(corpus: Corpus): Uint32Array;
}

/**
 * The documents of a configuration's texts that repeat others. Held-out text comes first, so the copy in the training text counts
 * as the duplicate.
 *
 * @throws OutputError when the cache cannot be written.
 */
export async function openRepeated(
  { train, valid }: Pick<Corpora, 'train' | 'valid'>,
  { cache }: Pick<Config['data'], 'cache'>,
  kind: DuplicateOptions['kind'],
  tokenizer: TextTokenizer,
  report: Reporter,
): Promise<Repeated> {
  const texts = [
    ...(valid ? [{ name: 'data.valid', corpus: valid }] : []),
    ...train.map((text, i) => ({
      name: train.length === 1 ? 'data.train' : `data.train, ${i + 1}: ${sourceName(text)}`,
      corpus: text.corpus,
    })),
  ];
  const duplicates = await openDuplicates(texts, {
    kind,
    tokenizer,
    cacheDir: cache,
    onProgress: (done) => report.note(`searching for duplicates: ${done}`),
    onWarning: (message) => report.warn(message),
  });
  const repeated = new Map(texts.map(({ name, corpus }) => [corpus, duplicates.repeated.get(name)!]));
  return { ...duplicates, of: (corpus) => repeated.get(corpus)! };
}

/** The documents that `data.deduplicate` drops, counted in a note; undefined if it is `none`. */
export async function openDropped(
  corpora: Corpora,
  data: Config['data'],
  tokenizer: TextTokenizer,
  report: Reporter,
): Promise<Repeated | undefined> {
  if (data.deduplicate === 'none') return undefined;
  const dropped = await openRepeated(corpora, data, data.deduplicate, tokenizer, report);
  report.note(`deduplicate: ${duplicatesText(dropped)}; listed in ${dropped.path}`);
  return dropped;
}

/** How many documents repeat others, in words. */
export function duplicatesText({ documents, tokens, exact, near, repeatedTokens }: DuplicateCounts): string {
  const number = (count: number) => count.toLocaleString('en');
  const share = Number(((100 * repeatedTokens) / Math.max(1, tokens)).toPrecision(2));
  return `${number(exact + near)} of ${counted(documents, 'document')} repeat others (${share} % of the tokens): ${number(exact)} exact, ${number(near)} near`;
}

/** Runs `open`; an error about a text that is too short then also says that documents were dropped. */
export function explained<T>(open: () => T, dropped: Repeated | undefined): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof DataError) || !dropped || dropped.exact + dropped.near === 0) throw cause;
    const { documents, exact, near, path } = dropped;
    const message = `${cause.message}; data.deduplicate dropped ${exact + near} of ${counted(documents, 'document')}, listed in ${path}`;
    throw new DataError(message, { cause });
  }
}

/** A hash of the dropped documents; empty if there are none. */
export function hashOf(dropped: Repeated | undefined): string[] {
  if (!dropped || dropped.exact + dropped.near === 0) return [];
  const hash = createHash('sha256');
  for (const numbers of dropped.repeated.values()) hash.update(numbers).update('|');
  return [hash.digest('hex')];
}
