import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Tokenizer } from 'tokenizers';
import { DataError } from '../errors/index.ts';
import { bertTokens, endTokens, maskingNames } from './tokenizer-json.ts';
import { type PostProcessorJson, splitterOf, type TokenizerJson } from './tokenizer-splitter.ts';
import { WordMemo } from './word-memo.ts';
import { type Splitter, unitsOf } from './words.ts';

const encodeWords = 4096; // at once: the library's results are large, and freed late
/** The id of a special token that a kind of tokenizer does not have. */
const none = -1;

/** The token ids of texts, and the number of their characters that became [UNK]. */
export interface CountedEncodings {
  ids: Int32Array[];
  unknownCharacters: number;
}

/** A tokenizer for models that fill masks or continue prompts, read from and stored as Hugging Face's `tokenizer.json`. */
export class TextTokenizer {
  /** The `tokenizer.json` as it was read or made. */
  readonly json: string;
  /** SHA-256 of `json`, in hexadecimal. */
  readonly hash: string;
  /** One more than the highest token id. */
  readonly vocabSize: number;
  /** `bert` has [MASK], [CLS] and the like; `gpt2` has only an end of a text. */
  readonly kind: 'bert' | 'gpt2';
  readonly padId: number;
  /** [UNK], or −1: byte-level tokens need none. */
  readonly unkId: number;
  /** [CLS], or −1. */
  readonly clsId: number;
  /** The token at the end of a text: [SEP], or <|endoftext|> and the like. */
  readonly sepId: number;
  /** [MASK], or −1. */
  readonly maskId: number;
  /** Whether its tokens are byte-level, so that it can represent every text and a space at the start of a token begins a word. */
  readonly isByteLevel: boolean;
  /** The token that a prompt begins with, by the post-processor of a `gpt2`: <|begin_of_text|> of Llama 3; or −1. */
  readonly bosId: number;
  /**
   * [V] 1 for a token that continues a word: it starts with `##`, or, if byte-level, with anything but white space. Source of the
   * latter: RoBERTa's masking of whole words, in fairseq.
   */
  readonly isContinuation: Uint8Array;
  /** [V] 1 for the tokens that end a sentence: `.`, `!`, `?`, `。` and the like (Unicode's Sentence_Terminal). */
  readonly isSentenceEnd: Uint8Array;
  /** [V] 1 for a special token, and for an id without a token. */
  readonly isSpecial: Uint8Array;

  readonly #tokenizer: Tokenizer;
  /** Splits a text at places that the tokenizer never looks past; undefined if those are not known for the text. */
  readonly #splitterOf: (text: string) => Splitter | undefined;
  #memo = new WordMemo();

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
    // A tokenizer.json of a published model often truncates or pads texts.
    this.#tokenizer.disableTruncation();
    this.#tokenizer.disablePadding();

    const has = (token: string) => this.#tokenizer.tokenToId(token) !== null;
    const end = endTokens.find(has);
    // ModernBERT and RoBERTa have an end of a text too.
    const known = maskingNames.find(({ mask, cls }) => has(mask) && has(cls));
    const names = known ?? (end === undefined ? maskingNames[0] : undefined);
    const idOf = (token: string): number => {
      const id = this.#tokenizer.tokenToId(token);
      if (id === null) {
        throw new DataError(
          `${where}: has no ${token} token; taper needs ${bertTokens.join(' ')} to fill masks, or one of ${endTokens.join(' ')} ` +
            'to continue texts',
        );
      }
      return id;
    };
    this.isByteLevel = knowsEveryByte(parsed);
    this.kind = names ? 'bert' : 'gpt2';
    this.padId = idOf(names?.pad ?? end!);
    this.unkId = names && (!this.isByteLevel || has(names.unk)) ? idOf(names.unk) : none;
    this.clsId = names ? idOf(names.cls) : none;
    this.sepId = idOf(names?.sep ?? end!);
    this.maskId = names ? idOf(names.mask) : none;
    const first = firstTokenOf(parsed);
    this.bosId = names || first === undefined ? none : idOf(first);

    const vocab = Object.entries(this.#tokenizer.getVocab(true));
    this.vocabSize = vocab.reduce((highest, [, id]) => Math.max(highest, id), 0) + 1;
    this.isContinuation = new Uint8Array(this.vocabSize);
    this.isSentenceEnd = new Uint8Array(this.vocabSize);
    this.isSpecial = new Uint8Array(this.vocabSize).fill(1);
    for (const [token, id] of vocab) {
      this.isContinuation[id] = (this.isByteLevel ? !beginsWord.test(token) : token.startsWith('##')) ? 1 : 0;
      this.isSpecial[id] = 0;
      const isShort = token.length <= 3; // the bytes of `。`
      const text = this.isByteLevel && isShort ? this.decode([id]) : token;
      this.isSentenceEnd[id] = /^\p{Sentence_Terminal}$/u.test(text) ? 1 : 0;
    }
    const marked = (parsed.added_tokens ?? []).filter(({ special }) => special).map(({ content }) => content);
    for (const id of [this.padId, this.unkId, this.clsId, this.sepId, this.maskId, this.bosId]) this.isSpecial[id] = 1;
    for (const token of marked) this.isSpecial[idOf(token)] = 1;

    this.#splitterOf = splitterOf(parsed);
  }

  /**
   * Reads a `tokenizer.json`.
   *
   * @throws DataError if it is missing, broken or lacks the special tokens.
   */
  static fromFile(path: string): TextTokenizer {
    let json: string;
    try {
      json = readFileSync(path, 'utf8');
    } catch (cause) {
      throw new DataError(`${path}: cannot be read as a tokenizer.json: ${messageOf(cause)}`, { cause });
    }
    return new TextTokenizer(json, path);
  }

