import { Tokenizer } from 'tokenizers';
import { DataError } from '../errors/index.ts';
import { everyTwoSeconds } from './ticks.ts';
import { TextTokenizer } from './tokenizer.ts';
import {
  bertTokens,
  byteLevelJson,
  endOfText,
  isLongOrUnspaced,
  type WordPieceOptions,
  wordPieceJson,
} from './tokenizer-json.ts';
import { trainVocabulary, type Vocabulary } from './vocabulary.ts';
import { bertSplitter, gptWords, ownCopy, stretchesOf, wordsOf } from './words.ts';

/** Increased when the same text gives another vocabulary than before. */
export const trainingVersion = 3;

/** Accents are kept where there are more of them than this per letter: there they tell words apart (docs/log.md). */
const rareAccents = 0.002;

/** The progress of training a vocabulary: bytes of text read, then words counted, then tokens found. */
export interface TrainingProgress {
  what: 'bytes' | 'words' | 'tokens';
  done: number;
  total: number;
}

/** What a vocabulary is trained on: the first `maxBytes` of UTF-8 text; and its size, special tokens included. */
interface VocabularyOptions {
  vocabSize: number;
  maxBytes: number;
  /** Called every two seconds. */
  onProgress?: ((progress: TrainingProgress) => void) | undefined;
}

/**
 * Trains a WordPiece vocabulary on texts and returns its tokenizer: the five special tokens, then the characters and merges of
 * the first `maxBytes` of UTF-8 text, `vocabSize` in all, or fewer if the text does not have that many. Words of more than 100
 * characters and scripts without spaces are split, if the text has any. Unless `stripAccents` says so, lower-casing strips accents
 * only where fewer than 2 letters in 1,000 have one. The same texts always give the same vocabulary.
 *
 * @throws DataError if the texts contain no word.
 */
export async function trainWordPiece(
  documents: AsyncIterable<string>,
  { lowercase, stripAccents, ...options }: VocabularyOptions & Pick<WordPieceOptions, 'lowercase' | 'stripAccents'>,
): Promise<TextTokenizer> {
  const split = bertSplitter({ isHanzi: true });
  const chunks = await countWords(documents, (text) => wordsOf(text, split), options);
  const keepsAccents = lowercase && accentShare(chunks) > rareAccents;
  const cleaning = { lowercase, stripAccents: stripAccents ?? (keepsAccents ? false : undefined) };
  const plain = await countParts(chunks, wordPieceJson(bertTokens, cleaning), options);
  const cutsWords = Array.from(plain.keys()).some(isLongOrUnspaced);
  const words = cutsWords
    ? await countParts(plain, wordPieceJson(bertTokens, { ...cleaning, cutsWords }), options)
    : plain;
  const { tokens } = await trainOn(words, options, { numSpecial: bertTokens.length, prefix: '##' });
  return TextTokenizer.fromJson(wordPieceJson([...bertTokens, ...tokens], { ...cleaning, cutsWords }));
}

/** The number of accents and vowel signs (Unicode category Mn) per letter. */
function accentShare(wordCounts: ReadonlyMap<string, number>): number {
  let [letters, accents] = [0, 0];
  for (const [word, count] of wordCounts) {
    const parts = word.normalize('NFD');
    letters += count * (parts.match(/\p{L}/gu)?.length ?? 0);
    accents += count * (parts.match(/\p{Mn}/gu)?.length ?? 0);
  }
  return accents / Math.max(1, letters);
}

/**
 * Trains GPT-2's byte-level vocabulary on texts and returns its tokenizer: the 256 bytes, the merges of the first `maxBytes` of
 * UTF-8 text, and the end of a text, `vocabSize` in all, or fewer if the text does not have that many. The same texts always give
 * the same vocabulary.
 * Source: Radford et al., "Language models are unsupervised multitask learners", 2019, section 2.2.
 *
 * @throws DataError if the texts contain no word.
 */
