import type { TextTokenizer } from '../data/index.ts';
import { familyOf, type ModelConfig } from '../model/index.ts';
import { bertTokenizer } from './tokenizers/bert.ts';
import { gptTokenizer } from './tokenizers/gpt2.ts';
import type { Part, PartName, TokenizerFamily, TokenizerJson } from './tokenizers/tokenizer-family.ts';

/** What `transformers` makes of each kind of tokenizer. */
const tokenizerFamilies: Readonly<Record<TextTokenizer['kind'], TokenizerFamily>> = {
  bert: bertTokenizer,
  gpt2: gptTokenizer,
};

/** What it makes of the tokenizers of a model. */
export const tokenizerFamilyOf = (config: Pick<ModelConfig, 'kind'>): TokenizerFamily =>
  tokenizerFamilies[familyOf(config).tokenizer];

/** Whether `tokenizer.json` puts around texts what taper does. */
export function framesTexts(
  { post_processor: part, model: { vocab } }: TokenizerJson,
  family: TokenizerFamily,
): boolean {
  const step = ({ SpecialToken: token, Sequence: text }: { SpecialToken?: Step; Sequence?: Step }) =>
    `${(token ?? text)?.id}:${(token ?? text)?.type_id}`;
  const steps = (list: unknown) => (Array.isArray(list) ? list.map(step).join(' ') : '');
  return family.frames({
    part,
    template: part?.type === 'TemplateProcessing' ? `${steps(part.single)}, ${steps(part.pair)}` : undefined,
    isToken: (value, token) => JSON.stringify(value) === JSON.stringify([token, vocab[token]]),
  });
}

/** A step of a template: a token or a text, and the type of its tokens. */
interface Step {
  id: string;
  type_id: number;
}

/** The first part of a `tokenizer.json` that the family's own class would replace. */
export function replacedPart(json: TokenizerJson, { isOwn }: TokenizerFamily): PartName | undefined {
  const parts = Object.entries(isOwn) as [PartName, (part: Part | null) => boolean][];
  return parts.find(([name, isTheirs]) => !isTheirs(json[name] ?? null))?.[0];
}

/**
 * `tokenizer_config.json` for a `tokenizer.json`: the class with which Python's transformers gives the ids that taper gives.
 * `PreTrainedTokenizerFast` takes the file as it stands. `BertTokenizer` makes the normalizer from settings and is named only where
 * it makes the same: transformers.js numbers the two texts of a pair with that class alone.
 */
export function tokenizerConfig(tokenizerJson: string, config: ModelConfig): Record<string, unknown> {
  const json = JSON.parse(tokenizerJson) as TokenizerJson;
  const family = tokenizerFamilyOf(config);
  const others = (json.added_tokens ?? [])
    .filter(({ content, special }) => special && !Object.values(family.tokens).includes(content))
    .map(({ content }) => content);
  return {
    ...classOf(json, family),
    model_max_length: config.maxPositions,
    model_input_names: ['input_ids', ...(family.hasTypes ? ['token_type_ids'] : []), 'attention_mask'],
    padding_side: 'right',
    clean_up_tokenization_spaces: false,
    ...family.tokens,
    ...(others.length > 0 && { additional_special_tokens: others }),
  };
}

function classOf(json: TokenizerJson, family: TokenizerFamily): Record<string, unknown> {
  if (family.settings && replacedPart(json, family) === undefined)
    return { tokenizer_class: family.ownClass, ...family.settings(json) };
  // transformers 4 sets this in tokenizer.json's pre-tokenizer, to false where it is not given.
  const prefix = json.pre_tokenizer?.add_prefix_space;
  return { tokenizer_class: 'PreTrainedTokenizerFast', ...(prefix !== undefined && { add_prefix_space: prefix }) };
}
