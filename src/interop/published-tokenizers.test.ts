// Tokenizers with the structure of published ones, and the ids that AutoTokenizer gives (tests/fixtures/published_tokenizers.py).
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { maskTokens, type TextTokenizer } from '../data/index.ts';
import { CheckpointError, DataError } from '../errors/index.ts';
import type { ModelConfig } from '../model/index.ts';
import { readTokenizer } from './read-tokenizer.ts';
import { tokenizerConfig } from './tokenizer-class.ts';

type Json = Record<string, unknown>;

interface Case {
  name: string;
  files: { 'config.json': Json; 'tokenizer.json': Json; 'tokenizer_config.json': Json };
  size: number;
  /** Of each line, with what stands around a text. */
  ids: number[][];
}

const fixture = fileURLToPath(new URL('../../../tests/fixtures/hugging-face/published.json', import.meta.url));
const { lines, cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { lines: string[]; cases: Case[] };
const root = mkdtempSync(join(tmpdir(), 'taper-published-'));
let numFolders = 0;

after(() => rmSync(root, { recursive: true, force: true }));

const named = (name: string) => cases.find((each) => each.name === name)!;

const modelOf = ({ files, size }: Case) => {
  const kinds: Record<string, string> = { modernbert: 'modernbert', roberta: 'bert', distilbert: 'bert' };
  const kind = kinds[files['config.json'].model_type as string] ?? 'llama';
  return { kind, vocabSize: size, maxPositions: 64 } as ModelConfig;
};

function read(each: Case, warn: (message: string) => void = () => {}, model = modelOf(each)): TextTokenizer {
  const folder = join(root, `${numFolders++}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(each.files)) {
    if (content !== undefined) writeFileSync(join(folder, name), JSON.stringify(content));
  }
  return readTokenizer(folder, model, (message) => warn(message.replaceAll(`${folder}/`, '')));
}

/** A case with other settings, or with another `tokenizer.json`. */
function changed(name: string, settings: Json, tokenizer: Json = {}): Case {
  const each = named(name);
  const { 'tokenizer.json': json, 'tokenizer_config.json': given } = each.files;
  const files = { 'tokenizer.json': { ...json, ...tokenizer }, 'tokenizer_config.json': { ...given, ...settings } };
  return { ...each, files: { ...each.files, ...files } };
}

describe('published tokenizers give the ids of AutoTokenizer, including the tokens around a text:', () => {
  for (const each of cases) {
    test(each.name, async () => {
      const tokenizer = read(each);
      const { kind, clsId, sepId, bosId, vocabSize } = tokenizer;
      assert.equal(vocabSize, each.size);
      const framed = (ids: number[]) => {
        if (kind === 'bert') return [clsId, ...ids, sepId];
        return bosId < 0 ? ids : [bosId, ...ids];
      };
      for (const [i, line] of lines.entries()) {
        assert.deepEqual(framed([...(await tokenizer.encode(line))]), each.ids[i], JSON.stringify(line));
      }
    });
  }
});

test('the cases give different ids, so that none of them passes for another', () => {
  assert.equal(new Set(cases.map(({ ids }) => JSON.stringify(ids))).size, cases.length);
});

test('a text comes back from its ids, in composed characters where the tokenizer composes them', async () => {
  for (const each of cases) {
    const tokenizer = read(each);
    if (!tokenizer.isByteLevel) continue;
    for (const line of lines) {
      const ids = await tokenizer.encode(line);
      // Special tokens are no text, and Llama 2 takes the first space for its own.
      if (ids.some((id) => tokenizer.isSpecial[id])) continue;
      const composes = JSON.stringify(each.files['tokenizer.json'].normalizer).includes('NFC');
      assert.equal(tokenizer.decode(ids), composes ? line.normalize('NFC') : line, `${each.name}: ${line}`);
    }
  }
});

test('what begins and ends a text follows only from tokenizer.json', () => {
  const found = Object.fromEntries(
    cases.map((each) => {
      const { kind, padId, unkId, maskId, bosId, sepId, ...tokenizer } = read(each);
      const tokens = [padId, unkId, maskId, bosId, sepId].map((id) => namesOf(tokenizer.json).get(id) ?? id);
      return [each.name, [kind, ...tokens].join(' ')];
    }),
  );
  assert.deepEqual(found, {
    ModernBERT: 'bert [PAD] [UNK] [MASK] -1 [SEP]',
    'Llama 3': 'gpt2 <|end_of_text|> -1 -1 <|begin_of_text|> <|end_of_text|>',
    SmolLM2: 'gpt2 <|endoftext|> -1 -1 -1 <|endoftext|>',
    Qwen3: 'gpt2 <|endoftext|> -1 -1 -1 <|endoftext|>',
    TinyLlama: 'gpt2 </s> -1 -1 <s> </s>',
    RoBERTa: 'bert <pad> <unk> <mask> -1 </s>',
    DistilBERT: 'bert [PAD] [UNK] [MASK] -1 [SEP]',
  });
});

/** The added tokens of a `tokenizer.json` by their numbers. */
function namesOf(json: string): Map<number, string> {
  const { added_tokens: added } = JSON.parse(json) as { added_tokens: { id: number; content: string }[] };
  return new Map(added.map(({ id, content }) => [id, content]));
}

test('tokens of bytes need no [UNK]', () => {
  const { added_tokens: added } = named('ModernBERT').files['tokenizer.json'] as { added_tokens: Json[] };
  const renamed = added.map((token) => (token.content === '[UNK]' ? { ...token, content: '[none]' } : token));
  const without = changed(
    'ModernBERT',
    { added_tokens_decoder: undefined, unk_token: null },
    { added_tokens: renamed },
  );
  const { kind, unkId } = read(without);
  assert.deepEqual([kind, unkId], ['bert', -1]);
});

test('a byte-level word is a token with a space before it and the following tokens without one, and is masked whole', async () => {
  const tokenizer = read(named('ModernBERT'));
  const text = 'abc ab caf\u00e9\nb';
  const ids = await tokenizer.encode(text);
  const words: string[] = [];
  for (const id of ids) {
    const token = tokenizer.decode([id]);
    if (tokenizer.isContinuation[id] && words.length > 0) words.push(words.pop()! + token);
    else words.push(token);
  }
  assert.deepEqual(words, ['abc', ' ab', ' caf\u00e9', '\nb']);
  const mask = maskTokens(tokenizer, { maskRate: 0.3, wholeWord: true });
  const starts = [...ids.keys()].filter((i) => i === 0 || !tokenizer.isContinuation[ids[i]!]);
  for (let sample = 0; sample < 20; sample++) {
    const { positions } = mask(Int32Array.from(ids), { seed: 1, epoch: 0, sample });
    const isChosen = (i: number) => positions.includes(i);
    for (const [i] of ids.entries()) if (!starts.includes(i)) assert.equal(isChosen(i), isChosen(i - 1));
  }
});

test('only a class that tokenizer.json contradicts is reported', () => {
  const warned = (each: Case) => {
    const messages: string[] = [];
    read(each, (message) => messages.push(message));
    return messages;
  };
  assert.deepEqual(Object.fromEntries(cases.map((each) => [each.name, warned(each)])), {
    ModernBERT: [],
    'Llama 3': [],
    SmolLM2: [
      'tokenizer_config.json: tokenizer_class GPT2Tokenizer has another pre_tokenizer in transformers 5 than tokenizer.json; ' +
        'tokenizer.json is used unchanged, as in transformers 4',
    ],
    Qwen3: [],
    TinyLlama: [
      'tokenizer_config.json: tokenizer_class LlamaTokenizer has another normalizer in transformers 5 than tokenizer.json; ' +
        'tokenizer.json is used unchanged, as in transformers 4',
    ],
    RoBERTa: [],
    DistilBERT: [],
  });
  assert.deepEqual(warned(changed('Qwen3', { eos_token: '<|im_end|>' })), [
    'tokenizer_config.json: eos_token <|im_end|> ends a chat turn; taper ends texts with <|endoftext|>',
  ]);
});

test('an exported tokenizer comes back as it was, without a word', () => {
  for (const each of cases) {
    const { json } = read(each);
    const settings = tokenizerConfig(json, modelOf(each));
    const { 'config.json': config } = each.files;
    const files = { 'config.json': config, 'tokenizer.json': JSON.parse(json), 'tokenizer_config.json': settings };
    assert.equal(read({ ...each, files }, assert.fail).json, json, each.name);
    const hasTypes = JSON.stringify(settings.model_input_names).includes('token_type_ids');
    assert.equal(hasTypes, modelOf(each).kind === 'bert', each.name);
    const names = [...namesOf(json).values()];
    for (const key of Object.keys(settings).filter((key) => key.endsWith('_token'))) {
      assert.ok(names.includes(settings[key] as string), `${each.name}: ${key} ${settings[key]}`);
    }
  }
});

test('a vocabulary that is padded as that of Qwen3 is accepted', () => {
  const each = named('Qwen3');
  const padded = (more: number) => ({ ...modelOf(each), vocabSize: Math.ceil((each.size + more) / 8) * 8 });
  read(each, assert.fail, padded(267));
  assert.throws(() => read(each, assert.fail, padded(512)), /use the model's own tokenizer/);
});

test('settings that differ from those that the model was trained with are refused in one line', () => {
  const refused = (each: Case, message: RegExp) =>
    assert.throws(
      () => read(each),
      (error) =>
        (error instanceof CheckpointError || error instanceof DataError) &&
        message.test(error.message) &&
        !error.message.includes('\n'),
      String(message),
    );
  refused(
    changed(
      'Qwen3',
      {},
      { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true } },
    ),
    /transformers 5 replaces it because tokenizer_class is Qwen2Tokenizer; .* write "tokenizer_class": "PreTrainedTokenizerFast"/,
  );
  refused(
    changed('Qwen3', { eos_token: '</s>' }),
    /tokenizer_config\.json: eos_token "<\/s>" is not supported; taper supports only <\|endoftext\|>/,
  );
  refused(
    changed('Qwen3', { add_bos_token: true }),
    /add_bos_token true is not supported, because the post_processor of tokenizer\.json does not add a bos token/,
  );
  refused(
    changed('Llama 3', { add_bos_token: false }),
    /add_bos_token false is not supported, because the post_processor of tokenizer\.json adds a bos token/,
  );
  refused(
    changed('Llama 3', { add_eos_token: true }),
    /add_eos_token true is not supported; taper supports only false/,
  );
  refused(
    changed('Llama 3', { tokenizer_class: 'CodeLlamaTokenizer' }),
    /CodeLlamaTokenizer is not one of GPT2Tokenizer, Qwen2Tokenizer, LlamaTokenizer, PreTrainedTokenizerFast; write PreTrained/,
  );
  const { post_processor: llama } = named('Llama 3').files['tokenizer.json'];
  const after = structuredClone(llama) as { processors: { single?: Json[] }[] };
  after.processors[1]!.single!.reverse();
  refused(
    changed('Llama 3', {}, { post_processor: after }),
    /its post_processor does not produce only the text, or one token before it/,
  );
  refused(
    changed('ModernBERT', {}, { post_processor: null }),
    /its post_processor does not produce \[CLS\] text \[SEP\]/,
  );
  const { added_tokens: added } = named('Llama 3').files['tokenizer.json'] as { added_tokens: Json[] };
  refused(
    changed('Llama 3', {}, { added_tokens: added.map((token) => ({ ...token, content: `${token.content}!` })) }),
    /taper needs \[PAD\] \[UNK\] \[CLS\] \[SEP\] \[MASK\] to fill masks, or one of <\|endoftext\|> .* to continue texts/,
  );
  refused(
    { ...named('Llama 3'), files: { ...named('Llama 3').files, 'tokenizer.json': undefined as unknown as Json } },
    /has no tokenizer\.json, but PreTrainedTokenizerFast needs it; copy the model's tokenizer\.json there/,
  );
  const other = { ...modelOf(named('Llama 3')), kind: 'modernbert' } as ModelConfig;
  assert.throws(() => read(named('Llama 3'), assert.fail, other), CheckpointError);
});
