import { bertNormalizer, bertPreTokenizer } from 'tokenizers';
import { DataError } from '../config/errors.ts';
import { trainPieces } from './pieces.ts';
import { TextTokenizer } from './tokenizer.ts';
import { bertPieces, byteLevelJson, endOfText, maxWordCharacters, wordPieceJson } from './tokenizer-json.ts';
import { gptWords, ownCopy, splitAtSpaces } from './words.ts';

/** What a vocabulary is trained on: the first `maxBytes` of UTF-8 text; and its size, special pieces included. */
interface VocabularyOptions {
  vocabSize: number;
  maxBytes: number;
}

/**
 * Trains a WordPiece vocabulary on texts and returns its tokenizer: the five special tokens, then the characters and
 * merges of the first `maxBytes` of UTF-8 text, `vocabSize` in all, or fewer where the text does not hold as many.
 * The same texts always give the same vocabulary. Throws a DataError where the texts hold no word.
 */
export async function trainWordPiece(
  documents: AsyncIterable<string>,
  { vocabSize, lowercase, maxBytes }: VocabularyOptions & { lowercase: boolean },
): Promise<TextTokenizer> {
  const chunkCounts = await countWords(documents, splitAtSpaces, maxBytes);
  const normalizer = bertNormalizer({ lowercase });
  const preTokenizer = bertPreTokenizer();
  const wordCounts = new Map<string, number>();
  for (const [chunk, count] of chunkCounts) {
    for (const [word] of preTokenizer.preTokenizeString(normalizer.normalizeString(chunk))) {
      if (word.length <= maxWordCharacters) wordCounts.set(word, (wordCounts.get(word) ?? 0) + count);
    }
  }
  refuseEmpty(wordCounts);
  const { pieces } = trainPieces(wordCounts, vocabSize - bertPieces.length, { prefix: '##' });
  return TextTokenizer.fromJson(wordPieceJson([...bertPieces, ...pieces], lowercase));
}

/**
 * Trains GPT-2's byte-level vocabulary on texts and returns its tokenizer: the 256 bytes, the merges of the first
 * `maxBytes` of UTF-8 text, and the end of a text, `vocabSize` in all, or fewer where the text does not hold as many.
 * The same texts always give the same vocabulary. Throws a DataError where the texts hold no word.
 * Source: Radford et al., "Language models are unsupervised multitask learners", 2019, section 2.2.
 */
export async function trainByteLevel(
  documents: AsyncIterable<string>,
  { vocabSize, maxBytes }: VocabularyOptions,
): Promise<TextTokenizer> {
  const words = await countWords(documents, gptWords, maxBytes);
  refuseEmpty(words);
  const symbols = byteSymbols();
  const wordCounts = new Map(
    Array.from(words, ([word, count]) => [Array.from(Buffer.from(word), (byte) => symbols[byte]!).join(''), count]),
  );
  const { pieces, merges } = trainPieces(wordCounts, vocabSize - 1, { prefix: '', alphabet: symbols });
  const vocab = Object.fromEntries([...pieces, endOfText].map((piece, id) => [piece, id]));
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
  maxBytes: number,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let bytes = 0;
  for await (const text of documents) {
    for (const word of split(text)) {
      const count = counts.get(word);
      counts.set(count === undefined ? ownCopy(word) : word, (count ?? 0) + 1);
    }
    bytes += Buffer.byteLength(text);
    if (bytes >= maxBytes) break;
  }
  return counts;
}

function refuseEmpty(wordCounts: ReadonlyMap<string, number>): void {
  if (wordCounts.size > 0) return;
  throw new DataError('tokenizer: found no word in the text to train on; give files that hold text');
}

/** [256] The character that stands for each byte in GPT-2's vocabulary: itself where it is printable in Latin-1. */
function byteSymbols(): string[] {
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : 256 + others++));
}
