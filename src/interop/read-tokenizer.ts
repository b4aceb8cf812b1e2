import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError } from '../errors/index.ts';
import { familyOf, type Json, type ModelConfig } from '../model/index.ts';
import { addedTokensOf, namedTokensOf, tokenNames } from './added-tokens.ts';
import { readJson } from './read-config.ts';
import { framesTexts, replacedPart, tokenizerFamilyOf } from './tokenizer-class.ts';
import type { SetPart, TokenizerFamily, TokenizerJson } from './tokenizers/tokenizer-family.ts';

/** Models are often padded to a multiple of this many tokens, which makes matrix products fast. */
const paddedTo = 128;
const settingsFile = 'tokenizer_config.json';

/** Settings that change the tokens, and the values of them that `AutoTokenizer` heeds or that change nothing. */
const known: Json = {
  add_bos_token: false,
  add_eos_token: false,
  clean_text: true,
  do_basic_tokenize: true,
  split_special_tokens: false,
  wordpieces_prefix: '##',
};

/**
 * The tokenizer of a Hugging Face folder: `tokenizer.json`, or `vocab.txt` of a BERT, or `vocab.json` and `merges.txt` of a GPT-2, with
 * the settings and added tokens of the files beside it, so that it gives the ids of transformers' `AutoTokenizer`. `warn` hears where
 * these settings overrule `tokenizer.json`.
 *
 * @throws CheckpointError where there is none, where it is of another vocabulary than the weights, and where versions of transformers
 *   do not agree on its ids: by the name of the setting and its file.
 */
export function readTokenizer(folder: string, model: ModelConfig, warn: (message: string) => void): TextTokenizer {
  const { vocabSize } = model;
  const { text, where } = openTokenizer(folder, tokenizerFamilyOf(model), warn);
  const tokenizer = TextTokenizer.fromJson(text, where);
  if (tokenizer.kind !== familyOf(model).tokenizer) {
    throw new CheckpointError(`${folder}: its tokenizer is for ${tokenizer.kind}, and its model is ${model.kind}`);
  }
  const isPadded = vocabSize - tokenizer.vocabSize < paddedTo && vocabSize % 8 === 0;
  if (tokenizer.vocabSize > vocabSize || (tokenizer.vocabSize < vocabSize && !isPadded)) {
    throw new CheckpointError(
      `${folder}: its tokenizer has ${tokenizer.vocabSize} tokens, and its model ${vocabSize}; give the model's own tokenizer`,
    );
  }
  return tokenizer;
}

function openTokenizer(folder: string, family: TokenizerFamily, warn: (message: string) => void) {
  const at = (name: string) => join(folder, name);
  const settings = settingsOf(folder);
  checkSettings(folder, family, settings);
  const isOwnClass = hasOwnClass(folder, family, settings);
  const original = existsSync(at('tokenizer.json')) ? readFileSync(at('tokenizer.json'), 'utf8') : undefined;
  const files = original === undefined ? fromFiles(folder, family, isOwnClass) : undefined;
  const where = at(files?.name ?? 'tokenizer.json');
  const text = original ?? files!.json;
  // An error of its syntax or its parts is the library's to find.
  TextTokenizer.fromJson(text, where);
  const json = JSON.parse(text) as TokenizerJson;
  const unchanged = JSON.stringify(json);
  if (isOwnClass) {
    const replaced = replacedPart(json, family);
    if (replaced !== undefined) {
      throw new CheckpointError(
        `${where}: transformers 4 keeps its ${replaced}, and transformers 5 replaces it because tokenizer_class is ${family.ownClass}; ` +
          `to keep it, write "tokenizer_class": "PreTrainedTokenizerFast" in ${at(settingsFile)}`,
      );
    }
    const tell = (message: string) => original !== undefined && warn(message);
    family.applySettings(json, setter(settings, at(settingsFile), tell));
  }
  json.added_tokens = addedTokensOf(folder, json, {
    settings,
    isOwnClass,
    hasOwnTokens: original !== undefined,
    named: namedTokensOf(settings, isOwnClass ? family.expected : {}),
  });
  if (!framesTexts(json, family)) {
    throw new CheckpointError(`${where}: its post_processor does not give ${family.frame}, which taper trains on`);
  }
  return { text: JSON.stringify(json) === unchanged ? text : JSON.stringify(json), where };
}

