/** Hugging Face's `tokenizer.json`, as far as its parts decide which class of transformers reads it. */
export interface TokenizerJson {
  added_tokens?: AddedToken[];
  normalizer?: Part | null;
  pre_tokenizer?: Part | null;
  post_processor?: Part | null;
  model: Part & { vocab: Record<string, number> };
}

/** A part of a tokenizer: its type, and its settings. */
export type Part = Record<string, unknown>;

/** A token that a text is searched for before anything else. */
export interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

export type PartName = 'normalizer' | 'pre_tokenizer' | 'model';

/** Overrides a part of `tokenizer.json` with a setting of `tokenizer_config.json`, or with its default. */
export type SetPart = (part: Part, name: string, key: string, otherwise: boolean | null) => void;

/** What is read of a post-processor: the part, and what its template puts around one text and around two. */
export interface Frame {
  part: Part | null | undefined;
  template: { single: string; pair: string } | undefined;
  /** Whether one of its values is this token with its id. */
  isToken(value: unknown, token: string): boolean;
  /** Whether the model reads token types. */
  hasTypes: boolean;
}

/** A class of `transformers` that makes a tokenizer from a vocabulary. */
export interface TokenizerClass {
  name: string;
  /** Other names of the same class. */
  otherNames?: readonly string[];
  /** Its default special tokens. */
  defaults: Readonly<Record<string, string>>;
  /** Whether a part is the one that the class makes, whatever `tokenizer.json` contains. */
  isOwn: Readonly<Record<PartName, (part: Part | null) => boolean>>;
  /** Applies the settings as the class does. */
  applySettings(json: TokenizerJson, set: SetPart): void;
  /** The settings with which the class makes this tokenizer, for a class that reads them. */
  settings?(json: TokenizerJson): Record<string, unknown>;
  /** The files of a bare vocabulary, and the `tokenizer.json` made from them with the defaults of the class. */
  vocabulary?: undefined | { files: readonly [string, ...string[]]; read(folder: string): string };
}

/** What only the tokenizers of one kind have. */
export interface TokenizerFamily {
  /** The classes that published models of it name. */
  classes: readonly TokenizerClass[];
  /** Its special tokens, by transformers' names for them. */
  tokensOf(json: TokenizerJson): Record<string, string>;
  /** The only token that may have transformers' name `key`, which `found` has; undefined if any may. */
  onlyToken(key: string, found: string, json: TokenizerJson): string | undefined;
  /** Whether a bos token precedes texts, for `add_bos_token`. */
  addsBos(json: TokenizerJson): boolean;
  /** What taper puts around texts, in words, and whether a post-processor does the same. */
  frame: string;
  frames(frame: Frame, json: TokenizerJson): boolean;
  /** Changes the tokens around pairs to taper's, if single texts stay the same. */
  reframe?(json: TokenizerJson): void;
}

/** Whether a tokenizer has a token, in its vocabulary or added to it. */
export function hasToken({ model, added_tokens: added = [] }: TokenizerJson, token: string): boolean {
  return Object.hasOwn(model.vocab, token) || added.some(({ content }) => content === token);
}

/** Whether a model is BPE with no setting that changes its tokens. */
export function isPlainBpe(part: Part | null): boolean {
  const settings = ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix', 'byte_fallback', 'ignore_merges'];
  return (part?.type ?? 'BPE') === 'BPE' && !settings.some((key) => part?.[key]);
}
