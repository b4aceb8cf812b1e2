/** BERT's special tokens, in the order that a vocabulary trained here has them. */
export const bertTokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const;
/** The special tokens of models that fill masks: BERT's names, and RoBERTa's. */
export const maskingNames = [
  { pad: '[PAD]', unk: '[UNK]', cls: '[CLS]', sep: '[SEP]', mask: '[MASK]' },
  { pad: '<pad>', unk: '<unk>', cls: '<s>', sep: '</s>', mask: '<mask>' },
] as const;
/** The token between documents in GPT-2's texts, the last of its vocabulary. */
export const endOfText = '<|endoftext|>';
/**
 * The end-of-text tokens that published models were trained with: GPT-2, Qwen and SmolLM; Llama 3; Llama 2; DeepSeek. The first
 * of them that a tokenizer has is its end of a text. `eos_token` does not decide it: it is not in `tokenizer.json`, and in chat
 * models it is the end of a turn.
 */
export const endTokens = [endOfText, '<|end_of_text|>', '</s>', '<｜end▁of▁sentence｜>'] as const;

/** WordPiece: a longer word is [UNK]. */
export const maxWordCharacters = 100;

/** A special token, as `added_tokens` lists it. */
export const addedToken = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/**
 * Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham, Tai Viet and Ahom.
 * Source: the line breaking class SA of Unicode, UAX #14.
 */
export const unspaced = '\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf';

const hasUnspaced = new RegExp(`[${unspaced}]`);

/** Whether a word has more characters than WordPiece takes, or any of these scripts. */
export function isLongOrUnspaced(word: string): boolean {
  return hasUnspaced.test(word) || (word.length > maxWordCharacters && [...word].length > maxWordCharacters);
}

/** A stretch of a word that is entirely in these scripts or entirely in others, and no longer than WordPiece takes. */
const stretch = `[${unspaced}]{1,${maxWordCharacters}}|[^${unspaced}]{1,${maxWordCharacters}}`;

const bertPreTokenizer = { type: 'BertPreTokenizer' };
const cutWords = { type: 'Split', pattern: { Regex: stretch }, behavior: 'Isolated', invert: false };

/** How a WordPiece tokenizer prepares a text before it looks words up. */
export interface WordPieceOptions {
  lowercase: boolean;
  /** Whether accents and vowel signs (category Mn) are stripped. Default: as `lowercase`. */
  stripAccents?: boolean | undefined;
  /** Whether words that are too long are split, and runs of scripts without spaces separated from others, instead of becoming [UNK]. */
  cutsWords?: boolean;
}

/** Hugging Face's `tokenizer.json` of a BERT tokenizer with these tokens, including the special ones. */
export function wordPieceJson(
  tokens: readonly string[],
  { lowercase, stripAccents, cutsWords = false }: WordPieceOptions,
): string {
  const idOf = (token: string) => tokens.indexOf(token);
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: bertTokens.map((token) => addedToken(token, idOf(token))),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: stripAccents ?? null,
      lowercase,
    },
    pre_tokenizer: cutsWords ? { type: 'Sequence', pretokenizers: [bertPreTokenizer, cutWords] } : bertPreTokenizer,
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', idOf('[SEP]')], cls: ['[CLS]', idOf('[CLS]')] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: maxWordCharacters,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  });
}

/** Hugging Face's `tokenizer.json` of a GPT-2 tokenizer: byte-level tokens and the end of a text with their ids, and merges. */
export function byteLevelJson(vocab: Readonly<Record<string, number>>, merges: readonly string[]): string {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [addedToken(endOfText, vocab[endOfText]!)],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges,
    },
  });
}
