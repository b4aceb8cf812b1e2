import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bertPieces, wordPieceJson } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import { hasToken, type TokenizerClass, type TokenizerFamily } from './tokenizer-family.ts';

const tokens = {
  pad_token: '[PAD]',
  unk_token: '[UNK]',
  cls_token: '[CLS]',
  sep_token: '[SEP]',
  mask_token: '[MASK]',
};

/** WordPiece of BERT. */
export const bertTokenizer: TokenizerClass = {
  name: 'BertTokenizer',
  defaults: tokens,
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
      const pieces = readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.trimEnd());
      if (pieces.at(-1) === '') pieces.pop();
      const lacking = bertPieces.find((piece) => !pieces.includes(piece));
      if (lacking) throw new CheckpointError(`${path}: has no ${lacking}; copy the model's own file`);
      return wordPieceJson(pieces, { lowercase: true });
    },
  },
};

/** Tokenizers with [MASK]: BERT's WordPiece, and ModernBERT's byte-level BPE. */
export const bertTokenizers: TokenizerFamily = {
  classes: [bertTokenizer],
  tokensOf: (json) => Object.fromEntries(Object.entries(tokens).filter(([, token]) => hasToken(json, token))),
  onlyToken: (key) => (tokens as Record<string, string>)[key],
  addsBos: () => false,
  frame: '[CLS] text [SEP], or [CLS] text [SEP] text [SEP] with types 0 and 1',
  frames({ part, template, isToken, hasTypes }) {
    if (part?.type === 'BertProcessing') return isToken(part.cls, '[CLS]') && isToken(part.sep, '[SEP]');
    const pairs = ['[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1', ...(hasTypes ? [] : ['[CLS]:0 A:0 [SEP]:0 B:0 [SEP]:0'])];
    return template?.single === '[CLS]:0 A:0 [SEP]:0' && pairs.includes(template.pair);
  },
};
