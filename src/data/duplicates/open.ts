import { createHash } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { inCache, newFolder } from '../shards.ts';
import type { TextTokenizer } from '../tokenizer.ts';
import { DocumentList, type NamedCorpus } from './documents.ts';
import { type DuplicateKind, duplicateKinds, findDuplicates } from './find.ts';
import { type Duplicates, readReport, writeReport } from './report.ts';

/** The version of the comparison; duplicates found by another version are searched for again. */
const duplicatesVersion = 2;

/** Which documents are dropped, as `data.deduplicate` names it. */
export const deduplications = ['none', ...duplicateKinds] as const;
/** What `data.deduplicate` takes. */
export type Deduplication = (typeof deduplications)[number];

/** How duplicates are searched for, and where the result is kept. */
export interface DuplicateOptions {
  /** `near` also finds exact ones. */
  kind: DuplicateKind;
  /** The tokenizer of the texts. */
  tokenizer: TextTokenizer;
  cacheDir: string;
  /** Called with the progress every two seconds. */
  onProgress?: (done: string) => void;
  onWarning?: (message: string) => void;
}

/**
 * The documents of tokenised texts that repeat earlier ones, in the order of the texts: `exact` those with the same tokens,
 * `near` also those whose runs of five tokens have an estimated Jaccard similarity of 0.8 or more with those of an earlier one
 * that is kept. The result is kept as a report beside the texts, and read from there if the texts are the same.
 *
 * @throws OutputError if the cache folder cannot be written.
 */
export async function openDuplicates(texts: readonly NamedCorpus[], options: DuplicateOptions): Promise<Duplicates> {
  const { kind, tokenizer, cacheDir, onProgress, onWarning } = options;
  const names = texts.map(({ name }) => name);
  const key = JSON.stringify([duplicatesVersion, kind, names, texts.map(({ corpus }) => corpus.index)]);
  const path = join(cacheDir, `duplicates-${createHash('sha256').update(key).digest('hex').slice(0, 16)}.jsonl`);
  return inCache(cacheDir, async () => {
    if (existsSync(path)) {
      try {
        return await readReport(path, names);
      } catch (error) {
        onWarning?.(
          `${path}: is damaged (${error instanceof Error ? error.message.split('\n')[0] : error}); searching for duplicates again`,
        );
        rmSync(path, { force: true });
      }
    }
    using building = newFolder(cacheDir, 'duplicates');
    const list = new DocumentList(texts);
    const report = join(building.path, 'report.jsonl');
    await writeReport(report, list, findDuplicates(list, { kind, folder: building.path, onProgress }), tokenizer);
    renameSync(report, path);
    return await readReport(path, names);
  });
}
