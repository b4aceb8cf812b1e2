import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Corpus } from './corpus.ts';
import { prepareCorpus } from './shards.ts';
import { TextTokenizer } from './tokenizer.ts';
import { addedToken } from './tokenizer-json.ts';

/** A folder for one test, removed at its end. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'taper-data-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * A tokenizer of the shape that Hugging Face publishes BERT's in, truncation and padding switched on: the special
 * tokens are 0 … 4, `.`, `!` and `?` are 5 … 7, `##s` is 8 and the word `w0` is 9, `w1` is 10 and so on.
 */
export function wordTokenizer(numWords: number): TextTokenizer {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const pieces = [...special, '.', '!', '?', '##s', ...Array.from({ length: numWords }, (_, i) => `w${i}`)];
  const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } });
  const token = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } });
  const single = [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0)];
  const json = {
    version: '1.0',
    truncation: { direction: 'Right', max_length: 8, strategy: 'LongestFirst', stride: 0 },
    padding: {
      strategy: { Fixed: 8 },
      direction: 'Right',
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: '[PAD]',
    },
    added_tokens: special.map(addedToken),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single,
      pair: [...single, sequence('B', 1), token('[SEP]', 1)],
      special_tokens: {
        '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
        '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
      },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    },
  };
  return TextTokenizer.fromJson(JSON.stringify(json));
}

/** The text of the words with these numbers; a negative one is a full stop. */
export function wordsText(numbers: readonly number[]): string {
  return numbers.map((number) => (number < 0 ? '.' : `w${number}`)).join(' ');
}

/** A corpus of documents that are given as texts, closed and removed at the end of the test. */
export async function corpusOf(
  t: TestContext,
  tokenizer: TextTokenizer,
  documents: readonly string[],
): Promise<Corpus> {
  const folder = temporaryFolder(t);
  const path = join(folder, 'texts.jsonl');
  writeFileSync(path, documents.map((text) => JSON.stringify({ text })).join('\n'));
  const corpus = await prepareCorpus({ paths: [path], tokenizer, cacheDir: join(folder, 'cache') });
  t.after(() => corpus.close());
  return corpus;
}

/** The numbers from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
