import type { TokenizerClass } from './tokenizer-family.ts';

/**
 * BPE of characters with bytes as a last resort, of Llama 2: in transformers 5 with the space of the first word before the whole text, in
 * `tokenizer.json` as it was published before each stretch between special tokens.
 */
export const llamaTokenizer: TokenizerClass = {
  name: 'LlamaTokenizer',
  defaults: { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>' },
  isOwn: {
    normalizer: (part) => part === null,
    pre_tokenizer: (part) =>
      part?.type === 'Metaspace' && part.replacement === '▁' && part.prepend_scheme === 'first' && part.split === false,
    model: (part) => part?.byte_fallback === true && part.fuse_unk === true && !part.ignore_merges,
  },
  applySettings: () => {},
};
