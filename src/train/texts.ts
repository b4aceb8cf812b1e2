import { createHash } from 'node:crypto';
import { type Config, lastConfig, phasesOf, sourceName } from '../config/index.ts';
import { byPhase } from '../config/phases.ts';
import {
  type Corpus,
  type CorpusView,
  type Documents,
  isReadInBlocks,
  isSplitInBlocks,
  joined,
  type Mask,
  makeMask,
  mixed,
  type Samples,
  samplesOf,
  splitCorpus,
  type TextTokenizer,
  wholeCorpus,
} from '../data/index.ts';
import { counted, DataError } from '../errors/index.ts';
import type { Reporter } from '../runs/index.ts';
import { type Corpora, openCorpora, totalOf } from './corpora.ts';
import { explained, hashOf, openDropped, type Repeated } from './duplicates.ts';
import { epochsOf, epochsText } from './epochs.ts';
import { unknownText, vocabularyAdvice, warnOfUnknown } from './unknown.ts';

/** Samples, and which of their tokens are predicted. */
export interface MaskedSamples {
  samples: Samples;
  mask: Mask;
}

/** The tokenised texts of a run, and how they are read. */
export interface Texts {
  tokenizer: TextTokenizer;
  /** The samples of a step, counted from 0. */
  train(step: number): MaskedSamples;
  valid: MaskedSamples;
  /** The tokens of the training texts, including what is held out of them. */
  tokens: number;
  /** SHA-256 of all their tokens, of where documents end, and of how they are read. */
  hash: string;
  /** Closes the files of the texts. */
  close(): void;
}

/**
 * Prepares the texts of a configuration: the tokenised corpora (cached, and reused if nothing changed), and training and held-out
 * samples of them.
 *
 * @throws DataError for texts that cannot be used.
 * @throws OutputError when the cache cannot be written.
 */
export async function openTexts(
  config: Config,
  tokenizer: TextTokenizer,
  report: Reporter,
  { samples, isResumed = false }: { samples?: Documents | undefined; isResumed?: boolean } = {},
): Promise<Texts> {
  const corpora = await openCorpora(config, tokenizer, report, samples);
  try {
    warnOfCharacters(corpora, vocabularyAdvice(config, isResumed), report);
    const dropped = await openDropped(corpora, config.data, tokenizer, report);
    const views = viewsOf(corpora, config.data, dropped);
    const parts = partsOf(views.train, corpora, config.data, tokenizer, dropped);
    const shares = corpora.train.map(({ share }) => share);
    const train = byPhase(config, ({ data }) => ({
      samples: mixed(parts(data.sequenceLength), shares),
      mask: makeMask(tokenizer, data),
    }));
    const last = lastConfig(config).data;
    const validParts = heldOut(
      () => explained(() => views.valid.map((view) => samplesOf(view, { ...last, tokenizer })), dropped),
      last,
    );
    const valid = { samples: joined(validParts), mask: makeMask(tokenizer, last) };
    const { documents, tokens } = totalOf(corpora.train.map(({ corpus }) => corpus));
    report.note(
      `text: ${counted(documents, 'document')}, ${counted(tokens, 'token')}; ${counted(train(config.train.steps).samples.count, 'sequence')} to train on, ${valid.samples.count.toLocaleString('en')} held out; ${epochsText(epochsOf(config, { train }))}`,
    );
    if (shares.length > 1) noteMixture(config, corpora, parts, validParts, report);
    if (tokenizer.unkId >= 0) report.note(`[UNK]: ${unknownText(totalOf(corpora.train.map(({ corpus }) => corpus)))}`);
    const lengths = phasesOf(config).map(({ config: { data } }) => data.sequenceLength);
    return {
      tokenizer,
      train,
      valid,
      tokens,
      hash: hashOfTexts(corpora, dropped, lengths.flatMap(parts)),
      close: () => corpora[Symbol.dispose](),
    };
  } catch (error) {
    corpora[Symbol.dispose]();
    throw error;
  }
}

