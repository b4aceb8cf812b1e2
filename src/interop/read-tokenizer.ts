import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError } from '../errors/index.ts';
import { familyOf, type Json, type ModelConfig } from '../model/index.ts';
import { addedTokensOf, namedTokensOf, tokenNames } from './added-tokens.ts';
import { readJson } from './read-config.ts';
import { classesOfModels, framesTexts, replacedPart, tokenizerFamilyOf } from './tokenizer-class.ts';
import type { SetPart, TokenizerClass, TokenizerFamily, TokenizerJson } from './tokenizers/tokenizer-family.ts';

/** Models are often padded to a multiple of this many tokens, which makes matrix products fast; Qwen3 by 267. */
const paddedTo = 512;
const settingsFile = 'tokenizer_config.json';
/** Classes that take `tokenizer.json` as it is. */
const wholeClasses = ['PreTrainedTokenizerFast', 'TokenizersBackend'];

/** Settings that can change the tokens, with the values that `AutoTokenizer` respects or that change nothing. */
const known: Json = {
  add_eos_token: false,
  clean_text: true,
  do_basic_tokenize: true,
  split_special_tokens: false,
  wordpieces_prefix: '##',
};

/**
 * The tokenizer of a Hugging Face folder: `tokenizer.json`, or `vocab.txt` of a BERT, or `vocab.json` and `merges.txt` of a
 * GPT-2, with the settings and added tokens of the files beside it, so that it gives the ids of transformers' `AutoTokenizer`.
 * `warn` is called if these settings override `tokenizer.json`, and if a class that they name is ignored.
 *
 * @throws CheckpointError if there is none, if its vocabulary does not match the weights, and if versions of transformers
 *   disagree on its ids; names the setting and its file.
 */
export function readTokenizer(folder: string, model: ModelConfig, warn: (message: string) => void): TextTokenizer {
  const { vocabSize } = model;
  const { text, where } = openTokenizer(folder, model, warn);
  const tokenizer = TextTokenizer.fromJson(text, where);
  tellOfChats(folder, tokenizer, warn);
  const isPadded = vocabSize - tokenizer.vocabSize < paddedTo && vocabSize % 8 === 0;
  if (tokenizer.vocabSize > vocabSize || (tokenizer.vocabSize < vocabSize && !isPadded)) {
    throw new CheckpointError(
      `${folder}: its tokenizer has ${tokenizer.vocabSize} tokens, but its model has ${vocabSize}; use the model's own tokenizer`,
    );
  }
  return tokenizer;
}

/** The most tokens that the tokenizer of a Hugging Face folder leaves of a text, if it says so. */
export function maxLengthOf(folder: string): number | undefined {
  const { model_max_length: most } = settingsOf(folder);
  return typeof most === 'number' && most > 2 ? most : undefined; // without [CLS], [SEP] and a token there is no text
}

/** Warns if the model's end of a text is not the one that taper uses. */
function tellOfChats(folder: string, tokenizer: TextTokenizer, warn: (message: string) => void): void {
  const end = namedTokensOf(settingsOf(folder), {}).get('eos_token')?.content;
  const [own] = tokenizer.tokens([tokenizer.sepId]);
  if (tokenizer.kind === 'gpt2' && end !== undefined && end !== own) {
    warn(`${join(folder, settingsFile)}: eos_token ${end} ends a chat turn; taper ends texts with ${own}`);
  }
}

