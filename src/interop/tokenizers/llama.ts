import type { TokenizerClass } from './tokenizer-family.ts';

/**
 * Llama 2's BPE of characters with bytes as a fallback. In transformers 5 the space of the first word comes before the whole
 * text; in the published `tokenizer.json`, before each stretch between special tokens.
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
