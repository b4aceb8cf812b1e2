import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, lastConfig, phasesOf, sourceName, textSources, trainPaths } from '../config/index.ts';
import { byPhase } from '../config/phases.ts';
import {
  type Corpus,
  type CorpusIndex,
  corpusFormat,
  type Documents,
  type DownloadProgress,
  isReadInBlocks,
  isSplitInBlocks,
  joined,
  listSources,
  type Mask,
  makeMask,
  mixed,
  type PrepareProgress,
  prepareCorpus,
  prepareDocuments,
  readTexts,
  type Samples,
  type SourceFile,
  samplesOf,
  sharedSources,
  splitCorpus,
  TextTokenizer,
  type TrainingProgress,
  tokenizerKinds,
  trainingVersion,
  unknownShare,
  wholeCorpus,
} from '../data/index.ts';
import { ConfigError, counted, DataError } from '../errors/index.ts';
import { makeFolder, replaceFile, writing } from '../files/index.ts';
import { familyOf } from '../model/index.ts';
import type { Reporter } from '../runs/index.ts';
import { explained, hashOf, namedTexts, openDropped } from './duplicates.ts';

/** Text that a tokenizer is trained on at most, in bytes: more changes a vocabulary of 30,000 tokens hardly. */
const tokenizerBytes = 64e6;
/** More of a text's characters than this as [UNK] are worth a warning. */
const maxUnknownShare = 0.01;
/** The least vocabulary that is recommended to a text whose characters do not fit in a smaller one. */
const roomyVocabulary = 8192;

/** Samples, and what is predicted of them. */
export interface MaskedSamples {
  samples: Samples;
  mask: Mask;
}

/** The texts of a run, tokenised, and how they are read. */
export interface Texts {
  tokenizer: TextTokenizer;
  /** What a step, counted from 0, learns from. */
  train(step: number): MaskedSamples;
  valid: MaskedSamples;
  /** SHA-256 of all their tokens, of where documents end, and of how they are read. */
  hash: string;
  /** Closes the files of the texts. */
  close(): void;
}

/**
 * Prepares the texts of a configuration: the tokenizer (given, kept, or trained), the tokenised corpora (kept and used
 * again when nothing changed), and training and held-out samples of them.
 *
 * @throws ConfigError without text.
 * @throws DataError for texts that cannot be used.
 * @throws OutputError when the cache cannot be written.
 */
