import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../config/index.ts';
import { bertPieces, byteLevelJson, endOfText, TextTokenizer, wordPieceJson } from '../data/index.ts';
import type { ModelConfig } from '../model/index.ts';
import { readJson } from './read-config.ts';

/** Models are often padded to a multiple of this many pieces, which make matrix products fast. */
const paddedTo = 128;

/**
 * The tokenizer of a Hugging Face folder: `tokenizer.json`, or `vocab.txt` of a BERT, or `vocab.json` and `merges.txt` of a
 * GPT-2.
 *
 * @throws CheckpointError where there is none, or where it is of another vocabulary than the weights.
 */
export function readTokenizer(folder: string, { kind, vocabSize }: ModelConfig): TextTokenizer {
  const tokenizer = openTokenizer(folder, kind);
  if (tokenizer.kind !== kind) {
    throw new CheckpointError(`${folder}: its tokenizer is for ${tokenizer.kind}, and its model is ${kind}`);
  }
  const isPadded = vocabSize - tokenizer.vocabSize < paddedTo && vocabSize % 8 === 0;
  if (tokenizer.vocabSize > vocabSize || (tokenizer.vocabSize < vocabSize && !isPadded)) {
    throw new CheckpointError(
      `${folder}: its tokenizer has ${tokenizer.vocabSize} pieces, and its model ${vocabSize}; give the model's own tokenizer`,
    );
  }
  return tokenizer;
}

function openTokenizer(folder: string, kind: ModelConfig['kind']): TextTokenizer {
  const at = (name: string) => join(folder, name);
  if (existsSync(at('tokenizer.json'))) return TextTokenizer.fromFile(at('tokenizer.json'));
  const lines = (name: string) => readFileSync(at(name), 'utf8').split(/\r?\n/);
  if (kind === 'bert' && existsSync(at('vocab.txt'))) {
    const pieces = lines('vocab.txt');
    if (pieces.at(-1) === '') pieces.pop();
    const lacking = bertPieces.find((piece) => !pieces.includes(piece));
    if (lacking) throw new CheckpointError(`${at('vocab.txt')}: has no ${lacking}; copy the model's own file`);
    return TextTokenizer.fromJson(wordPieceJson(pieces, { lowercase: isLowercase(folder) }), at('vocab.txt'));
  }
  if (kind === 'gpt2' && existsSync(at('vocab.json')) && existsSync(at('merges.txt'))) {
    const merges = lines('merges.txt').filter((line) => line !== '' && !line.startsWith('#version'));
    return TextTokenizer.fromJson(byteLevelJson(vocabOf(folder), merges), at('vocab.json'));
  }
  const others = kind === 'bert' ? 'vocab.txt' : 'vocab.json with merges.txt';
  throw new CheckpointError(`${folder}: has no tokenizer.json and no ${others}; copy the model's tokenizer there`);
}

/** The pieces of a `vocab.json` with their numbers: each from 0 up once. */
function vocabOf(folder: string): Record<string, number> {
  const vocab = readJson(folder, 'vocab.json');
  const ids = new Set(Object.values(vocab));
  const isWhole = Object.keys(vocab).every((_, id) => ids.has(id)) && ids.size === Object.keys(vocab).length;
  if (isWhole && endOfText in vocab) return vocab as Record<string, number>;
  const what = isWhole ? `has no ${endOfText}` : 'does not number its pieces from 0 up';
  throw new CheckpointError(`${join(folder, 'vocab.json')}: ${what}; copy the model's own file`);
}

/** As `tokenizer_config.json` says; BERT's tokenizer lower-cases where nothing is said. */
function isLowercase(folder: string): boolean {
  if (!existsSync(join(folder, 'tokenizer_config.json'))) return true;
  return readJson(folder, 'tokenizer_config.json').do_lower_case !== false;
}
