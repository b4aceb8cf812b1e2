import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteLevelJson, endOfText, endTokens, firstTokenOf } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import { readJson } from '../read-config.ts';
import { llamaTokenizer } from './llama.ts';
import { qwenTokenizer } from './qwen.ts';
import {
  hasToken,
  isPlainBpe,
  type TokenizerClass,
  type TokenizerFamily,
  type TokenizerJson,
} from './tokenizer-family.ts';

/** Byte-level BPE of GPT-2. */
export const gptTokenizer: TokenizerClass = {
  name: 'GPT2Tokenizer',
  defaults: { eos_token: endOfText },
  isOwn: {
    normalizer: (part) => part === null,
    pre_tokenizer: (part) => part?.type === 'ByteLevel' && part.use_regex !== false,
    model: isPlainBpe,
  },
  applySettings: (json, set) => set(json.pre_tokenizer!, 'add_prefix_space', 'add_prefix_space', false),
  vocabulary: {
    files: ['vocab.json', 'merges.txt'],
    read(folder) {
      const merges = readFileSync(join(folder, 'merges.txt'), 'utf8')
        .split('\n')
        .map((line) => line.replace(/\r$/, ''))
        .filter((line) => line !== '' && !line.startsWith('#version'));
      return byteLevelJson(vocabOf(folder), merges);
    },
  },
};

/** Tokenizers with an end of a text and no [MASK]: those of GPT-2, Llama and Qwen. */
export const gptTokenizers: TokenizerFamily = {
  classes: [gptTokenizer, qwenTokenizer, llamaTokenizer],
  tokensOf(json) {
    const end = endOf(json);
    const unknown = ['<unk>', endOfText].find((token) => hasToken(json, token));
    return { bos_token: firstTokenOf(json) ?? end!, eos_token: end!, ...(unknown && { unk_token: unknown }) };
  },
  onlyToken(key, found, json) {
    const isEnd = (endTokens as readonly string[]).includes(found);
    return key === 'eos_token' && isEnd ? endOf(json) : undefined;
  },
  addsBos: (json) => firstTokenOf(json) !== undefined,
  frame: 'only the text, or one token before it',
  frames: ({ part, template }) => !part || part.type === 'ByteLevel' || /^(\S+:0 )?A:0$/.test(template?.single ?? ''),
};

const endOf = (json: TokenizerJson) => endTokens.find((token) => hasToken(json, token));

/** The tokens of a `vocab.json` with their ids: each id from 0 up once. */
function vocabOf(folder: string): Record<string, number> {
  const vocab = readJson(folder, 'vocab.json');
  const ids = new Set(Object.values(vocab));
  const isWhole = Object.keys(vocab).every((_, id) => ids.has(id)) && ids.size === Object.keys(vocab).length;
  if (isWhole && endOfText in vocab) return vocab as Record<string, number>;
  const what = isWhole ? `has no ${endOfText}` : 'does not number its tokens from 0 up';
  throw new CheckpointError(`${join(folder, 'vocab.json')}: ${what}; copy the model's own file`);
}