export async function openTexts(
  config: Config,
  tokenizer: TextTokenizer,
  report: Reporter,
  { samples, isResumed = false }: { samples?: Documents | undefined; isResumed?: boolean } = {},
): Promise<Texts> {
  const { data } = config;
  const { exclude, textField } = data;
  const options = {
    tokenizer,
    cacheDir: data.cache,
    onProgress: (progress: PrepareProgress) => report.prepare?.(progress),
    onWarning: (message: string) => report.warn(message),
    onDownload: (progress: DownloadProgress) => report.download?.(progress),
  };
  const prepare = (paths: readonly string[]) => prepareCorpus({ ...options, exclude, textField, paths });
  const sources = samples ? [{ paths: [samples.name], share: 1 }] : textSources(data.train);
  const isMixture = sources.length > 1;
  const corpora: Corpus[] = [];
  try {
    for (const { paths } of sources)
      corpora.push(await (samples ? prepareDocuments(samples, options) : prepare(paths)));
    const trainCorpora = [...corpora];
    if (data.valid.length > 0) {
      corpora.push(await prepare(data.valid));
      if (data.deduplicate === 'none') await warnOfShared(data, report);
    }
    const [validCorpus] = corpora.slice(sources.length);
    const dropped = await openDropped(namedTexts(sources, corpora), data, tokenizer, report);
    const split = trainCorpora.map((corpus) =>
      splitCorpus(corpus, validCorpus ? 0 : data.validFraction, dropped?.of(corpus)),
    );
    const validViews = validCorpus
      ? [wholeCorpus(validCorpus, dropped?.of(validCorpus))]
      : split.map(({ valid }) => valid);
    const parts = new Map<number, Samples[]>(); // phases of one length share them
    const partsOf = (sequenceLength: number) => {
      const made =
        parts.get(sequenceLength) ??
        split.map(({ train }, i) =>
          named(isMixture ? `data.train: ${sourceName(sources[i]!)}` : undefined, () =>
            explained(() => samplesOf(train, { ...data, sequenceLength, tokenizer }), dropped),
          ),
        );
      parts.set(sequenceLength, made);
      return made;
    };
    const shares = sources.map(({ share }) => share);
    const train = byPhase(config, ({ data }) => ({
      samples: mixed(partsOf(data.sequenceLength), shares),
      mask: makeMask(tokenizer, data),
    }));
    const last = lastConfig(config).data;
    const validParts = heldOut(
      () => explained(() => validViews.map((view) => samplesOf(view, { ...last, tokenizer })), dropped),
      data,
    );
    const valid = { samples: joined(validParts), mask: makeMask(tokenizer, last) };
    // So much text is read in another order than by earlier versions, whose runs cannot go on here.
    const isInBlocks =
      corpora.some(isSplitInBlocks) || [...parts.values()].flat().some(({ count }) => isReadInBlocks(count));
    const advice = vocabularyAdvice(config, isResumed);
    for (const [i, { index }] of corpora.entries()) {
      const name =
        i < sources.length ? `data.train: ${isMixture ? `${sourceName(sources[i]!)}: ` : ''}` : 'data.valid: ';
      warnOfUnknown(index, advice, (message) => report.warn(name + message));
    }
    const { documents, tokens } = totalOf(trainCorpora);
    report.note(
      `text: ${counted(documents, 'document')}, ${counted(tokens, 'token')}; ${counted(train(config.train.steps).samples.count, 'sequence')} to train on, ${valid.samples.count.toLocaleString('en')} held out`,
    );
    if (isMixture) {
      const epochs = epochsOf(config, shares, partsOf);
      for (const [i, source] of sources.entries()) {
        const { documents, tokens } = trainCorpora[i]!.index;
        const held = validCorpus ? '' : `, ${percent(validParts[i]!.count / valid.samples.count)} of the held-out text`;
        report.note(
          `text: ${percent(source.share)} from ${sourceName(source)}: ${counted(documents, 'document')}, ${counted(tokens, 'token')}, ${counted(Number(epochs[i]!.toPrecision(2)), 'epoch')}${held}`,
        );
      }
    }
    if (tokenizer.unkId >= 0) report.note(`[UNK]: ${unknownText(totalOf(trainCorpora))}`);
    return {
      tokenizer,
      train,
      valid,
      hash: createHash('sha256')
        .update(
          JSON.stringify([
            ...corpora.map(contentOf),
            ...hashOf(dropped),
            ...(isMixture ? [shares] : []),
            ...(isInBlocks ? ['in blocks'] : []),
          ]),
        )
        .digest('hex'),
      close: () => {
        for (const corpus of corpora) corpus.close();
      },
    };
  } catch (error) {
    for (const corpus of corpora) corpus.close();
    throw error;
  }
}

const percent = (share: number) => `${Number((100 * share).toPrecision(3))} %`;

/** Says of a fault which text has it. */
function named<T>(name: string | undefined, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof DataError) || name === undefined) throw cause;
    throw new DataError(`${name}: ${cause.message.replace(/^data: /, '')}`, { cause });
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

/** How often a run reads each text of a mixture. */
function epochsOf(
  config: Config,
  shares: readonly number[],
  partsOf: (length: number) => readonly Samples[],
): number[] {
  return shares.map((share, i) =>
    phasesOf(config).reduce((epochs, { steps, config: { data, train } }) => {
      return epochs + (share * steps * train.batchSize) / partsOf(data.sequenceLength)[i]!.count;
    }, 0),
  );
}

/** Says which held-out files are trained on as well, which may be under another name. */
async function warnOfShared({ train, valid, ...data }: Config['data'], report: Reporter): Promise<void> {
  const list = (paths: readonly string[]) => listSources(paths, { ...data, cacheDir: data.cache });
  const shared = await sharedSources(await list(trainPaths(train)), await list(valid));
  if (shared.length === 0) return;
  const which = shared.length === 1 ? `${shared[0]} is` : `${shared.length} files, such as ${shared[0]}, are`;
  report.warn(
    `data.valid: ${which} in data.train too, so the held-out loss is too low; keep the files apart, or leave data.valid out`,
  );
}

