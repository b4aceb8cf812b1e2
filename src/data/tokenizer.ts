import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bertNormalizer, bertPreTokenizer, Tokenizer } from 'tokenizers';
import { DataError } from '../config/errors.ts';
import { trainPieces } from './wordpiece.ts';

const specialPieces = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const;
const maxWordCharacters = 100; // a longer word is [UNK] to WordPiece
const maxMemoWords = 500_000; // about 100 MB
const encodeWords = 4096; // at once: the library's results are large, and freed late
const wordBorder = /[ \t\n\r]+/;

/** The part of Hugging Face's `tokenizer.json` that decides how texts may be encoded. */
interface TokenizerJson {
  added_tokens?: { content: string; special: boolean }[];
  normalizer?: { type: string } | null;
  pre_tokenizer?: { type: string } | null;
}

/**
 * Trains a WordPiece vocabulary on texts and returns its tokenizer: the five special tokens, then the characters and
 * merges of the first `maxBytes` of UTF-8 text, `vocabSize` in all, or fewer where the text does not hold as many.
 * The same texts always give the same vocabulary. Throws a DataError where the texts hold no word.
 */
export async function trainWordPiece(
  documents: AsyncIterable<string>,
  { vocabSize, lowercase, maxBytes }: { vocabSize: number; lowercase: boolean; maxBytes: number },
): Promise<TextTokenizer> {
  const chunkCounts = new Map<string, number>();
  let bytes = 0;
  for await (const text of documents) {
    for (const chunk of text.split(wordBorder)) {
      const count = chunkCounts.get(chunk);
      chunkCounts.set(count === undefined ? ownCopy(chunk) : chunk, (count ?? 0) + 1);
    }
    bytes += Buffer.byteLength(text);
    if (bytes >= maxBytes) break;
  }

  const normalizer = bertNormalizer({ lowercase });
  const preTokenizer = bertPreTokenizer();
  const wordCounts = new Map<string, number>();
  for (const [chunk, count] of chunkCounts) {
    for (const [word] of preTokenizer.preTokenizeString(normalizer.normalizeString(chunk))) {
      if (word.length <= maxWordCharacters) wordCounts.set(word, (wordCounts.get(word) ?? 0) + count);
    }
  }
  if (wordCounts.size === 0) {
    throw new DataError('tokenizer: found no word in the text to train on; give files that hold text');
  }
  return TextTokenizer.fromJson(wordPieceJson(trainPieces(wordCounts, vocabSize - specialPieces.length), lowercase));
}

/** Hugging Face's `tokenizer.json` of a BERT tokenizer with these pieces after the five special tokens. */
function wordPieceJson(pieces: readonly string[], lowercase: boolean): string {
  const all = [...specialPieces, ...pieces];
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialPieces.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: maxWordCharacters,
      vocab: Object.fromEntries(all.map((piece, id) => [piece, id])),
    },
  });
}

/** A tokenizer with BERT's special tokens, read from and kept as Hugging Face's `tokenizer.json`. */
export class TextTokenizer {
  /** The `tokenizer.json` as it was read or made. */
  readonly json: string;
  /** SHA-256 of `json`, in hexadecimal. */
  readonly hash: string;
  /** One more than the highest token id. */
  readonly vocabSize: number;
  readonly padId: number;
  readonly unkId: number;
  readonly clsId: number;
  readonly sepId: number;
  readonly maskId: number;
  /** [V] 1 for a piece that continues a word: it starts with `##`. */
  readonly isContinuation: Uint8Array;
  /** [V] 1 for the pieces `.`, `!` and `?`. */
  readonly isSentenceEnd: Uint8Array;
  /** [V] 1 for a special token, and for a number without a piece. */
  readonly isSpecial: Uint8Array;

  readonly #tokenizer: Tokenizer;
  readonly #wordsAreIndependent: boolean;
  readonly #memo = new Map<string, number[]>();

