import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bertTokens, maskingNames, wordPieceJson } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import { gptTokenizer } from './gpt2.ts';
import { hasToken, type TokenizerClass, type TokenizerFamily, type TokenizerJson } from './tokenizer-family.ts';

/** Special tokens by transformers' names for them. */
const tokensBy = ({ pad, unk, cls, sep, mask }: (typeof maskingNames)[number]): Record<string, string> => ({
  pad_token: pad,
  unk_token: unk,
  cls_token: cls,
  sep_token: sep,
  mask_token: mask,
});

const [bertNames, robertaNames] = maskingNames;
const namesOf = (json: TokenizerJson) => maskingNames.find(({ mask }) => hasToken(json, mask)) ?? bertNames;

/** WordPiece of BERT. */
export const bertTokenizer: TokenizerClass = {
  name: 'BertTokenizer',
  otherNames: ['DistilBertTokenizer'],
  defaults: tokensBy(bertNames),
  isOwn: {
    normalizer: (part) => part?.type === 'BertNormalizer' && part.clean_text === true,
    pre_tokenizer: (part) => part?.type === 'BertPreTokenizer',
    model: (part) =>
      (part?.type ?? 'WordPiece') === 'WordPiece' &&
      part?.unk_token === '[UNK]' &&
      part.continuing_subword_prefix === '##' &&
      part.max_input_chars_per_word === 100,
  },
  applySettings(json, set) {
    set(json.normalizer!, 'lowercase', 'do_lower_case', true);
    set(json.normalizer!, 'strip_accents', 'strip_accents', null);
    set(json.normalizer!, 'handle_chinese_chars', 'tokenize_chinese_chars', true);
    const id = (token: string) => json.model.vocab[token];
    json.post_processor ??= { type: 'BertProcessing', sep: ['[SEP]', id('[SEP]')], cls: ['[CLS]', id('[CLS]')] };
  },
  settings(json) {
    const { lowercase, strip_accents, handle_chinese_chars } = json.normalizer!;
    return { do_lower_case: lowercase, strip_accents, tokenize_chinese_chars: handle_chinese_chars };
  },
  vocabulary: {
    files: ['vocab.txt'],
    read(folder) {
      const path = join(folder, 'vocab.txt');
      const tokens = readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.trimEnd());
      if (tokens.at(-1) === '') tokens.pop();
      const lacking = bertTokens.find((token) => !tokens.includes(token));
      if (lacking) throw new CheckpointError(`${path}: lacks ${lacking}; copy the model's own file`);
      return wordPieceJson(tokens, { lowercase: true });
    },
  },
};

/** Byte-level BPE of RoBERTa. */
export const robertaTokenizer: TokenizerClass = {
  ...gptTokenizer,
  name: 'RobertaTokenizer',
  defaults: tokensBy(robertaNames),
  vocabulary: undefined,
};

/** Tokenizers with [MASK]: BERT's WordPiece, and byte-level BPE of ModernBERT and RoBERTa. */
export const bertTokenizers: TokenizerFamily = {
  classes: [bertTokenizer, robertaTokenizer],
  tokensOf(json) {
    return Object.fromEntries(Object.entries(tokensBy(namesOf(json))).filter(([, token]) => hasToken(json, token)));
  },
  onlyToken: (key, _, json) => tokensBy(namesOf(json))[key],
  addsBos: () => false,
  frame: '[CLS] text [SEP], or [CLS] text [SEP] text [SEP] with types 0 and 1',
  frames({ part, template, isToken, hasTypes }, json) {
    const { cls, sep } = namesOf(json);
    if (part?.type === 'BertProcessing') return isToken(part.cls, cls) && isToken(part.sep, sep);
    const single = `${cls}:0 A:0 ${sep}:0`;
    const pairs = [`${single} B:1 ${sep}:1`, ...(hasTypes ? [] : [`${single} B:0 ${sep}:0`])];
    return template?.single === single && pairs.includes(template.pair);
  },
  /** RoBERTa has two tokens between the texts of a pair, and no types; a single text is the same. */
  reframe(json) {
    const part = json.post_processor;
    if (part?.type !== 'RobertaProcessing') return;
    json.post_processor = { type: 'BertProcessing', sep: part.sep, cls: part.cls };
  },
};