/** Says of a fault that it is the held-out text's, and where that comes from. */
function heldOut<T>(open: () => T, { valid, validFraction }: Config['data']): T {
  const what =
    valid.length > 0 ? `data.valid: ${valid.join(', ')}` : `data.validFraction: ${validFraction} of the text`;
  return named(`${what} is held out, and that is too little`, open);
}

/** Refuses a text that the tokenizer is not made for: nothing could be learnt from it. */
export function checkKnown(texts: Texts, { data, model, train }: Config): void {
  const { tokenizer } = texts;
  const { samples } = texts.train(0);
  const tokens = Array.from({ length: Math.min(samples.count, 100) }, (_, i) => {
    return [...samples.read(samples.at(i, 0)).ids];
  }).flat();
  const unknown = tokens.filter((id) => id === tokenizer.unkId).length / tokens.length;
  if (unknown <= 0.5) return;
  const known = `knows only ${Math.round(100 * (1 - unknown))} % of the text's tokens`;
  if (train.from !== undefined) {
    throw new DataError(
      `train.from: ${train.from} has a tokenizer that ${known}; give text like that which it was trained on, or start without --from`,
    );
  }
  if (data.tokenizer !== undefined)
    throw new DataError(`data.tokenizer: ${known}; leave it out to train one on this text`);
  throw new DataError(
    `model.vocabSize: a tokenizer of ${model.vocabSize} tokens, trained on this text, ${known}; raise it, to 30,000 for most scripts`,
  );
}

/** The share of a text that becomes [UNK], in words. */
export function unknownText(index: Pick<CorpusIndex, 'characters' | 'unknownCharacters'>): string {
  const percent = 100 * unknownShare(index);
  return `${Number(percent.toPrecision(2))} % of the characters`;
}

/** Warns where more than 1 % of a text's characters are [UNK], with what helps. */
export function warnOfUnknown(index: CorpusIndex, advice: string, warn: (message: string) => void): void {
  if (unknownShare(index) <= maxUnknownShare) return;
  warn(`${unknownText(index)} become [UNK], since the vocabulary cannot spell them; ${advice}`);
}

/** What helps against a vocabulary that cannot spell a text; a run that is resumed keeps its own. */
export function vocabularyAdvice({ data, model, train }: Config, isResumed = false): string {
  if (train.from !== undefined) {
    return `the tokenizer of ${train.from} is not made for this text; start without --from to train one on it`;
  }
  if (data.tokenizer !== undefined) {
    return `${data.tokenizer} is not made for this text; leave data.tokenizer out to train one on it`;
  }
  const larger = Math.max(roomyVocabulary, 2 * model.vocabSize);
  const setting = `--set model.vocabSize=${larger}`;
  if (isResumed) return `a run keeps its tokenizer; start a new run with ${setting} to train a better one on this text`;
  return `${counted(model.vocabSize, 'token')} are too few for its characters; add ${setting}`;
}

/** What samples depend on, whatever the names and times of the files. */
function contentOf({ index }: Corpus): unknown {
  return [index.lengths.sha256, index.shards.map((shard) => shard.sha256)];
}

/**
 * The tokenizer of a configuration: the one that it names, or one trained on its texts, kept for the next time, or on a program's
 * documents.
 *
 * @throws ConfigError without text, for a tokenizer of another family, and for documents that are tokens already.
 * @throws DataError for texts or a `tokenizer.json` that cannot be used.
 * @throws OutputError when the cache cannot be written.
 */
