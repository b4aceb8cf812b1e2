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

/** Puts a setting of `tokenizer_config.json`, or its default, in place of what a part of `tokenizer.json` says. */
export type SetPart = (part: Part, name: string, key: string, otherwise: boolean | null) => void;

/** A post-processor as far as it is read: the part, and what a template of it puts around one text and around two. */
export interface Frame {
  part: Part | null | undefined;
  template: string | undefined;
  /** Whether a value of it is this token with its id. */
  isToken(value: unknown, token: string): boolean;
}

/** What `transformers` makes of the tokenizers of a kind: all that is true of it alone. */
export interface TokenizerFamily {
  /** The class that makes a tokenizer from a vocabulary. */
  ownClass: string;
  /** Its special tokens, by the names that transformers has for them. */
  tokens: Readonly<Record<string, string>>;
  /** Those of them that a model is trained with here. */
  expected: Readonly<Record<string, string>>;
  /** Whether a part is the one that the class makes, whatever `tokenizer.json` holds. */
  isOwn: Readonly<Record<PartName, (part: Part | null) => boolean>>;
  /** What taper puts around texts, in words, and whether a post-processor does. */
  frame: string;
  frames(frame: Frame): boolean;
  /** Whether its models read token types. */
  hasTypes: boolean;
  /** Makes of the settings what the class does. */
  applySettings(json: TokenizerJson, set: SetPart): void;
  /** The settings with which the class makes this tokenizer, for a class that reads them. */
  settings?(json: TokenizerJson): Record<string, unknown>;
  /** The files of a vocabulary alone, and the `tokenizer.json` of them with the defaults of the class. */
  files: readonly [string, ...string[]];
  fromFiles(folder: string): string;
}
