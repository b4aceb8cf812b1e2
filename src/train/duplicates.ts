import { createHash } from 'node:crypto';
import { type Config, sourceName, type TextSource } from '../config/index.ts';
import {
  type Corpus,
  type DuplicateCounts,
  type DuplicateOptions,
  type Duplicates,
  type NamedCorpus,
  openDuplicates,
  type TextTokenizer,
} from '../data/index.ts';
import { counted, DataError } from '../errors/index.ts';
import type { Reporter } from '../runs/index.ts';

/** Duplicates, and of each text the documents among them, in ascending order. */
export interface Dropped extends Duplicates {
  of(corpus: Corpus): Uint32Array;
}

/**
 * The tokenised texts of a configuration, the held-out one first if there is one: training text loses what is held out.
 * `corpora` are those of the sources, then the held-out one.
 */
export function namedTexts(sources: readonly TextSource[], corpora: readonly Corpus[]): NamedCorpus[] {
  const train = sources.map((source, i) => ({
    name: sources.length === 1 ? 'data.train' : `data.train, ${i + 1}: ${sourceName(source)}`,
    corpus: corpora[i]!,
  }));
  return [...corpora.slice(sources.length).map((corpus) => ({ name: 'data.valid', corpus })), ...train];
}

/**
 * The documents of texts that repeat others of them.
 *
 * @throws OutputError when the cache cannot be written.
 */
export async function openRepeated(
  texts: readonly NamedCorpus[],
  { cache }: Pick<Config['data'], 'cache'>,
  kind: DuplicateOptions['kind'],
  tokenizer: TextTokenizer,
  report: Reporter,
): Promise<Dropped> {
  const duplicates = await openDuplicates(texts, {
    kind,
    tokenizer,
    cacheDir: cache,
    onProgress: (done) => report.note(`looking for duplicates: ${done}`),
    onWarning: (message) => report.warn(message),
  });
  const repeated = new Map(texts.map(({ name, corpus }) => [corpus, duplicates.repeated.get(name)!]));
  return { ...duplicates, of: (corpus) => repeated.get(corpus)! };
}

/** The documents that `data.deduplicate` drops, which a note counts; undefined where it drops none. */
export async function openDropped(
  texts: readonly NamedCorpus[],
  data: Config['data'],
  tokenizer: TextTokenizer,
  report: Reporter,
): Promise<Dropped | undefined> {
  if (data.deduplicate === 'none') return undefined;
  const dropped = await openRepeated(texts, data, data.deduplicate, tokenizer, report);
  report.note(`deduplicate: ${duplicatesText(dropped)}; listed in ${dropped.path}`);
  return dropped;
}

/** How many documents repeat others, in words. */
export function duplicatesText({ documents, tokens, exact, near, repeatedTokens }: DuplicateCounts): string {
  const number = (count: number) => count.toLocaleString('en');
  const share = Number(((100 * repeatedTokens) / Math.max(1, tokens)).toPrecision(2));
  return `${number(exact + near)} of ${counted(documents, 'document')} repeat others (${share} % of the tokens): ${number(exact)} exact, ${number(near)} near`;
}

/** Runs `open`, and says of a text that is too short that documents were dropped. */
export function explained<T>(open: () => T, dropped: Dropped | undefined): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof DataError) || !dropped || dropped.exact + dropped.near === 0) throw cause;
    const { documents, exact, near, path } = dropped;
    const message = `${cause.message}; data.deduplicate dropped ${exact + near} of ${counted(documents, 'document')}, listed in ${path}`;
    throw new DataError(message, { cause });
  }
}

/** What dropped documents change about the texts; nothing where there are none. */
export function hashOf(dropped: Dropped | undefined): string[] {
  if (!dropped || dropped.exact + dropped.near === 0) return [];
  const hash = createHash('sha256');
  for (const numbers of dropped.repeated.values()) hash.update(numbers).update('|');
  return [hash.digest('hex')];
}