export async function openTokenizer(config: Config, report: Reporter, samples?: Documents): Promise<TextTokenizer> {
  const { data, model } = config;
  if (data.tokenizer !== undefined) return checkKind(TextTokenizer.fromFile(data.tokenizer), config);
  if (samples) return trainOnDocuments(samples, config, report);
  if (data.train.length === 0)
    throw new ConfigError('data.train: no text to train on; give files or folders with --data');
  const files = await listSources(trainPaths(data.train), {
    ...data,
    cacheDir: data.cache,
    onWarning: (message) => report.warn(message),
    onDownload: (progress) => report.download?.(progress),
  });
  const { textField, lowercase, stripAccents } = data;
  const { vocabSize } = model;
  const kind = familyOf(model).tokenizer;
  const key = JSON.stringify([
    trainingVersion,
    corpusFormat,
    files,
    textField,
    lowercase,
    stripAccents,
    vocabSize,
    kind,
  ]);
  const path = join(data.cache, `tokenizer-${createHash('sha256').update(key).digest('hex').slice(0, 16)}.json`);
  if (existsSync(path)) return TextTokenizer.fromFile(path);
  report.note(
    `training a ${tokenizerKinds[kind].title} tokenizer of up to ${counted(vocabSize, 'token')} on ${counted(files.length, 'file')}`,
  );
  const onProgress = tokenizerProgress((line) => report.note(line));
  const tokenizer = await trainTokenizer(files, { ...data, vocabSize, kind, onProgress });
  writing(data.cache, () => makeFolder(data.cache));
  replaceFile(path, tokenizer.json);
  return tokenizer;
}

/**
 * A tokenizer trained on a program's documents.
 *
 * @throws ConfigError where the documents are tokens already.
 */
async function trainOnDocuments(samples: Documents, { data, model }: Config, report: Reporter): Promise<TextTokenizer> {
  const { title, train } = tokenizerKinds[familyOf(model).tokenizer];
  report.note(`training a ${title} tokenizer of up to ${counted(model.vocabSize, 'token')} on ${samples.name}`);
  const { lowercase, stripAccents } = data;
  const onProgress = tokenizerProgress((line) => report.note(line));
  const options = { vocabSize: model.vocabSize, maxBytes: tokenizerBytes, lowercase, stripAccents, onProgress };
  return train(textsOf(samples), options);
}

async function* textsOf(samples: Documents): AsyncGenerator<string> {
  for await (const document of samples) {
    if (typeof document === 'string') yield document;
    else
      throw new ConfigError(
        `data.tokenizer: missing, and the samples ${samples.name} are tokens; name the tokenizer.json that they were made with`,
      );
  }
}

function checkKind(tokenizer: TextTokenizer, { data, model }: Config): TextTokenizer {
  if (tokenizer.kind === familyOf(model).tokenizer) return tokenizer;
  throw new ConfigError(
    `data.tokenizer: ${data.tokenizer} is for model.kind ${tokenizer.kind}, not ${model.kind}; change one of them`,
  );
}

/** What a tokenizer is trained for. */
interface TokenizerOptions {
  kind: TextTokenizer['kind'];
  vocabSize: number;
  lowercase: boolean;
  /** As `lowercase` where nothing is said. */
  stripAccents?: boolean | undefined;
  textField: string;
  /** Is called every two seconds. */
  onProgress?: (progress: TrainingProgress) => void;
}

/**
 * Trains a tokenizer of at most `vocabSize` tokens, WordPiece for BERT and byte-level for GPT-2 (which keeps capitals),
 * on as much of each file as is needed for that.
 *
 * @throws DataError where a file cannot be read as text, or none holds a word.
 */
export function trainTokenizer(
  files: readonly SourceFile[],
  { kind, textField, lowercase, stripAccents, ...others }: TokenizerOptions,
): Promise<TextTokenizer> {
  const texts = readTexts(files, { textField, maxBytesPerFile: tokenizerBytes / files.length });
  const options = { ...others, maxBytes: tokenizerBytes };
  return tokenizerKinds[kind].train(texts, { ...options, lowercase, stripAccents });
}

/** Says how far the training of a tokenizer is, in a line. */
export function tokenizerProgress(say: (line: string) => void): (progress: TrainingProgress) => void {
  return ({ what, done, total }) => {
    const text = what === 'bytes' ? `${Math.round(done / 1e6)} MB of text read` : `${done} of ${total} ${what}`;
    say(`training the tokenizer: ${text}`);
  };
}
