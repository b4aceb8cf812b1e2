import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CheckpointError } from '../errors/index.ts';
import type { ModelConfig } from '../model/index.ts';
import { readTokenizer } from './read-tokenizer.ts';

type Files = Record<string, unknown>;
type Json = Record<string, unknown>;

/** A folder of tokenizer files, and the ids that `AutoTokenizer` gives for `lines` (tests/fixtures/hugging_face_reads.py). */
interface Case {
  kind: 'bert' | 'gpt2';
  name: string;
  files: Files;
  size: number;
  ids: number[][];
}

const fixture = fileURLToPath(new URL('../../../tests/fixtures/hugging-face/reads.json', import.meta.url));
const { lines, cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { lines: string[]; cases: Case[] };
const root = mkdtempSync(join(tmpdir(), 'taper-read-tokenizer-'));
let numFolders = 0;

after(() => rmSync(root, { recursive: true, force: true }));

function folderOf(files: Files): string {
  const folder = join(root, `${numFolders++}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

function read({ kind, size }: Pick<Case, 'kind' | 'size'>, files: Files, warn: (message: string) => void = () => {}) {
  return readTokenizer(folderOf(files), { kind, vocabSize: size } as ModelConfig, warn);
}

const named = (name: string) => cases.find((each) => each.name === name)!;

describe('readTokenizer gives the ids of AutoTokenizer:', () => {
  for (const each of cases) {
    test(`${each.kind}, ${each.name}`, async () => {
      const tokenizer = read(each, each.files);
      assert.equal(tokenizer.vocabSize, each.size);
      const ids = await tokenizer.encodeBatch(lines);
      for (const [i, line] of lines.entries()) assert.deepEqual([...ids[i]!], each.ids[i], JSON.stringify(line));
    });
  }

  test('the cases give different ids, so that none of them passes for another', () => {
    const distinct = (kind: string) =>
      new Set(cases.filter((each) => each.kind === kind).map(({ ids }) => JSON.stringify(ids))).size;
    assert.ok(distinct('bert') >= 16 && distinct('gpt2') >= 6, `${distinct('bert')}, ${distinct('gpt2')}`);
  });
});

test('a tokenizer.json that nothing changes is kept byte for byte', () => {
  const each = named('a cased tokenizer.json and do_lower_case false');
  const text = JSON.stringify(each.files['tokenizer.json'], null, 1);
  assert.equal(read(each, { ...each.files, 'tokenizer.json': text }).json, text);
});

test('settings that overrule tokenizer.json are reported by name', () => {
  const warned: string[] = [];
  const warn = (message: string) => warned.push(message.replace(root, ''));
  const beside = named('tokenizer.json and strip_accents false');
  read(beside, beside.files, warn);
  const alone = named('a cased tokenizer.json alone');
  read(alone, alone.files, warn);
  assert.equal(warned.length, 2);
  assert.match(
    warned[0]!,
    /tokenizer_config\.json: using strip_accents false, as AutoTokenizer does, instead of null in tokenizer\.json/,
  );
  assert.match(
    warned[1]!,
    /tokenizer_config\.json: do_lower_case is missing: using true, as AutoTokenizer does, instead of false in tokenizer\.json/,
  );
  const plain = named('vocab.txt that keeps accents');
  read(plain, plain.files, warn);
  assert.equal(warned.length, 2);
});

test('what has no certain ids is refused, by the name of the setting and its file', () => {
  const bert = named('tokenizer.json and strip_accents false');
  const vocab = named('vocab.txt without lower-casing');
  const gpt = named('tokenizer.json and add_prefix_space');
  const refused = (each: Case, files: Files, message: RegExp) =>
    assert.throws(
      () => read(each, files),
      (error) => error instanceof CheckpointError && message.test(error.message),
      String(message),
    );
  const settings = (each: Case, more: Json) => ({
    ...each.files,
    'tokenizer_config.json': { ...(each.files['tokenizer_config.json'] as Json), ...more },
  });
  const parts = (each: Case, more: Json) => ({
    ...each.files,
    'tokenizer.json': { ...(each.files['tokenizer.json'] as Json), ...more },
  });
  for (const [key, value] of Object.entries({
    do_basic_tokenize: false,
    clean_text: false,
    wordpieces_prefix: '@@',
    split_special_tokens: true,
    never_split: ['cafe'],
    mask_token: '<mask>',
    pad_token: { content: '<pad>', lstrip: false },
    image_token: '<image>',
    extra_special_tokens: { image_token: '<image>' },
    do_lower_case: 'no',
    tokenizer_class: 'BertJapaneseTokenizer',
  })) {
    refused(vocab, settings(vocab, { [key]: value }), new RegExp(`tokenizer_config\\.json: ${key} `));
  }
  refused(
    gpt,
    settings(gpt, { add_bos_token: true }),
    /tokenizer_config\.json: add_bos_token true is not supported, because the post_processor of tokenizer\.json does not add a bos token/,
  );
  refused(
    gpt,
    settings(gpt, { eos_token: '</s>' }),
    /tokenizer_config\.json: eos_token "<\/s>" is not supported; taper supports only <\|endoftext\|>/,
  );

  const byFast =
    /tokenizer\.json: transformers 4 keeps its (\w+), .*write "tokenizer_class": "PreTrainedTokenizerFast" in .*tokenizer_config\.json/;
  refused(bert, parts(bert, { normalizer: { type: 'NFKC' } }), byFast);
  refused(bert, parts(bert, { normalizer: null }), byFast);
  refused(bert, parts(bert, { pre_tokenizer: { type: 'Whitespace' } }), byFast);
  const { model } = bert.files['tokenizer.json'] as { model: Json };
  refused(bert, parts(bert, { model: { ...model, max_input_chars_per_word: 20 } }), byFast);
  refused(gpt, parts(gpt, { normalizer: { type: 'NFC' } }), byFast);
  refused(
    bert,
    parts(bert, { post_processor: { type: 'BertProcessing', sep: ['.', 5], cls: ['[CLS]', 2] } }),
    /its post_processor does not produce \[CLS\] text \[SEP\]/,
  );

  refused(
    vocab,
    settings(vocab, { tokenizer_class: 'PreTrainedTokenizerFast' }),
    /has no tokenizer\.json, but PreTrainedTokenizerFast/,
  );
  refused(
    vocab,
    { ...vocab.files, 'added_tokens.json': { '<new>': 900 } },
    /added_tokens\.json: gives <new> the id 900/,
  );
  const { added_tokens: tokens } = bert.files['tokenizer.json'] as { added_tokens: Json[] };
  const decoder = Object.fromEntries(tokens.map((token, id) => [id, token]).slice(0, 5));
  const more = parts(bert, { added_tokens: [...tokens, { ...tokens[0], content: '<new>', id: bert.size }] });
  refused(
    { ...bert, size: bert.size + 1 },
    { ...more, 'tokenizer_config.json': { added_tokens_decoder: decoder } },
    /tokenizer_config\.json: added_tokens_decoder lacks the token <new> of tokenizer\.json/,
  );
});