export async function trainByteLevel(
  documents: AsyncIterable<string>,
  options: VocabularyOptions,
): Promise<TextTokenizer> {
  const symbols = byteSymbols();
  if (options.vocabSize <= symbols.length) {
    throw new DataError(
      `tokenizer: ${options.vocabSize} tokens are too few, because there are 256 bytes and ${endOfText}; set model.vocabSize to 257 or more`,
    );
  }
  const words = await countWords(documents, gptWords, options);
  const spelled = new Map(
    Array.from(words, ([word, count]) => [Array.from(Buffer.from(word), (byte) => symbols[byte]!).join(''), count]),
  );
  const { tokens, merges } = await trainOn(spelled, options, { numSpecial: 1, prefix: '', alphabet: symbols });
  const vocab = Object.fromEntries([...tokens, endOfText].map((token, id) => [token, id]));
  return TextTokenizer.fromJson(
    byteLevelJson(
      vocab,
      merges.map((pair) => pair.join(' ')),
    ),
  );
}

async function countWords(
  documents: AsyncIterable<string>,
  split: (text: string) => readonly string[],
  { maxBytes, onProgress }: VocabularyOptions,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const tick = everyTwoSeconds(onProgress);
  let bytes = 0;
  for await (const text of documents) {
    for (const word of split(text)) {
      for (const part of stretchesOf(word)) {
        const count = counts.get(part);
        counts.set(count === undefined ? ownCopy(part) : part, (count ?? 0) + 1);
      }
    }
    bytes += Buffer.byteLength(text);
    await tick(() => ({ what: 'bytes', done: bytes, total: maxBytes }));
    if (bytes >= maxBytes) break;
  }
  return counts;
}

/** Normalises words and splits them into parts as the tokenizer of a `tokenizer.json` does before it looks them up. */
async function countParts(
  wordCounts: ReadonlyMap<string, number>,
  json: string,
  { onProgress }: VocabularyOptions,
): Promise<Map<string, number>> {
  const tokenizer = Tokenizer.fromString(json);
  const normalizer = tokenizer.getNormalizer()!;
  const preTokenizer = tokenizer.getPreTokenizer()!;
  const counts = new Map<string, number>();
  const tick = everyTwoSeconds(onProgress);
  let done = 0;
  for (const [word, count] of wordCounts) {
    for (const [part] of preTokenizer.preTokenizeString(normalizer.normalizeString(word))) {
      counts.set(part, (counts.get(part) ?? 0) + count);
    }
    done++;
    await tick(() => ({ what: 'words', done, total: wordCounts.size }));
  }
  return counts;
}

/** Trains a vocabulary on words; `numSpecial` of its tokens do not come from the text. */
function trainOn(
  wordCounts: ReadonlyMap<string, number>,
  { vocabSize, onProgress }: VocabularyOptions,
  { numSpecial, ...options }: { numSpecial: number; prefix: string; alphabet?: readonly string[] },
): Promise<Vocabulary> {
  if (wordCounts.size === 0) {
    throw new DataError('tokenizer: no word in the text to train on; give files that contain text');
  }
  return trainVocabulary(wordCounts, vocabSize - numSpecial, {
    ...options,
    onProgress: (tokens) => onProgress?.({ what: 'tokens', done: tokens + numSpecial, total: vocabSize }),
  });
}

/** [256] The character for each byte in GPT-2's vocabulary: the byte itself if it is printable in Latin-1. */
function byteSymbols(): string[] {
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : 256 + others++));
}

/** The kinds of tokenizers, each with its title, how it is trained, and whether it lower-cases and strips accents. */
export const tokenizerKinds = {
  bert: { title: 'WordPiece', train: trainWordPiece, cleans: true },
  gpt2: { title: 'byte-level', train: trainByteLevel, cleans: false },
} satisfies Record<TextTokenizer['kind'], object>;
