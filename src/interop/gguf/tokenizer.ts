import { specialIdsOf } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import type { OutgoingModel } from '../model.ts';
import { tokenizerFamilyOf } from '../tokenizer-class.ts';
import { qwenWords } from '../tokenizers/qwen.ts';
import { isPlainBpe, type Part, type TokenizerJson } from '../tokenizers/tokenizer-family.ts';
import type { Field } from './file.ts';

/** GGUF's token types. User-defined tokens are matched in any text, control tokens only on request. */
const tokenTypes = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** How Llama 3 splits a text. Source: tokenizer.json of Llama 3. */
const llama3Words =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/**
 * llama.cpp's names for the ways to split texts before BPE, and whether a word that is itself a token stays whole.
 * Source: `llm_tokenizer_bpe` and `llama_vocab::impl::load` in src/llama-vocab.cpp of https://github.com/ggml-org/llama.cpp.
 */
const splits = [
  { name: 'gpt-2', steps: ['words', 'bytes'], ignoresMerges: false },
  { name: 'smollm', steps: ['digits', 'words', 'bytes'], ignoresMerges: false },
  { name: 'llama-bpe', steps: [`/${llama3Words}/`, 'bytes'], ignoresMerges: true },
  { name: 'dbrx', steps: [`/${llama3Words}/`, 'bytes'], ignoresMerges: false },
  { name: 'qwen2', steps: [`/${qwenWords}/`, 'bytes'], ignoresMerges: false },
] as const;

/**
 * The tokenizer of a model as fields of GGUF.
 *
 * @throws CheckpointError for one that llama.cpp does not support, or that taper cannot write.
 */
export function tokenizerFields(
  { checkpoint: { path, tokenizerJson }, config }: OutgoingModel,
  warn: (message: string) => void,
): Record<string, Field> {
  const json = JSON.parse(tokenizerJson) as TokenizerJson;
  const { model, added_tokens: added = [], normalizer } = json;
  const refuse = (what: string) =>
    new CheckpointError(`${path}: its tokenizer ${what}, which --to gguf cannot write; export it with --to hf`);

  if (!isPlainBpe({ ...model, ignore_merges: false })) throw refuse('is not plain byte-level BPE');
  const steps = stepsOf(json.pre_tokenizer).join(' ');
  const ignoresMerges = model.ignore_merges === true;
  const split = splits.find((each) => each.steps.join(' ') === steps && each.ignoresMerges === ignoresMerges);
  if (split === undefined) throw refuse('splits texts in an unknown way');
  const bent = added.find(({ lstrip, rstrip, single_word }) => lstrip || rstrip || single_word);
  if (bent) throw refuse(`looks at the text next to ${bent.content}`);
  if (normalizer && normalizer.type !== 'NFC') throw refuse(`has the normalizer ${normalizer.type}`);
  if (normalizer) warn(`${path}: its tokenizer composes characters (NFC); llama.cpp does not, so give it NFC text`);

  // A vocabulary may be padded with ids that have no token.
  const tokens = Array.from({ length: config.vocabSize }, (_, id) => `[PAD${id}]`);
  const types = new Int32Array(config.vocabSize).fill(tokenTypes.unused);
  const put = (token: string, id: number, type: number) => {
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(model.vocab)) put(token, id, tokenTypes.normal);
  for (const { content, id, special } of added) put(content, id, special ? tokenTypes.control : tokenTypes.userDefined);
  const merges = model.merges as (string | [string, string])[];
  const { bos, end } = specialIdsOf(tokenizerJson);
  const unknown = typeof model.unk_token === 'string' ? tokens.indexOf(model.unk_token) : -1;
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': split.name,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.merges': merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' '))),
    'tokenizer.ggml.bos_token_id': bos,
    'tokenizer.ggml.eos_token_id': end,
    ...(unknown >= 0 && { 'tokenizer.ggml.unknown_token_id': unknown }),
    'tokenizer.ggml.padding_token_id': end,
    'tokenizer.ggml.add_bos_token': tokenizerFamilyOf(config).addsBos(json),
  };
}

/** The steps of a pre-tokenizer by its type: GPT-2's `words`, single `digits`, a split by a `/pattern/`, and `bytes` last. */
const stepsOfType: Readonly<Record<string, (part: Part) => string[]>> = {
  Sequence: ({ pretokenizers }) => (pretokenizers as Part[]).flatMap(stepsOf),
  ByteLevel({ add_prefix_space, use_regex }) {
    if (add_prefix_space) return ['a space before'];
    return use_regex === false ? ['bytes'] : ['words', 'bytes'];
  },
  Digits: ({ individual_digits }) => [individual_digits ? 'digits' : 'numbers'],
  Split: ({ behavior, invert, pattern }) => [
    behavior === 'Isolated' && !invert ? `/${(pattern as Part).Regex}/` : 'another split',
  ],
};

/** The steps of a pre-tokenizer, in order. */
function stepsOf(part: Part | null | undefined): string[] {
  const type = `${part?.type}`;
  return stepsOfType[type]?.(part!) ?? [type];
}
