import { endOfText } from '../../data/index.ts';
import { isPlainBpe, type Part, type TokenizerClass } from './tokenizer-family.ts';

/** Source: `PRETOKENIZE_REGEX` of transformers' tokenization_qwen2.py. */
export const qwenWords =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Byte-level BPE of Qwen, up to Qwen3: with composed characters (NFC) and single digits. */
export const qwenTokenizer: TokenizerClass = {
  name: 'Qwen2Tokenizer',
  defaults: { eos_token: endOfText },
  isOwn: {
    normalizer: (part) => part?.type === 'NFC',
    pre_tokenizer(part) {
      const [split, bytes, ...others] = (part?.pretokenizers ?? []) as Part[];
      const isSplit = split?.type === 'Split' && split.behavior === 'Isolated' && !split.invert;
      const isSame = (split?.pattern as Part | undefined)?.Regex === qwenWords;
      return isSplit && isSame && bytes?.type === 'ByteLevel' && bytes.use_regex === false && others.length === 0;
    },
    model: isPlainBpe,
  },
  applySettings(json, set) {
    const [, bytes] = json.pre_tokenizer!.pretokenizers as Part[];
    set(bytes!, 'add_prefix_space', 'add_prefix_space', false);
  },
};