function openTokenizer(folder: string, model: ModelConfig, warn: (message: string) => void) {
  const at = (name: string) => join(folder, name);
  const family = tokenizerFamilyOf(model);
  const settings = settingsOf(folder);
  checkSettings(folder, settings);
  const original = existsSync(at('tokenizer.json')) ? readFileSync(at('tokenizer.json'), 'utf8') : undefined;
  // The library reports errors in its syntax or its parts.
  const kind = original === undefined ? undefined : TextTokenizer.fromJson(original, at('tokenizer.json')).kind;
  if (kind !== undefined && kind !== familyOf(model).tokenizer) {
    throw new CheckpointError(
      `${folder}: its tokenizer is for ${kind}, but its model is ${model.kind}; copy all files from one model`,
    );
  }
  const named = classOf(folder, family, settings);
  const files = original === undefined ? fromFiles(folder, named.made) : undefined;
  const where = at(files?.name ?? 'tokenizer.json');
  const text = original ?? files!.json;
  const json = JSON.parse(text) as TokenizerJson;
  const unchanged = JSON.stringify(json);
  checkTokens(folder, family, settings, json);
  const made = heededClass(json, named, { where, settingsPath: at(settingsFile), warn });
  if (made) {
    const tell = (message: string) => original !== undefined && warn(message);
    made.applySettings(json, setter(settings, at(settingsFile), tell));
  }
  json.added_tokens = addedTokensOf(folder, json, {
    settings,
    isOwnClass: made !== undefined,
    hasOwnTokens: original !== undefined,
    named: namedTokensOf(settings, made?.defaults ?? {}),
  });
  family.reframe?.(json);
  if (!framesTexts(json, model)) {
    throw new CheckpointError(`${where}: its post_processor does not produce ${family.frame}, which taper trains on`);
  }
  return { text: JSON.stringify(json) === unchanged ? text : JSON.stringify(json), where };
}

/** `tokenizer_config.json`, and `special_tokens_map.json` if transformers still reads it. */
function settingsOf(folder: string): Json {
  const optional = (name: string) => (existsSync(join(folder, name)) ? readJson(folder, name) : {});
  const settings = optional(settingsFile);
  return settings.added_tokens_decoder === undefined
    ? { ...settings, ...optional('special_tokens_map.json') }
    : settings;
}

/** The error for a setting that is refused. */
function refusal(folder: string, settings: Json, key: string, advice: string): CheckpointError {
  return new CheckpointError(`${join(folder, settingsFile)}: ${key} ${JSON.stringify(settings[key])} ${advice}`);
}

function checkSettings(folder: string, settings: Json): void {
  const refuse = (key: string, advice: string) => {
    throw refusal(folder, settings, key, advice);
  };
  for (const [key, value] of Object.entries(known)) {
    const found = settings[key] ?? value;
    if (found !== value)
      refuse(
        key,
        `is not supported; taper supports only ${value}: remove the setting if the model was trained without it`,
      );
  }
  const never = settings.never_split ?? [];
  if (!Array.isArray(never) || never.length > 0) {
    refuse('never_split', 'is ignored by AutoTokenizer; remove it, or make these words added tokens');
  }
  const unknown = Object.keys(settings).find(
    (key) => key.endsWith('_token') && typeof settings[key] === 'string' && !tokenNames.includes(key),
  );
  if (unknown)
    refuse(unknown, 'is a special token only in transformers 5; list it in additional_special_tokens instead');
  const extra = settings.extra_special_tokens ?? [];
  if (!Array.isArray(extra) && Object.keys(extra).length > 0) {
    refuse('extra_special_tokens', 'is supported only as a list; list the tokens in additional_special_tokens instead');
  }
}

/** Refuses special tokens that taper treats differently, and a bos token that the files disagree on. */
function checkTokens(folder: string, family: TokenizerFamily, settings: Json, json: TokenizerJson): void {
  for (const [key, { content }] of namedTokensOf(settings, {})) {
    const only = family.onlyToken(key, content, json) ?? content;
    if (content !== only) throw refusal(folder, settings, key, `is not supported; taper supports only ${only}`);
  }
  const addsBos = family.addsBos(json);
  if ((settings.add_bos_token ?? addsBos) === addsBos) return;
  const advice = `is not supported, because the post_processor of tokenizer.json ${addsBos ? 'adds' : 'does not add'} a bos token; make the two agree`;
  throw refusal(folder, settings, 'add_bos_token', advice);
}

