import { type Config, type TextSource, textSources } from '../config/index.ts';
import {
  type Corpus,
  type Documents,
  type DownloadProgress,
  listSources,
  type PrepareProgress,
  prepareDocuments,
  prepareFiles,
  type SourceFile,
  sharedSources,
  type TextTokenizer,
} from '../data/index.ts';
import type { Reporter } from '../runs/index.ts';

/** A text of `data.train`, tokenised. */
export type TrainingText = TextSource & { corpus: Corpus; files: readonly SourceFile[] };

/** The tokenised texts of a configuration. */
export interface Corpora extends Disposable {
  train: readonly TrainingText[];
  /** The text of `data.valid`. */
  valid: Corpus | undefined;
  /** The corpora of `train`, then `valid`. */
  all: readonly Corpus[];
}

/**
 * Tokenises the texts of a configuration, or a program's documents, and opens them; texts tokenised before are only opened.
 *
 * @throws DataError for texts that cannot be used.
 * @throws OutputError when the cache cannot be written.
 */
export async function openCorpora(
  { data }: Pick<Config, 'data'>,
  tokenizer: TextTokenizer,
  report: Reporter,
  samples?: Documents,
): Promise<Corpora> {
  const options = {
    tokenizer,
    cacheDir: data.cache,
    onProgress: (progress: PrepareProgress) => report.prepare?.(progress),
    onWarning: (message: string) => report.warn(message),
    onDownload: (progress: DownloadProgress) => report.download?.(progress),
  };
  const { exclude, textField } = data;
  const open = async (paths: readonly string[]) => {
    const files = await listSources(paths, { ...options, exclude, textField });
    return { files, corpus: await prepareFiles(files, { ...options, textField }) };
  };
  const all: Corpus[] = [];
  const close = () => {
    for (const corpus of all) corpus.close();
  };
  try {
    const train: TrainingText[] = [];
    for (const source of samples ? [{ paths: [samples.name], share: 1 }] : textSources(data.train)) {
      const opened = samples
        ? { files: [], corpus: await prepareDocuments(samples, options) }
        : await open(source.paths);
      all.push(opened.corpus);
      train.push({ ...source, ...opened });
    }
    const valid = data.valid.length > 0 ? await open(data.valid) : undefined;
    if (valid) all.push(valid.corpus);
    if (!samples && data.deduplicate === 'none') await warnOfShared(train, valid?.files, report);
    return { train, valid: valid?.corpus, all, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The counts of several corpora together. */
export function totalOf(corpora: readonly Corpus[]) {
  const sum = (key: 'documents' | 'tokens' | 'textBytes' | 'characters' | 'unknownCharacters') =>
    corpora.reduce((total, { index }) => total + index[key], 0);
  return {
    documents: sum('documents'),
    tokens: sum('tokens'),
    textBytes: sum('textBytes'),
    characters: sum('characters'),
    unknownCharacters: sum('unknownCharacters'),
  };
}

/** Warns about held-out files that are also trained on, possibly under another name. */
async function warnOfShared(
  train: readonly TrainingText[],
  valid: readonly SourceFile[] | undefined,
  report: Reporter,
): Promise<void> {
  const which = (shared: readonly string[]) =>
    shared.length === 1 ? `${shared[0]} is` : `${shared.length} files, such as ${shared[0]}, are`;
  if (valid) {
    const shared = await sharedSources(
      train.flatMap(({ files }) => files),
      valid,
    );
    if (shared.length > 0)
      report.warn(
        `data.valid: ${which(shared)} also in data.train, so the held-out loss is too low; remove them from one of the two, or leave out data.valid`,
      );
    return;
  }
  // Each text of a mixture holds out a part of itself.
  const before: SourceFile[] = [];
  for (const { files } of train) {
    const shared = await sharedSources(before, files);
    if (shared.length > 0)
      report.warn(
        `data.train: ${which(shared)} in two texts of the mixture, so text held out of one is trained on in the other, and the held-out loss is too low; remove them from one text, or set data.valid`,
      );
    before.push(...files);
  }
}
