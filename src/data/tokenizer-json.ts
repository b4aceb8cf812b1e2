/** BERT's special pieces, in the order that a vocabulary trained here has them. */
export const bertPieces = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const;
/** What stands between documents in GPT-2's texts; the last piece of its vocabulary. */
export const endOfText = '<|endoftext|>';

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

/** Hugging Face's `tokenizer.json` of a BERT tokenizer with these pieces, the special ones among them. */
export function wordPieceJson(pieces: readonly string[], lowercase: boolean): string {
  const idOf = (piece: string) => pieces.indexOf(piece);
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: bertPieces.map((piece) => addedToken(piece, idOf(piece))),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', idOf('[SEP]')], cls: ['[CLS]', idOf('[CLS]')] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: maxWordCharacters,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    },
  });
}

/** Hugging Face's `tokenizer.json` of a GPT-2 tokenizer: pieces of bytes and the end of a text with their numbers, and merges. */
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