/** Warns about each text with many characters that the tokenizer cannot represent. */
function warnOfCharacters({ train, valid }: Corpora, advice: string, report: Reporter): void {
  for (const text of train) {
    const name = train.length > 1 ? `data.train: ${sourceName(text)}` : 'data.train';
    warnOfUnknown(text.corpus.index, advice, (message) => report.warn(`${name}: ${message}`));
  }
  if (valid) warnOfUnknown(valid.index, advice, (message) => report.warn(`data.valid: ${message}`));
}

/** The part of each text that is trained on, and the part that is held out. */
function viewsOf(
  { train, valid }: Corpora,
  { validFraction }: Config['data'],
  dropped: Repeated | undefined,
): { train: CorpusView[]; valid: CorpusView[] } {
  const split = train.map(({ corpus }) => splitCorpus(corpus, valid ? 0 : validFraction, dropped?.of(corpus)));
  return {
    train: split.map((views) => views.train),
    valid: valid ? [wholeCorpus(valid, dropped?.of(valid))] : split.map((views) => views.valid),
  };
}

/** The training samples of each text by their length; phases of one length share them. */
function partsOf(
  views: readonly CorpusView[],
  { train }: Corpora,
  data: Config['data'],
  tokenizer: TextTokenizer,
  dropped: Repeated | undefined,
): (sequenceLength: number) => Samples[] {
  const known = new Map<number, Samples[]>();
  return (sequenceLength) => {
    const parts =
      known.get(sequenceLength) ??
      views.map((view, i) =>
        named(train.length > 1 ? `data.train: ${sourceName(train[i]!)}` : undefined, () =>
          explained(() => samplesOf(view, { ...data, sequenceLength, tokenizer }), dropped),
        ),
      );
    known.set(sequenceLength, parts);
    return parts;
  };
}

/** Reports the share of each text of a mixture. */
function noteMixture(
  config: Config,
  { train, valid }: Corpora,
  parts: (sequenceLength: number) => readonly Samples[],
  validParts: readonly Samples[],
  report: Reporter,
): void {
  const numHeldOut = validParts.reduce((sum, { count }) => sum + count, 0);
  for (const [i, text] of train.entries()) {
    const { documents, tokens } = text.corpus.index;
    const epochs = phasesOf(config).reduce((sum, { steps, config: { data, train } }) => {
      return sum + (text.share * steps * train.batchSize) / parts(data.sequenceLength)[i]!.count;
    }, 0);
    const held = valid ? '' : `, ${percent(validParts[i]!.count / numHeldOut)} of the held-out text`;
    report.note(
      `text: ${percent(text.share)} from ${sourceName(text)}: ${counted(documents, 'document')}, ${counted(tokens, 'token')}, ${epochsText(epochs)}${held}`,
    );
  }
}

/** SHA-256 of everything that samples depend on, regardless of the names and times of the files. */
function hashOfTexts({ train, all }: Corpora, dropped: Repeated | undefined, parts: readonly Samples[]): string {
  // More than 2²⁰ documents or 2²¹ samples are read in another order than by earlier versions, whose runs cannot be resumed here.
  const isInBlocks = all.some(isSplitInBlocks) || parts.some(({ count }) => isReadInBlocks(count));
  const content = [
    ...all.map(contentOf),
    ...hashOf(dropped),
    ...(train.length > 1 ? [train.map(({ share }) => share)] : []),
    ...(isInBlocks ? ['in blocks'] : []),
  ];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

const percent = (share: number) => `${Number((100 * share).toPrecision(3))} %`;

/** Adds the name of the text to an error. */
function named<T>(name: string | undefined, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof DataError) || name === undefined) throw cause;
    throw new DataError(`${name}: ${cause.message.replace(/^data: /, '')}`, { cause });
  }
}

/** Adds to an error that it is about the held-out text, and where that comes from. */
function heldOut<T>(open: () => T, { valid, validFraction }: Config['data']): T {
  const what =
    valid.length > 0 ? `data.valid: ${valid.join(', ')}` : `data.validFraction: ${validFraction} of the text`;
  return named(`${what} is held out, which is too little`, open);
}

/** The tokens of a corpus, and where its documents end. */
function contentOf({ index }: Corpus): unknown {
  return [index.lengths.sha256, index.shards.map((shard) => shard.sha256)];
}