  private constructor(json: string, where: string) {
    this.json = json;
    this.hash = createHash('sha256').update(json).digest('hex');
    let parsed: TokenizerJson;
    try {
      parsed = JSON.parse(json);
      this.#tokenizer = Tokenizer.fromString(json);
    } catch (cause) {
      throw new DataError(`${where}: not a Hugging Face tokenizer.json: ${messageOf(cause)}`, { cause });
    }
    // A tokenizer.json of a published model often cuts or pads texts.
    this.#tokenizer.disableTruncation();
    this.#tokenizer.disablePadding();

    const idOf = (piece: string): number => {
      const id = this.#tokenizer.tokenToId(piece);
      if (id === null) throw new DataError(`${where}: has no ${piece} token; taper needs ${specialPieces.join(' ')}`);
      return id;
    };
    this.padId = idOf('[PAD]');
    this.unkId = idOf('[UNK]');
    this.clsId = idOf('[CLS]');
    this.sepId = idOf('[SEP]');
    this.maskId = idOf('[MASK]');

    const vocab = Object.entries(this.#tokenizer.getVocab(true));
    this.vocabSize = vocab.reduce((highest, [, id]) => Math.max(highest, id), 0) + 1;
    this.isContinuation = new Uint8Array(this.vocabSize);
    this.isSentenceEnd = new Uint8Array(this.vocabSize);
    this.isSpecial = new Uint8Array(this.vocabSize).fill(1);
    for (const [piece, id] of vocab) {
      this.isContinuation[id] = piece.startsWith('##') ? 1 : 0;
      this.isSentenceEnd[id] = ['.', '!', '?'].includes(piece) ? 1 : 0;
      this.isSpecial[id] = 0;
    }
    const added = parsed.added_tokens ?? [];
    const marked = added.filter(({ special }) => special).map(({ content }) => content);
    for (const piece of [...specialPieces, ...marked]) this.isSpecial[idOf(piece)] = 1;

    // BERT's normalizer and pre-tokenizer never look past white space, so that words can be encoded one by one.
    this.#wordsAreIndependent =
      parsed.pre_tokenizer?.type === 'BertPreTokenizer' &&
      (parsed.normalizer?.type ?? 'BertNormalizer') === 'BertNormalizer' &&
      !added.some(({ content }) => wordBorder.test(content));
  }

  /** Reads a `tokenizer.json`. Throws a DataError where it is missing, broken or without BERT's special tokens. */
  static fromFile(path: string): TextTokenizer {
    let json: string;
    try {
      json = readFileSync(path, 'utf8');
    } catch (cause) {
      throw new DataError(`${path}: cannot be read as a tokenizer.json: ${messageOf(cause)}`, { cause });
    }
    return new TextTokenizer(json, path);
  }

  /** Takes the text of a `tokenizer.json`. Throws a DataError where it is broken or without BERT's special tokens. */
  static fromJson(json: string): TextTokenizer {
    return new TextTokenizer(json, 'tokenizer');
  }

  /** The token ids of a text, without [CLS] and [SEP]. */
  async encode(text: string): Promise<Int32Array> {
    const [ids] = await this.encodeBatch([text]);
    return ids!;
  }

  /**
   * The token ids of each text, without [CLS] and [SEP].
   * Words that came before are looked up, which is twice as fast on one core as the library is on two.
   */
  async encodeBatch(texts: readonly string[]): Promise<Int32Array[]> {
    if (!this.#wordsAreIndependent) {
      const encodings = await this.#tokenizer.encodeBatch([...texts], { addSpecialTokens: false });
      return encodings.map((encoding) => Int32Array.from(encoding.getIds()));
    }
    const unseen = new Map<string, number[]>();
    const wordIds = texts.map((text) =>
      text.split(wordBorder).map((word) => {
        let ids = this.#memo.get(word) ?? unseen.get(word);
        if (!ids) {
          ids = [];
          unseen.set(ownCopy(word), ids);
        }
        return ids;
      }),
    );
    if (this.#memo.size + unseen.size > maxMemoWords) this.#memo.clear();
    const words = [...unseen.keys()];
    for (let start = 0; start < words.length; start += encodeWords) {
      const some = words.slice(start, start + encodeWords);
      const encodings = await this.#tokenizer.encodeBatch(some, { addSpecialTokens: false });
      for (const [i, word] of some.entries()) {
        const ids = unseen.get(word)!;
        for (const id of encodings[i]!.getIds()) ids.push(id);
        if (word.length <= maxWordCharacters) this.#memo.set(word, ids);
      }
    }
    return wordIds.map(concatenate);
  }

  /** The text of token ids, special tokens left out. */
  decode(ids: Iterable<number>): string {
    const pieces = this.pieces([...ids].filter((id) => !this.isSpecial[id]));
    return this.#tokenizer.getDecoder()?.decode(pieces) ?? pieces.join(' ');
  }

  /** The piece of each token id. Throws a RangeError for an id without one. */
  pieces(ids: Iterable<number>): string[] {
    return Array.from(ids, (id) => {
      const piece = this.#tokenizer.idToToken(id);
      if (piece === null) throw new RangeError(`pieces: ${id} is not a token id in 0 … ${this.vocabSize - 1}`);
      return piece;
    });
  }
}

function concatenate(lists: readonly (readonly number[])[]): Int32Array {
  const result = new Int32Array(lists.reduce((total, list) => total + list.length, 0));
  let at = 0;
  for (const list of lists) for (const id of list) result[at++] = id;
  return result;
}

/** A copy of a string that is a part of a larger one: the part alone would keep the whole in memory. */
function ownCopy(part: string): string {
  return Buffer.from(part, 'utf16le').toString('utf16le');
}

function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replaceAll('\n', ' ');
}
