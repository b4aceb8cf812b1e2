import type { TextTokenizer } from '../data/index.ts';
import { familyOf, type ModelConfig } from '../model/index.ts';
import { bertTokenizer, bertTokenizers, robertaTokenizer } from './tokenizers/bert.ts';
import { gptTokenizer, gptTokenizers } from './tokenizers/gpt2.ts';
import { qwenTokenizer } from './tokenizers/qwen.ts';
import type { Part, PartName, TokenizerClass, TokenizerFamily, TokenizerJson } from './tokenizers/tokenizer-family.ts';

/** The family in `transformers` of each kind of tokenizer. */
const tokenizerFamilies: Readonly<Record<TextTokenizer['kind'], TokenizerFamily>> = {
  bert: bertTokenizers,
  gpt2: gptTokenizers,
};

/** The family of the tokenizers of a model. */
export const tokenizerFamilyOf = (config: Pick<ModelConfig, 'kind'>): TokenizerFamily =>
  tokenizerFamilies[familyOf(config).tokenizer];

/** The class that `AutoTokenizer` takes for a `model_type` if none is named; for others it takes `tokenizer.json` as it is. */
export const classesOfModels: Readonly<Record<string, TokenizerClass>> = {
  bert: bertTokenizer,
  'megatron-bert': bertTokenizer,
  distilbert: bertTokenizer,
  roberta: robertaTokenizer,
  gpt2: gptTokenizer,
  qwen3: qwenTokenizer,
};

/** Whether `tokenizer.json` puts the same tokens around texts as taper does. */
export function framesTexts(json: TokenizerJson, config: Pick<ModelConfig, 'kind'>): boolean {
  const { vocab } = json.model;
  const part = framingPart(json.post_processor);
  const step = ({ SpecialToken: token, Sequence: text }: { SpecialToken?: Step; Sequence?: Step }) =>
    `${(token ?? text)?.id}:${(token ?? text)?.type_id}`;
  const steps = (list: unknown) => (Array.isArray(list) ? list.map(step).join(' ') : '');
  const frame = {
    part,
    template: part?.type === 'TemplateProcessing' ? { single: steps(part.single), pair: steps(part.pair) } : undefined,
    isToken: (value: unknown, token: string) => JSON.stringify(value) === JSON.stringify([token, vocab[token]]),
    hasTypes: familyOf(config).hasTokenTypes,
  };
  return tokenizerFamilyOf(config).frames(frame, json);
}

/** The post-processor of a sequence that adds tokens; `ByteLevel` beside it adds none. */
function framingPart(part: Part | null | undefined): Part | null | undefined {
  if (part?.type !== 'Sequence') return part;
  const framing = (part.processors as Part[]).filter(({ type }) => type !== 'ByteLevel');
  return framing.length > 1 ? part : framing[0];
}

/** A step of a template: a token or a text, and the type of its tokens. */
interface Step {
  id: string;
  type_id: number;
}

/** The first part of a `tokenizer.json` that a class would replace. */
export function replacedPart(json: TokenizerJson, { isOwn }: TokenizerClass): PartName | undefined {
  const parts = Object.entries(isOwn) as [PartName, (part: Part | null) => boolean][];
  return parts.find(([name, isTheirs]) => !isTheirs(json[name] ?? null))?.[0];
}

/**
 * `tokenizer_config.json` for a `tokenizer.json`: the class with which Python's transformers gives the ids that taper gives.
 * `PreTrainedTokenizerFast` takes the file as it is. `BertTokenizer` makes the normalizer from settings and is named only if it
 * makes the same one: transformers.js sets the token types of a pair only with that class. Texts are truncated to `maxLength` tokens.
 */
export function tokenizerConfig(
  tokenizerJson: string,
  config: ModelConfig,
  maxLength = config.maxPositions,
): Record<string, unknown> {
  const json = JSON.parse(tokenizerJson) as TokenizerJson;
  const family = tokenizerFamilyOf(config);
  const tokens = family.tokensOf(json);
  const others = (json.added_tokens ?? [])
    .filter(({ content, special }) => special && !Object.values(tokens).includes(content))
    .map(({ content }) => content);
  return {
    ...classOf(json, family),
    model_max_length: Math.min(maxLength, config.maxPositions),
    model_input_names: ['input_ids', ...(familyOf(config).hasTokenTypes ? ['token_type_ids'] : []), 'attention_mask'],
    padding_side: 'right',
    clean_up_tokenization_spaces: false,
    ...tokens,
    ...(others.length > 0 && { additional_special_tokens: others }),
  };
}

function classOf(json: TokenizerJson, { classes }: TokenizerFamily): Record<string, unknown> {
  const own = classes.find((each) => each.settings && replacedPart(json, each) === undefined);
  if (own) return { tokenizer_class: own.name, ...own.settings!(json) };
  // transformers 4 sets this in tokenizer.json's pre-tokenizer, to false if it is not given.
  const prefix = json.pre_tokenizer?.add_prefix_space;
  return { tokenizer_class: 'PreTrainedTokenizerFast', ...(prefix !== undefined && { add_prefix_space: prefix }) };
}
