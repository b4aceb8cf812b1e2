import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { blockDocuments, type Corpus, type CorpusIndex, corpusFormat, openCorpus, type StoredFile } from './corpus.ts';
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
  const tokens = [...special, '.', '!', '?', '##s', ...Array.from({ length: numWords }, (_, i) => `w${i}`)];
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
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
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

/** Writes a corpus of documents of these lengths into a folder; its tokens are all 0, and its shards take no room on the disk. */
export function writeSparseCorpus(folder: string, lengths: Uint32Array, tokensPerShard = 2 ** 26): void {
  const chunkBytes = 2 ** 20;
  const sha256 = (content: Uint8Array) => createHash('sha256').update(content);
  const checksums: Buffer[] = [];
  const whole = (name: string, content: Uint8Array): StoredFile => {
    writeFileSync(join(folder, name), content);
    return { name, bytes: content.length, sha256: sha256(content).digest('hex') };
  };
  const lengthBytes = new Uint8Array(lengths.buffer);
  const lengthsFile = whole('documents.bin', lengthBytes);
  for (let at = 0; at < lengthBytes.length; at += chunkBytes)
    checksums.push(sha256(lengthBytes.subarray(at, at + chunkBytes)).digest());
  const blockStarts = [];
  let tokens = 0;
  for (const [i, length] of lengths.entries()) {
    if (i % blockDocuments === 0) blockStarts.push(tokens);
    tokens += length;
  }
  blockStarts.push(tokens);
  const zeros = new Uint8Array(chunkBytes);
  const ofZeros = sha256(zeros).digest();
  const shards: StoredFile[] = [];
  for (let left = 2 * tokens; left > 0; left -= shards.at(-1)!.bytes) {
    const [name, bytes] = [`tokens-${String(shards.length).padStart(5, '0')}.bin`, Math.min(left, 2 * tokensPerShard)];
    const descriptor = openSync(join(folder, name), 'w');
    ftruncateSync(descriptor, bytes);
    closeSync(descriptor);
    for (let at = 0; at < bytes; at += chunkBytes)
      checksums.push(at + chunkBytes <= bytes ? ofZeros : sha256(zeros.subarray(0, bytes - at)).digest());
    shards.push({ name, bytes, sha256: '' });
  }
  const index: CorpusIndex = {
    format: corpusFormat,
    tokenizer: '',
    sources: '',
    bytesPerToken: 2,
    tokensPerShard,
    documents: lengths.length,
    blank: { documents: 0 },
    tokens,
    textBytes: 0,
    characters: 0,
    unknownCharacters: 0,
    chunkBytes,
    checksums: whole('checksums.bin', Buffer.concat(checksums)),
    blockStarts: whole('block-starts.bin', new Uint8Array(Float64Array.from(blockStarts).buffer)),
    lengths: lengthsFile,
    shards,
  };
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
}

/** Such a corpus, closed and removed at the end of the test. */
export function sparseCorpus(t: TestContext, lengths: Uint32Array): Corpus {
  const folder = temporaryFolder(t);
  writeSparseCorpus(folder, lengths);
  const corpus = openCorpus(folder);
  t.after(() => corpus.close());
  return corpus;
}

/** The numbers from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
