import { endOfText, type TextTokenizer } from '../data/index.ts';
import { familyOf, type ModelConfig } from '../model/index.ts';

/** Hugging Face's `tokenizer.json`, as far as its parts decide which class of transformers reads it. */
export interface TokenizerJson {
  added_tokens?: AddedToken[];
  normalizer?: Part | null;
  pre_tokenizer?: Part | null;
  post_processor?: Part | null;
  model: Part & { vocab: Record<string, number> };
}

/** A part of a tokenizer: its type, and its settings. */
type Part = Record<string, unknown>;

/** A token that a text is searched for before anything else. */
export interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

type PartName = 'normalizer' | 'pre_tokenizer' | 'model';
export type TokenizerKind = TextTokenizer['kind'];

/** Whether a part is the one that `BertTokenizer` or `GPT2Tokenizer` of transformers 5 makes, whatever `tokenizer.json` holds. */
const isFamilysOwn: Record<TokenizerKind, Record<PartName, (part: Part | null) => boolean>> = {
  bert: {
    normalizer: (part) => part?.type === 'BertNormalizer' && part.clean_text === true,
    pre_tokenizer: (part) => part?.type === 'BertPreTokenizer',
    model: (part) =>
      (part?.type ?? 'WordPiece') === 'WordPiece' &&
      part?.unk_token === '[UNK]' &&
      part.continuing_subword_prefix === '##' &&
      part.max_input_chars_per_word === 100,
  },
  gpt2: {
    normalizer: (part) => part === null,
    pre_tokenizer: (part) => part?.type === 'ByteLevel' && part.use_regex !== false,
    model: (part) =>
      (part?.type ?? 'BPE') === 'BPE' &&
      !['dropout', 'continuing_subword_prefix', 'end_of_word_suffix', 'byte_fallback', 'ignore_merges'].some(
        (key) => part?.[key],
      ),
  },
};

/** The class of transformers that makes a tokenizer of the family from a vocabulary. */
export const ownClass: Record<TokenizerKind, string> = { bert: 'BertTokenizer', gpt2: 'GPT2Tokenizer' };

/** Whether `tokenizer.json` puts around texts what taper does: `[CLS] a [SEP] b [SEP]` of types 0 and 1 for BERT, nothing for GPT. */
export function framesTexts({ post_processor: part, model: { vocab } }: TokenizerJson, family: TokenizerKind): boolean {
  const isToken = (value: unknown, token: string) => JSON.stringify(value) === JSON.stringify([token, vocab[token]]);
  const step = ({ SpecialToken: token, Sequence: text }: { SpecialToken?: Step; Sequence?: Step }) =>
    `${(token ?? text)?.id}:${(token ?? text)?.type_id}`;
  const steps = (list: unknown) => (Array.isArray(list) ? list.map(step).join(' ') : '');
  const template = part?.type === 'TemplateProcessing' ? `${steps(part.single)}, ${steps(part.pair)}` : undefined;
  if (family === 'gpt2') return !part || part.type === 'ByteLevel' || template === 'A:0, A:0 B:1';
  if (part?.type === 'BertProcessing') return isToken(part.cls, '[CLS]') && isToken(part.sep, '[SEP]');
  return template === '[CLS]:0 A:0 [SEP]:0, [CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1';
}

/** A step of a template: a token or a text, and the type of its tokens. */
interface Step {
  id: string;
  type_id: number;
}

/** The first part of a `tokenizer.json` that the family's own class, `BertTokenizer` or `GPT2Tokenizer`, would replace. */
export function replacedPart(json: TokenizerJson, family: TokenizerKind): PartName | undefined {
  const parts = Object.entries(isFamilysOwn[family]) as [PartName, (part: Part | null) => boolean][];
  return parts.find(([name, isOwn]) => !isOwn(json[name] ?? null))?.[0];
}

/**
 * `tokenizer_config.json` for a `tokenizer.json`: the class with which Python's transformers gives the ids that taper gives.
 * `PreTrainedTokenizerFast` takes the file as it stands. `BertTokenizer` makes the normalizer from settings and is named only where
 * it makes the same: transformers.js numbers the two texts of a pair with that class alone.
 */
export function tokenizerConfig(tokenizerJson: string, config: ModelConfig): Record<string, unknown> {
  const kind = familyOf(config).tokenizer;
  const json = JSON.parse(tokenizerJson) as TokenizerJson;
  const named = kind === 'bert' ? bertTokens : gptTokens;
  const others = (json.added_tokens ?? [])
    .filter(({ content, special }) => special && !Object.values(named).includes(content))
    .map(({ content }) => content);
  return {
    ...classOf(json, kind),
    model_max_length: config.maxPositions,
    model_input_names: ['input_ids', ...(kind === 'bert' ? ['token_type_ids'] : []), 'attention_mask'],
    padding_side: 'right',
    clean_up_tokenization_spaces: false,
    ...named,
    ...(others.length > 0 && { additional_special_tokens: others }),
  };
}

/** BERT's special tokens, by the names that transformers has for them. */
export const bertTokens = {
  pad_token: '[PAD]',
  unk_token: '[UNK]',
  cls_token: '[CLS]',
  sep_token: '[SEP]',
  mask_token: '[MASK]',
};
const gptTokens = { bos_token: endOfText, eos_token: endOfText, unk_token: endOfText };

function classOf(json: TokenizerJson, kind: TokenizerKind): Record<string, unknown> {
  if (kind === 'bert' && replacedPart(json, kind) === undefined) {
    const { lowercase, strip_accents, handle_chinese_chars } = json.normalizer!;
    return {
      tokenizer_class: ownClass.bert,
      do_lower_case: lowercase,
      strip_accents,
      tokenize_chinese_chars: handle_chinese_chars,
    };
  }
  // transformers 4 sets this in tokenizer.json's pre-tokenizer, to false where it is not given.
  const prefix = json.pre_tokenizer?.add_prefix_space;
  return { tokenizer_class: 'PreTrainedTokenizerFast', ...(prefix !== undefined && { add_prefix_space: prefix }) };
}
