import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteLevelJson, endOfText } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import { readJson } from '../read-config.ts';
import type { TokenizerFamily } from './tokenizer-family.ts';

/** Byte-level BPE, as `GPT2Tokenizer` of transformers makes it. */
export const gptTokenizer: TokenizerFamily = {
  ownClass: 'GPT2Tokenizer',
  tokens: { bos_token: endOfText, eos_token: endOfText, unk_token: endOfText },
  expected: { eos_token: endOfText },
  isOwn: {
    normalizer: (part) => part === null,
    pre_tokenizer: (part) => part?.type === 'ByteLevel' && part.use_regex !== false,
    model: (part) =>
      (part?.type ?? 'BPE') === 'BPE' &&
      !['dropout', 'continuing_subword_prefix', 'end_of_word_suffix', 'byte_fallback', 'ignore_merges'].some(
        (key) => part?.[key],
      ),
  },
  frame: 'the text alone',
  frames: ({ part, template }) => !part || part.type === 'ByteLevel' || template === 'A:0, A:0 B:1',
  hasTypes: false,
  applySettings: (json, set) => set(json.pre_tokenizer!, 'add_prefix_space', 'add_prefix_space', false),
  files: ['vocab.json', 'merges.txt'],
  fromFiles(folder) {
    const merges = readFileSync(join(folder, 'merges.txt'), 'utf8')
      .split('\n')
      .map((line) => line.replace(/\r$/, ''))
      .filter((line) => line !== '' && !line.startsWith('#version'));
    return byteLevelJson(vocabOf(folder), merges);
  },
};

/** The tokens of a `vocab.json` with their ids: each from 0 up once. */
function vocabOf(folder: string): Record<string, number> {
  const vocab = readJson(folder, 'vocab.json');
  const ids = new Set(Object.values(vocab));
  const isWhole = Object.keys(vocab).every((_, id) => ids.has(id)) && ids.size === Object.keys(vocab).length;
  if (isWhole && endOfText in vocab) return vocab as Record<string, number>;
  const what = isWhole ? `has no ${endOfText}` : 'does not number its tokens from 0 up';
  throw new CheckpointError(`${join(folder, 'vocab.json')}: ${what}; copy the model's own file`);
}