/** `tokenizer_config.json`, and `special_tokens_map.json` where transformers still reads it. */
function settingsOf(folder: string): Json {
  const optional = (name: string) => (existsSync(join(folder, name)) ? readJson(folder, name) : {});
  const settings = optional(settingsFile);
  return settings.added_tokens_decoder === undefined
    ? { ...settings, ...optional('special_tokens_map.json') }
    : settings;
}

function checkSettings(folder: string, family: TokenizerFamily, settings: Json): void {
  const refuse = (key: string, advice: string) => {
    throw new CheckpointError(`${join(folder, settingsFile)}: ${key} ${JSON.stringify(settings[key])} ${advice}`);
  };
  for (const [key, value] of Object.entries(known)) {
    const found = settings[key] ?? value;
    if (found !== value) refuse(key, `is not supported, only ${value}; remove it if the model was trained without it`);
  }
  const never = settings.never_split ?? [];
  if (!Array.isArray(never) || never.length > 0) {
    refuse('never_split', 'is ignored by AutoTokenizer; remove it, or make these words added tokens');
  }
  const unknown = Object.keys(settings).find(
    (key) => key.endsWith('_token') && typeof settings[key] === 'string' && !tokenNames.includes(key),
  );
  if (unknown)
    refuse(unknown, 'is a special token only in transformers 5; name it in additional_special_tokens instead');
  const extra = settings.extra_special_tokens ?? [];
  if (!Array.isArray(extra) && Object.keys(extra).length > 0) {
    refuse('extra_special_tokens', 'is supported only as a list; name the tokens in additional_special_tokens instead');
  }
  const named = namedTokensOf(settings, {});
  for (const [key, token] of Object.entries(family.expected)) {
    const found = named.get(key);
    if (found !== undefined && found.content !== token) refuse(key, `is not supported, only ${token}`);
  }
}

/** Whether the class is the one of the family, which makes a tokenizer anew, and not the one that takes `tokenizer.json` as it stands. */
function hasOwnClass(folder: string, { ownClass }: TokenizerFamily, settings: Json): boolean {
  const [file, named] =
    settings.tokenizer_class === undefined
      ? ['config.json', readJson(folder, 'config.json').tokenizer_class]
      : [settingsFile, settings.tokenizer_class];
  const name = String(named ?? ownClass);
  if (name.replace(/Fast$/, '') === ownClass) return true;
  if (name === 'PreTrainedTokenizerFast' || name === 'TokenizersBackend') return false;
  throw new CheckpointError(
    `${join(folder, file!)}: tokenizer_class ${name} is not one of ${ownClass}, PreTrainedTokenizerFast; ` +
      'write PreTrainedTokenizerFast there if tokenizer.json is the whole tokenizer',
  );
}

/** Puts settings in place of what the parts of `tokenizer.json` say, and tells of each that differs. */
function setter(settings: Json, file: string, tell: (message: string) => void): SetPart {
  return (part, name, key, otherwise) => {
    const value = settings[key] ?? otherwise;
    if (value !== null && typeof value !== 'boolean') {
      throw new CheckpointError(`${file}: ${key} ${JSON.stringify(value)} is not true or false`);
    }
    if ((part[name] ?? null) === value) return;
    const said = settings[key] === undefined ? `has no ${key}: ${value} is used` : `${key} ${value} is used`;
    tell(`${file}: ${said}, as AutoTokenizer does, instead of ${part[name]} in tokenizer.json`);
    part[name] = value;
  };
}

/** The tokenizer of a vocabulary's own files, with the defaults of its family. */
function fromFiles(folder: string, family: TokenizerFamily, isOwnClass: boolean): { name: string; json: string } {
  if (!isOwnClass) {
    throw new CheckpointError(
      `${folder}: has no tokenizer.json, which PreTrainedTokenizerFast of ${settingsFile} needs; copy the model's tokenizer.json there`,
    );
  }
  const { files } = family;
  if (files.every((name) => existsSync(join(folder, name)))) return { name: files[0], json: family.fromFiles(folder) };
  throw new CheckpointError(
    `${folder}: has no tokenizer.json and no ${files.join(' with ')}; copy the model's tokenizer there`,
  );
}