  /**
   * Takes the text of a `tokenizer.json`; errors call it `where`.
   *
   * @throws DataError if it is broken or lacks the special tokens.
   */
  static fromJson(json: string, where = 'tokenizer'): TextTokenizer {
    return new TextTokenizer(json, where);
  }

  /** The token ids of a text, without [CLS] and [SEP]. */
  async encode(text: string): Promise<Int32Array> {
    const [ids] = await this.encodeBatch([text]);
    return ids!;
  }

  /**
   * The token ids of each text, without [CLS] and [SEP]. Words seen before are looked up, which is twice as fast on one core as
   * the library is on two.
   */
  async encodeBatch(texts: readonly string[]): Promise<Int32Array[]> {
    return (await this.encodeCounted(texts)).ids;
  }

  /** `encodeBatch`, and the number of characters (code points) that became [UNK]. */
  async encodeCounted(texts: readonly string[]): Promise<CountedEncodings> {
    if (this.#memo.isFull) this.#memo = new WordMemo();
    const memo = this.#memo;
    const unseen = new Map<number, string>();
    const whole: string[] = [];
    const wordsOfTexts = texts.map((text) => {
      const split = this.#splitterOf(text);
      if (!split) {
        whole.push(text);
        return undefined;
      }
      const words: number[] = [];
      const units = unitsOf(text);
      split(units, (start, end) => {
        const word = memo.numberOf(units, start, end);
        words.push(word);
        if (!memo.has(word)) unseen.set(word, text.slice(start, end));
      });
      return words;
    });
    const numbers = [...unseen.keys()];
    const words = [...unseen.values()];
    for (let start = 0; start < words.length; start += encodeWords) {
      const found = await this.#encodeWhole(words.slice(start, start + encodeWords));
      for (const [i, { ids, unknownCharacters }] of found.entries())
        memo.set(numbers[start + i]!, ids, unknownCharacters);
    }
    const others = (await this.#encodeWhole(whole)).values();
    const encoded = wordsOfTexts.map((words) => (words ? memo.encode(words) : others.next().value!));
    return {
      ids: encoded.map(({ ids }) => Int32Array.from(ids)),
      unknownCharacters: encoded.reduce((sum, { unknownCharacters }) => sum + unknownCharacters, 0),
    };
  }

  async #encodeWhole(texts: string[]): Promise<{ ids: number[]; unknownCharacters: number }[]> {
    if (texts.length === 0) return [];
    const encodings = await this.#tokenizer.encodeBatch(texts, { addSpecialTokens: false });
    return encodings.map((encoding) => {
      const ids = encoding.getIds();
      if (!ids.includes(this.unkId)) return { ids, unknownCharacters: 0 };
      const lengths = encoding.getOffsets().map(([start, end], i) => (ids[i] === this.unkId ? end! - start! : 0));
      return { ids, unknownCharacters: lengths.reduce((sum, length) => sum + length) };
    });
  }

  /** The text of token ids, special tokens left out. */
  decode(ids: Iterable<number>): string {
    const tokens = this.tokens([...ids].filter((id) => !this.isSpecial[id]));
    return this.#tokenizer.getDecoder()?.decode(tokens) ?? tokens.join(' ');
  }

  /**
   * The token of each id, as text.
   *
   * @throws RangeError for an id without one.
   */
  tokens(ids: Iterable<number>): string[] {
    return Array.from(ids, (id) => {
      const token = this.#tokenizer.idToToken(id);
      if (token === null) throw new RangeError(`tokens: ${id} is not a token id in 0 … ${this.vocabSize - 1}`);
      return token;
    });
  }
}

/** White space in byte-level tokens: space, tab, line feed and carriage return; and the space of Llama 2. */
const beginsWord = /^[ĠĉĊč▁\s]/;

/** Whether the tokens are byte-level, so that they can represent every text: as in GPT-2, or as a fallback as in Llama 2. */
function knowsEveryByte({ model, pre_tokenizer: pre }: TokenizerJson): boolean {
  return (
    model.byte_fallback === true || [pre, ...(pre?.pretokenizers ?? [])].some((part) => part?.type === 'ByteLevel')
  );
}

/** The token that the post-processor of a `tokenizer.json` puts before a text, by its template. */
export function firstTokenOf({ post_processor: part }: { post_processor?: unknown }): string | undefined {
  const whole = part as PostProcessorJson | null | undefined;
  const template = [whole, ...(whole?.processors ?? [])].find((each) => each?.type === 'TemplateProcessing');
  return template?.single?.[0]?.SpecialToken?.id;
}

/** The ids of special tokens in a `tokenizer.json`, or 0 for one that it does not have; `bos` is `end` if no token begins a text. */
export function specialIdsOf(json: string): Record<'pad' | 'cls' | 'sep' | 'bos' | 'end', number> {
  const parsed = JSON.parse(json) as { added_tokens?: { content: string; id: number }[]; post_processor?: unknown };
  const { added_tokens: added = [] } = parsed;
  const idOf = (token: string | undefined) => added.find(({ content }) => content === token)?.id;
  const end = endTokens.map(idOf).find((id) => id !== undefined) ?? 0;
  const names = maskingNames.find(({ mask }) => idOf(mask) !== undefined) ?? maskingNames[0];
  const [pad = 0, cls = 0, sep = 0] = [names.pad, names.cls, names.sep].map(idOf);
  return { pad, cls, sep, bos: idOf(firstTokenOf(parsed)) ?? end, end };
}

function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replaceAll('\n', ' ');
}
