import { Tokenizer } from 'tokenizers';
import { DataError } from '../config/errors.ts';
import { type Pieces, trainPieces } from './pieces.ts';
import { everySecond } from './ticks.ts';
import { TextTokenizer } from './tokenizer.ts';
import {
  bertPieces,
  byteLevelJson,
  endOfText,
  isLongOrUnspaced,
  type WordPieceOptions,
  wordPieceJson,
} from './tokenizer-json.ts';
import { gptWords, ownCopy, splitAtHanzi, stretchesOf } from './words.ts';

/** Counts up when the same text gives another vocabulary than before. */
export const trainingVersion = 2;

/** How far the training of a vocabulary is: the bytes of text that were read, then the tokens that were found. */
export interface TrainingProgress {
  textBytes: number;
  tokens: number;
}

/** What a vocabulary is trained on: the first `maxBytes` of UTF-8 text; and its size, special tokens included. */
interface VocabularyOptions {
  vocabSize: number;
  maxBytes: number;
  /** Is called once a second. */
  onProgress?: ((progress: TrainingProgress) => void) | undefined;
}

/**
 * Trains a WordPiece vocabulary on texts and returns its tokenizer: the five special tokens, then the characters and
 * merges of the first `maxBytes` of UTF-8 text, `vocabSize` in all, or fewer where the text does not hold as many.
 * Words of more than 100 characters and scripts without spaces are cut, where the text has any.
 * The same texts always give the same vocabulary. Throws a DataError where the texts hold no word.
 */
export async function trainWordPiece(
  documents: AsyncIterable<string>,
  { lowercase, stripAccents, ...options }: VocabularyOptions & Pick<WordPieceOptions, 'lowercase' | 'stripAccents'>,
): Promise<TextTokenizer> {
  const chunks = await countWords(documents, splitAtHanzi, options);
  const plain = await countParts(chunks, wordPieceJson(bertPieces, { lowercase, stripAccents }), options);
  const cutsWords = Array.from(plain.counts.keys()).some(isLongOrUnspaced);
  const words = cutsWords
    ? await countParts(plain, wordPieceJson(bertPieces, { lowercase, stripAccents, cutsWords }), options)
    : plain;
  const { pieces } = await trainOn(words, options, bertPieces.length, '##');
  return TextTokenizer.fromJson(wordPieceJson([...bertPieces, ...pieces], { lowercase, stripAccents, cutsWords }));
}

/**
 * Trains GPT-2's byte-level vocabulary on texts and returns its tokenizer: the 256 bytes, the merges of the first
 * `maxBytes` of UTF-8 text, and the end of a text, `vocabSize` in all, or fewer where the text does not hold as many.
 * The same texts always give the same vocabulary. Throws a DataError where the texts hold no word.
 * Source: Radford et al., "Language models are unsupervised multitask learners", 2019, section 2.2.
 */
export async function trainByteLevel(
  documents: AsyncIterable<string>,
  options: VocabularyOptions,
): Promise<TextTokenizer> {
  const symbols = byteSymbols();
  if (options.vocabSize <= symbols.length) {
    throw new DataError(
      `tokenizer: ${options.vocabSize} tokens cannot spell every text, since there are 256 bytes and ${endOfText}; ask for 257 or more (model.vocabSize)`,
    );
  }
  const { counts, textBytes } = await countWords(documents, gptWords, options);
  const spelled = new Map(
    Array.from(counts, ([word, count]) => [Array.from(Buffer.from(word), (byte) => symbols[byte]!).join(''), count]),
  );
  const { pieces, merges } = await trainOn({ counts: spelled, textBytes }, options, 1, '', symbols);
  const vocab = Object.fromEntries([...pieces, endOfText].map((piece, id) => [piece, id]));
  return TextTokenizer.fromJson(
    byteLevelJson(
      vocab,
      merges.map((pair) => pair.join(' ')),
    ),
  );
}

/** Words and how often each occurs, and the size of the text that they are from. */
interface WordCounts {
  counts: Map<string, number>;
  textBytes: number;
}

async function countWords(
  documents: AsyncIterable<string>,
  split: (text: string) => readonly string[],
  { maxBytes, onProgress }: VocabularyOptions,
): Promise<WordCounts> {
  const counts = new Map<string, number>();
  const tick = everySecond(onProgress);
  let textBytes = 0;
  for await (const text of documents) {
    for (const word of split(text).flatMap(stretchesOf)) {
      const count = counts.get(word);
      counts.set(count === undefined ? ownCopy(word) : word, (count ?? 0) + 1);
    }
    textBytes += Buffer.byteLength(text);
    await tick(() => ({ textBytes, tokens: 0 }));
    if (textBytes >= maxBytes) break;
  }
  return { counts, textBytes };
}

/** Normalises words and cuts them in parts as the tokenizer of a `tokenizer.json` does before it looks them up. */
async function countParts(
  { counts, textBytes }: WordCounts,
  json: string,
  { onProgress }: VocabularyOptions,
): Promise<WordCounts> {
  const tokenizer = Tokenizer.fromString(json);
  const normalizer = tokenizer.getNormalizer()!;
  const preTokenizer = tokenizer.getPreTokenizer()!;
  const parts = new Map<string, number>();
  const tick = everySecond(onProgress);
  for (const [chunk, count] of counts) {
    for (const [part] of preTokenizer.preTokenizeString(normalizer.normalizeString(chunk))) {
      parts.set(part, (parts.get(part) ?? 0) + count);
    }
    await tick(() => ({ textBytes, tokens: 0 }));
  }
  return { counts: parts, textBytes };
}

/** Trains a vocabulary on words, of which `numSpecial` tokens are none of the text's. */
function trainOn(
  { counts, textBytes }: WordCounts,
  { vocabSize, onProgress }: VocabularyOptions,
  numSpecial: number,
  prefix: string,
  alphabet?: readonly string[],
): Promise<Pieces> {
  if (counts.size === 0) {
    throw new DataError('tokenizer: found no word in the text to train on; give files that hold text');
  }
  return trainPieces(counts, vocabSize - numSpecial, {
    prefix,
    alphabet,
    onProgress: (tokens) => onProgress?.({ textBytes, tokens: tokens + numSpecial }),
  });
}

/** [256] The character that stands for each byte in GPT-2's vocabulary: itself where it is printable in Latin-1. */
function byteSymbols(): string[] {
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : 256 + others++));
}
