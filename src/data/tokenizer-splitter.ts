import { bertSplitter, gptSplitter, type Splitter } from './words.ts';

/** The part of Hugging Face's `tokenizer.json` that decides how texts may be encoded. */
export interface TokenizerJson {
  added_tokens?: AddedToken[];
  normalizer?: { type: string; handle_chinese_chars?: boolean } | null;
  pre_tokenizer?: PreTokenizerJson | null;
  post_processor?: PostProcessorJson | null;
  model: { byte_fallback?: boolean };
}

interface AddedToken {
  content: string;
  special: boolean;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
}

/** The tokens that a tokenizer puts around a text. */
export interface PostProcessorJson {
  type: string;
  processors?: PostProcessorJson[];
  /** Of a `TemplateProcessing`: what a text becomes. */
  single?: { SpecialToken?: { id: string } }[];
}

interface PreTokenizerJson {
  type: string;
  add_prefix_space?: boolean;
  use_regex?: boolean;
  /** Of a `Split`. */
  pattern?: { Regex?: string };
  behavior?: string;
  invert?: boolean;
  pretokenizers?: PreTokenizerJson[];
}

/** How texts can be split into words that are encoded one by one, if the parts of the tokenizer allow it. */
export function splitterOf({ added_tokens: added = [], normalizer, pre_tokenizer: pre }: TokenizerJson) {
  const [first, ...others] = pre?.type === 'Sequence' ? (pre.pretokenizers ?? []) : [pre];
  const isBert = first?.type === 'BertPreTokenizer' && others.every((other) => other?.type === 'Split');
  if (isBert && (normalizer?.type ?? 'BertNormalizer') === 'BertNormalizer') {
    const contents = added.map(({ content }) => content).join('');
    if (/[\s\u3400-\u9fff]/.test(contents)) return () => undefined;
    // A single word that is looked for before the normalizer puts spaces around Chinese characters is not one beside these.
    const isWordInRaw = added.some(({ single_word, normalized }) => single_word && !normalized);
    const isHanzi = normalizer?.handle_chinese_chars === true && !isWordInRaw;
    const split = bertSplitter({ isHanzi, joined: contents + contents.normalize('NFD') });
    return () => split;
  }
  const isNfc = normalizer?.type === 'NFC';
  const split = bytesSplitter(pre);
  if (!split || (normalizer && !isNfc)) return () => undefined;
  // A run of spaces, as ModernBERT has them, is never cut.
  const isRun = ({ content, single_word, lstrip, rstrip }: AddedToken) =>
    /^ {2,}$/.test(content) && !single_word && !lstrip && !rstrip;
  const tokens = added.filter((token) => !isRun(token)).flatMap(({ content }) => [content, content.normalize('NFC')]);
  const holdsToken =
    tokens.length > 0 ? new RegExp(tokens.map((token) => token.replace(/\W/g, '\\$&')).join('|')) : /(?!)/;
  return (text: string) =>
    holdsToken.test(text) || (isNfc && holdsToken.test(text.normalize('NFC'))) ? undefined : split;
}

/** The patterns by which Llama 3 and Qwen split texts, except for the number of digits in a word. */
const joiningPattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** How a byte-level tokenizer splits texts into words, if its pattern is known. */
function bytesSplitter(pre: PreTokenizerJson | null | undefined): Splitter | undefined {
  const [split, bytes, ...others] = pre?.type === 'Sequence' ? (pre.pretokenizers ?? []) : [undefined, pre];
  if (bytes?.type !== 'ByteLevel' || bytes.add_prefix_space || others.length > 0) return undefined;
  if (!split || split.type === 'Digits')
    return bytes.use_regex === false ? undefined : gptSplitter({ joinsMarks: false });
  const { type, pattern, behavior, invert } = split;
  const isKnown =
    type === 'Split' &&
    behavior === 'Isolated' &&
    !invert &&
    pattern?.Regex?.replace('\\p{N}{1,3}', '\\p{N}') === joiningPattern;
  return isKnown && bytes.use_regex === false ? gptSplitter({ joinsMarks: true }) : undefined;
}
