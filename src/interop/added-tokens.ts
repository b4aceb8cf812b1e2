import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../errors/index.ts';
import type { Json } from '../model/index.ts';
import { readJson } from './read-config.ts';
import type { AddedToken, TokenizerJson } from './tokenizers/tokenizer-family.ts';

/** A token without an id yet. */
type NewToken = Omit<AddedToken, 'id'>;

/** transformers' names of special tokens, in its order. */
export const tokenNames = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];

/** The special tokens that `tokenizer_config.json` names, by their names, and the class's defaults. */
export function namedTokensOf(settings: Json, defaults: Record<string, string>): Map<string, NewToken> {
  const found = new Map<string, NewToken>();
  for (const key of tokenNames) {
    const token = tokenOf(settings[key] === undefined ? defaults[key] : settings[key]);
    if (token) found.set(key, token);
  }
  return found;
}

/** A token that is given as its text, or with its flags; undefined for anything else, such as `add_bos_token: false`. */
function tokenOf(value: unknown): NewToken | undefined {
  if (typeof value === 'string') return flagged({ content: value });
  const isToken = typeof value === 'object' && value !== null && typeof (value as Json).content === 'string';
  return isToken ? flagged(value as { content: string }) : undefined;
}

/** A token with its flags; it is special by default. */
function flagged({ content, ...given }: Partial<NewToken> & { content: string }): NewToken {
  const special = given.special ?? true;
  const { single_word = false, lstrip = false, rstrip = false, normalized = !special } = given;
  return { content, single_word, lstrip, rstrip, normalized, special };
}

interface Given {
  settings: Json;
  isOwnClass: boolean;
  /** Whether the folder has a `tokenizer.json`. */
  hasOwnTokens: boolean;
  named: ReadonlyMap<string, NewToken>;
}

/**
 * The added tokens that `AutoTokenizer` has: those of `tokenizer.json`, of `added_tokens_decoder` in `tokenizer_config.json` or
 * else of `added_tokens.json`, and the special ones that are named. One that the vocabulary lacks gets the next id.
 *
 * @throws CheckpointError if a file gives a token another id, or if versions of transformers disagree on the tokens.
 */
export function addedTokensOf(
  folder: string,
  json: TokenizerJson,
  { settings, isOwnClass, hasOwnTokens, named }: Given,
): AddedToken[] {
  const more = listOf(settings.extra_special_tokens);
  const extra = more.length > 0 ? more : listOf(settings.additional_special_tokens);
  const special = new Map([...named.values(), ...extra].map((token) => [token.content, token]));
  const own = hasOwnTokens ? (json.added_tokens ?? []) : [];
  const { file, tokens } = fromSettings(folder, settings, special);
  const listed = [...tokens].sort(([a], [b]) => a - b).map(([, token]) => token);

  const added = new Map<string, AddedToken>();
  let next = new Set(Object.values(json.model.vocab)).size;
  const add = (token: NewToken) => {
    if (token.content === '' || added.has(token.content)) return;
    const { vocab } = json.model;
    const id = Object.hasOwn(vocab, token.content) ? vocab[token.content]! : next;
    if (id >= next) next = id + 1;
    added.set(token.content, { id, ...token });
  };
  for (const { id: _, ...token } of own) add(token);
  for (const token of [...listed, ...special.values()]) {
    add(special.has(token.content) ? { ...token, special: true } : token);
  }
  for (const [id, { content }] of tokens) {
    const found = added.get(content)?.id;
    if (found === undefined || found === id) continue;
    throw new CheckpointError(
      `${file}: gives ${content} the id ${id}, but in the vocabulary it has ${found}; copy the files of one version of the model`,
    );
  }
  // The family's class drops the tokens of tokenizer.json if the settings list some.
  if (isOwnClass && settings.added_tokens_decoder !== undefined) {
    const later = new Map([...listed, ...special.values()].reverse().map((token) => [token.content, token]));
    const lost = own.find(({ id: _, ...token }) => {
      const other = later.get(token.content);
      return (
        other === undefined || Object.entries(token).some(([key, value]) => other[key as keyof NewToken] !== value)
      );
    });
    if (lost) {
      throw new CheckpointError(
        `${file}: added_tokens_decoder lacks the token ${lost.content} of tokenizer.json, or has it with other flags; copy the ` +
          'files of one version of the model',
      );
    }
  }
  return [...added.values()];
}

/** The tokens that files beside `tokenizer.json` add, with their ids. */
function fromSettings(folder: string, settings: Json, special: ReadonlyMap<string, NewToken>) {
  if (settings.added_tokens_decoder !== undefined) {
    const entries = Object.entries(settings.added_tokens_decoder ?? {}) as [string, NewToken][];
    const tokens = entries.map(
      ([id, token]) => [Number(id), flagged({ ...token, special: token.special ?? false })] as const,
    );
    return { file: join(folder, 'tokenizer_config.json'), tokens };
  }
  const name = 'added_tokens.json';
  const entries = existsSync(join(folder, name)) ? Object.entries(readJson(folder, name)) : [];
  const tokens = entries.map(
    ([content, id]) => [Number(id), special.get(content) ?? flagged({ content, special: false })] as const,
  );
  return { file: join(folder, name), tokens };
}

const listOf = (value: unknown): NewToken[] =>
  Array.isArray(value) ? value.map(tokenOf).filter((token) => token !== undefined) : [];