/** The class of transformers that a folder is read with: undefined for the one that takes `tokenizer.json` as it is. */
interface NamedClass {
  made: TokenizerClass | undefined;
  /** Whether it is the usual class for models of this type. */
  isOfModel: boolean;
}

function classOf(folder: string, { classes }: TokenizerFamily, settings: Json): NamedClass {
  const config = readJson(folder, 'config.json');
  const own = classesOfModels[String(config.model_type)];
  const [file, named] =
    settings.tokenizer_class === undefined
      ? ['config.json', config.tokenizer_class]
      : [settingsFile, settings.tokenizer_class];
  const name = String(named ?? own?.name ?? wholeClasses[0]);
  if (wholeClasses.includes(name)) return { made: undefined, isOfModel: false };
  const made = classes.find((each) => [each.name, ...(each.otherNames ?? [])].includes(name.replace(/Fast$/, '')));
  if (made) return { made, isOfModel: made === own };
  throw new CheckpointError(
    `${join(folder, file!)}: tokenizer_class ${name} is not one of ${classes.map((each) => each.name).join(', ')}, ${wholeClasses[0]}; ` +
      `write ${wholeClasses[0]} there if tokenizer.json is the complete tokenizer`,
  );
}

/**
 * The class whose settings count. A class that is unusual for models of this type is left over from another program:
 * `tokenizer.json` is then what the model was trained with. An example is the GPT2Tokenizer of SmolLM2, with which transformers 5
 * no longer splits digits.
 *
 * @throws CheckpointError if transformers 5 would replace a part of `tokenizer.json` with that of the model's own class.
 */
function heededClass(
  json: TokenizerJson,
  { made, isOfModel }: NamedClass,
  { where, settingsPath, warn }: { where: string; settingsPath: string; warn: (message: string) => void },
): TokenizerClass | undefined {
  const replaced = made && replacedPart(json, made);
  if (made === undefined || replaced === undefined) return made;
  if (isOfModel) {
    throw new CheckpointError(
      `${where}: transformers 4 keeps its ${replaced}, and transformers 5 replaces it because tokenizer_class is ${made.name}; ` +
        `to keep it, write "tokenizer_class": "PreTrainedTokenizerFast" in ${settingsPath}`,
    );
  }
  warn(
    `${settingsPath}: tokenizer_class ${made.name} has another ${replaced} in transformers 5 than tokenizer.json; tokenizer.json is used ` +
      'unchanged, as in transformers 4',
  );
  return undefined;
}

/** Overrides parts of `tokenizer.json` with settings, and reports each that differs. */
function setter(settings: Json, file: string, tell: (message: string) => void): SetPart {
  return (part, name, key, otherwise) => {
    const value = settings[key] ?? otherwise;
    if (value !== null && typeof value !== 'boolean') {
      throw new CheckpointError(`${file}: ${key} ${JSON.stringify(value)} must be true or false`);
    }
    if ((part[name] ?? null) === value) return;
    const said = settings[key] === undefined ? `${key} is missing: using ${value}` : `using ${key} ${value}`;
    tell(`${file}: ${said}, as AutoTokenizer does, instead of ${part[name]} in tokenizer.json`);
    part[name] = value;
  };
}

/** The tokenizer of a vocabulary's own files, with the defaults of its class. */
function fromFiles(folder: string, made: TokenizerClass | undefined): { name: string; json: string } {
  if (!made?.vocabulary) {
    throw new CheckpointError(
      `${folder}: has no tokenizer.json, but ${made?.name ?? wholeClasses[0]} needs it; copy the model's tokenizer.json there`,
    );
  }
  const { files, read } = made.vocabulary;
  if (files.every((name) => existsSync(join(folder, name)))) return { name: files[0], json: read(folder) };
  throw new CheckpointError(
    `${folder}: has neither tokenizer.json nor ${files.join(' with ')}; copy the model's tokenizer there`,
  );
}
