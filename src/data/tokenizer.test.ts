// cspell:ignore acgt ġcat
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Tokenizer } from 'tokenizers';
import { DataError } from '../errors/index.ts';
import { temporaryFolder, wordTokenizer } from './fixtures.ts';
import { scriptTexts } from './scripts.fixture.ts';
import { TextTokenizer } from './tokenizer.ts';
import { bertTokens, byteLevelJson, endOfText, wordPieceJson } from './tokenizer-json.ts';
import { trainByteLevel, trainWordPiece } from './tokenizer-training.ts';
import { countCharacters } from './words.ts';

const prose =
  'The miller had three sons, his mill, an ass and a cat. The sons had to grind, the ass had to carry the flour ' +
  'and the cat had to catch the mice. When the miller died, the three sons divided what he left: the eldest had ' +
  'the mill, the second the ass, the third the cat. "What shall I do with the cat?" said he. Naïve, wasn\'t he!';

async function* only(...texts: string[]): AsyncGenerator<string> {
  yield* texts;
}

function train(text: string, vocabSize: number, lowercase = true): Promise<TextTokenizer> {
  return trainWordPiece(only(text), { vocabSize, lowercase, maxBytes: 1e6 });
}

const trainBytes = (text: string, vocabSize: number) => trainByteLevel(only(text), { vocabSize, maxBytes: 1e6 });

const awkward = [
  '',
  ' \n\t ',
  prose,
  "The naïve Café — “quoted”\u00a0space\u3000wide, 日本語 text e\u0301 ;don't… [MASK] a[SEP]b \u200bzero\u0000nul\u00ad",
  `${'x'.repeat(150)} a \r\n\r\n  b\u2028c\u0085d \ud800 lone`,
  'THE MILL the Mill tHe mill. the mill, (the) the',
];

test('words are encoded as the library encodes the whole text', async () => {
  for (const tokenizer of [await train(prose, 200), await train(prose, 60, false), await trainBytes(prose, 400)]) {
    const library = Tokenizer.fromString(tokenizer.json);
    for (const round of ['unseen', 'from memory']) {
      const ours = await tokenizer.encodeBatch(awkward);
      for (const [i, text] of awkward.entries()) {
        const theirs = await library.encode(text, null, { addSpecialTokens: false });
        assert.deepEqual([...ours[i]!], theirs.getIds(), `${round}: ${text}`);
      }
    }
  }
});

/** Texts in which letters, punctuation, line ends, quotation marks, accents and unusual spaces stand beside each other in every way. */
function denseTexts(count: number): string[] {
  const parts = [
    ...' \n\t\r\'"\u0301\u0338.,=-_aeSsTl19',
    ' ',
    ' ',
    '\n',
    '  ',
    'é',
    '\u00a0',
    '\u2003',
    '\u2019',
    '\u201c',
    '\u2014',
    '\u0085',
    '\ufeff',
    '\u212a',
    '漢',
    '😀',
    '[MASK]',
  ];
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: 3 + (i % 12) }, (_, k) => parts[fnv(i, k) % parts.length]).join(''),
  );
}

/** A number that depends on two others in no simple way. */
function fnv(i: number, k: number): number {
  const mixed = Math.imul(Math.imul(i * 31 + k + 1, 0x9e3779b1) ^ (i >>> 3), 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

test('cuts within a text change no id, for any characters on both sides', async () => {
  const dense = denseTexts(1000);
  // Merges across every place where a pattern may cut.
  const ascii = [...'aesTl19.,=-"\'ĠĊĉč'];
  const pairs = ascii.flatMap((left) => ascii.map((right) => [left, right]));
  const symbols = Object.keys(JSON.parse((await trainBytes(prose, 300)).json).model.vocab).slice(0, 256);
  const tokens = [...symbols, ...pairs.map((pair) => pair.join('')), endOfText];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const bytes = JSON.parse(
    byteLevelJson(
      vocab,
      pairs.map((pair) => pair.join(' ')),
    ),
  );
  const run = (content: string, id: number) => ({
    ...bytes.added_tokens[0],
    id,
    content,
    special: false,
    normalized: true,
  });
  const pattern = (digits: string) => ({
    type: 'Split',
    pattern: {
      Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
    },
    behavior: 'Isolated',
    invert: false,
  });
  const sequence = (first: unknown, use_regex: boolean) => ({
    type: 'Sequence',
    pretokenizers: [first, { ...bytes.pre_tokenizer, use_regex }],
  });
  const kinds = {
    bert: JSON.parse((await train(dense.join(' '), 300)).json),
    gpt: bytes,
    modernBert: {
      ...bytes,
      normalizer: { type: 'NFC' },
      added_tokens: [...bytes.added_tokens, run('  ', tokens.length), run('   ', tokens.length + 1)],
    },
    llama: { ...bytes, pre_tokenizer: sequence(pattern('\\p{N}{1,3}'), false) },
    qwen: { ...bytes, normalizer: { type: 'NFC' }, pre_tokenizer: sequence(pattern('\\p{N}'), false) },
    smolLm: { ...bytes, pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, true) },
  };
  for (const [name, json] of Object.entries(kinds)) {
    const tokenizer = TextTokenizer.fromJson(JSON.stringify(json));
    const ours = await tokenizer.encodeBatch(dense);
    const theirs = await Tokenizer.fromString(tokenizer.json).encodeBatch(dense, { addSpecialTokens: false });
    for (const [i, text] of dense.entries())
      assert.deepEqual([...ours[i]!], theirs[i]!.getIds(), `${name}: ${JSON.stringify(text)}`);
  }
});

/** Lines of every script, of several ones without a space between them, and of long words. */
function lines(): string[] {
  const scripts = Object.values(scriptTexts(3000)).map((text) => text.split('\n'));
  const spliced = Array.from({ length: 200 }, (_, i) => {
    const parts = Array.from({ length: 1 + (i % 4) }, (_, k) => {
      const some = scripts[(i * 7 + k * 3) % scripts.length]!;
      return some[(i * 13 + k) % some.length]!.slice((i * 31) % 50, ((i * 31) % 50) + 5 + ((i * 17 * k) % 140));
    });
    return parts.join(i % 3 === 0 ? ' ' : '');
  });
  const long = ['acgt'.repeat(500), `${'x'.repeat(99)}é${'ก'.repeat(101)}y`, `[MASK]ก${'z'.repeat(150)}[MASK]漢`];
  return [...scripts.flat(), ...spliced, ...long, 'ក'.repeat(250), '😀'.repeat(120), '\u200bก\u0301漢\u0301字'];
}

const wordPieceOptions = [
  { lowercase: true, stripAccents: true },
  { lowercase: true, stripAccents: false },
  { lowercase: false },
  { lowercase: false, stripAccents: true },
];

test('every script is cut into tokens, none of them [UNK], as the library and transformers.js do it', async () => {
  const { PreTrainedTokenizer } = await import('@huggingface/transformers');
  const texts = lines();
  for (const options of wordPieceOptions) {
    const tokenizer = await trainWordPiece(only(...texts), { ...options, vocabSize: 6000, maxBytes: 1e9 });
    const { ids, unknownCharacters } = await tokenizer.encodeCounted(texts);
    assert.equal(unknownCharacters, 0);
    const library = Tokenizer.fromString(tokenizer.json);
    const js = new PreTrainedTokenizer(JSON.parse(tokenizer.json), { tokenizer_class: 'PreTrainedTokenizerFast' });
    for (const [i, text] of texts.entries()) {
      const theirs = await library.encode(text, null, { addSpecialTokens: false });
      assert.deepEqual([...ids[i]!], theirs.getIds(), text);
      assert.deepEqual([...ids[i]!], js.encode(text, { add_special_tokens: false }), text);
    }
  }
});

test('a vocabulary of text with spaces has the tokenizer.json of BERT, which cuts no words', async () => {
  const preTokenizerOf = (tokenizer: TextTokenizer) => JSON.parse(tokenizer.json).pre_tokenizer.type;
  assert.equal(preTokenizerOf(await train(`${prose} ${'x'.repeat(100)}`, 300)), 'BertPreTokenizer');
  assert.equal(preTokenizerOf(await train(`${prose} ${'x'.repeat(101)}`, 300)), 'Sequence');
  assert.equal(preTokenizerOf(await train(`${prose} แมว`, 300)), 'Sequence');
});

test('the characters that become [UNK] are counted, also of words that came before', async () => {
  const tokenizer = await train('ab abc café', 100);
  const texts = ['ab q abq 😀😀 漢字 abc', 'q', `abc ${'b'.repeat(150)}`, 'ab'];
  for (let round = 0; round < 2; round++) {
    // q, abq, two emoji, two hanzi; q; the long word.
    assert.equal((await tokenizer.encodeCounted(texts)).unknownCharacters, 1 + 3 + 2 + 2 + 1 + 150);
  }
  assert.equal((await (await trainBytes(prose, 300)).encodeCounted(texts)).unknownCharacters, 0);
  assert.equal(countCharacters('ab 😀\n漢\u0301\t'), 5);
});

test('accents and vowel signs are stripped as lower-casing or stripAccents says', async () => {
  const text = 'Café बिल्ली ผู้';
  const written = async (options: (typeof wordPieceOptions)[number]) => {
    const tokenizer = await trainWordPiece(only(`${text} ${text}`), { ...options, vocabSize: 200, maxBytes: 1e6 });
    return tokenizer.decode(await tokenizer.encode(text));
  };
  const stripped = (kept: string) => kept.normalize('NFD').replace(/\p{Mn}/gu, '');
  const expected = [stripped('café बिल्ली ผู้'), 'café बिल्ली ผู้', text, stripped(text)];
  assert.deepEqual(await Promise.all(wordPieceOptions.map(written)), expected);
});

test('lower-casing strips accents unless 2 letters in 1,000 have one', async () => {
  const stripsAccents = async (letters: number) => {
    const tokenizer = await trainWordPiece(only(`é ${'a '.repeat(letters)}`), {
      lowercase: true,
      vocabSize: 100,
      maxBytes: 1e6,
    });
    return tokenizer.decode(await tokenizer.encode('é')) === 'e';
  };
  assert.deepEqual(await Promise.all([498, 499].map(stripsAccents)), [false, true]); // 1 of 499, and 1 of 500
});

test('a byte-level vocabulary that lacks bytes is refused, because text would vanish', async () => {
  await assert.rejects(trainBytes(prose, 256), /256 tokens are too few.*257/);
  const tokenizer = await trainBytes(prose, 257);
  assert.equal(tokenizer.decode(await tokenizer.encode('ÿ漢😀')), 'ÿ漢😀');
});

test('a line of 200,000 characters without a space is trained on and encoded', async () => {
  const line = '漢字ไทย仮名abc'.repeat(20_000);
  const options = { vocabSize: 300, maxBytes: 1e9 };
  const wordPiece = await trainWordPiece(only(line), { ...options, lowercase: true });
  const { ids, unknownCharacters } = await wordPiece.encodeCounted([line]);
  assert.equal(unknownCharacters, 0);
  assert.equal(wordPiece.decode(ids[0]!).replaceAll(' ', '').length, line.length);
  const bytes = await trainByteLevel(only('語'.repeat(6_000_000)), options);
  assert.equal(bytes.decode(await bytes.encode(line)), line);
});

test("at the same alphabet, text has as many tokens and as little [UNK] as with Hugging Face's trainer", async (t) => {
  const docs = readdirSync('docs').filter((name) => name.endsWith('.md'));
  const english = docs.map((name) => readFileSync(join('docs', name), 'utf8').replaceAll('[UNK]', ''));
  const text = [...english, ...Object.values(scriptTexts(20_000))].join('\n');
  const ours = await trainWordPiece(only(text), {
    vocabSize: 10_000,
    lowercase: true,
    stripAccents: true,
    maxBytes: 1e9,
  });

  const plain = Tokenizer.fromString(ours.json);
  const { WordPiece } = await import('tokenizers');
  const library = new Tokenizer(WordPiece.empty());
  library.setNormalizer(plain.getNormalizer()!);
  library.setPreTokenizer(plain.getPreTokenizer()!);
  const path = join(temporaryFolder(t), 'text.txt');
  writeFileSync(path, text);
  library.train([path]);
  const tokens = Object.entries(library.getVocab()).sort(([, a], [, b]) => a - b);
  const theirTokens = [...bertTokens, ...tokens.map(([token]) => token)].slice(0, ours.vocabSize);
  const theirs = TextTokenizer.fromJson(wordPieceJson(theirTokens, { lowercase: true, cutsWords: true }));

  const [our, their] = [await ours.encodeCounted([text]), await theirs.encodeCounted([text])];
  assert.equal(our.unknownCharacters, 0);
  assert.equal(their.unknownCharacters, 0);
  const ratio = our.ids[0]!.length / their.ids[0]!.length;
  assert.ok(Math.abs(ratio - 1) < 0.0005, `${ratio} times as many tokens`);
});

test('an added token in a text is one token, also of a tokenizer of bytes', async () => {
  const json = JSON.parse((await trainBytes(prose, 280)).json);
  json.added_tokens.push({ ...json.added_tokens[0], id: 280, content: '<user>', special: false });
  const tokenizer = TextTokenizer.fromJson(JSON.stringify(json));
  const library = Tokenizer.fromString(tokenizer.json);
  for (const text of ['hello <user> The cat', 'a<|endoftext|>b', 'The cat', 'x\ufeff y']) {
    const theirs = await library.encode(text, null, { addSpecialTokens: false });
    assert.deepEqual([...(await tokenizer.encode(text))], theirs.getIds(), text);
  }
  assert.ok((await tokenizer.encode('hello <user>')).includes(280));
});

test('an added token of a single word is not found next to a Chinese character, as in the library', async () => {
  const json = JSON.parse((await train(prose, 280)).json);
  const id = Object.keys(json.model.vocab).length;
  for (const normalized of [false, true]) {
    const token = { ...json.added_tokens[0], id, content: 'tapir', single_word: true, normalized, special: false };
    const tokenizer = TextTokenizer.fromJson(JSON.stringify({ ...json, added_tokens: [...json.added_tokens, token] }));
    const library = Tokenizer.fromString(tokenizer.json);
    for (const text of ['漢tapir', 'tapir漢 the', 'the tapir 漢']) {
      const theirs = await library.encode(text, null, { addSpecialTokens: false });
      assert.deepEqual([...(await tokenizer.encode(text))], theirs.getIds(), `${text}, normalized ${normalized}`);
    }
  }
});

test('texts that are encoded at the same time do not disturb one another', async () => {
  const tokenizer = await train(prose, 200);
  const [a, b] = await Promise.all([tokenizer.encode(prose), tokenizer.encode(prose)]);
  assert.ok(a.length > 80);
  assert.deepEqual(a, b);
});

test('a tokenizer that looks past white space encodes whole texts', async () => {
  const json = JSON.parse(wordTokenizer(3).json);
  json.pre_tokenizer = { type: 'Metaspace', replacement: '_', prepend_scheme: 'always', split: true };
  json.model.vocab = { ...json.model.vocab, _w0: 12, _w1: 13 };
  const ids = await TextTokenizer.fromJson(JSON.stringify(json)).encode('w0 w1');
  assert.deepEqual([...ids], [12, 13]);
});

test('a trained vocabulary starts with the special tokens and has the size asked for', async () => {
  const tokenizer = await train(prose, 60);
  assert.equal(tokenizer.vocabSize, 60);
  assert.deepEqual(tokenizer.tokens([0, 1, 2, 3, 4]), ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']);
  const { padId, unkId, clsId, sepId, maskId } = tokenizer;
  assert.deepEqual([padId, unkId, clsId, sepId, maskId], [0, 1, 2, 3, 4]);
  assert.ok(!(await tokenizer.encode(prose)).includes(unkId));
});

test('a small text gives the vocabulary that it holds', async () => {
  const tokenizer = await train('aa aa', 30_522);
  assert.deepEqual(tokenizer.tokens([...tokenizer.isSpecial.keys()].slice(5)), ['a', '##a', 'aa']);
  await assert.rejects(train(' \n', 100), DataError);
});

test('the same text always gives the same tokenizer', async () => {
  const [a, b] = await Promise.all([train(prose, 60), train(prose, 60)]);
  assert.equal(a.json, b.json);
  assert.equal(a.hash, createHash('sha256').update(a.json).digest('hex'));
  assert.notEqual(a.hash, (await train(prose, 59)).hash);
});

test('training stops reading at its limit', async () => {
  const tokenizer = await trainWordPiece(only('aa aa', 'bb bb'), { vocabSize: 100, lowercase: true, maxBytes: 5 });
  assert.deepEqual(tokenizer.tokens([5, 6, 7]), ['a', '##a', 'aa']);
  assert.equal(tokenizer.vocabSize, 8);
});

test('lower-casing is as asked for', async () => {
  const cased = await train('Aa Aa Aa', 100, false);
  assert.deepEqual(cased.tokens(await cased.encode('Aa')), ['Aa']);
  const uncased = await train('Aa Aa Aa', 100, true);
  assert.deepEqual(uncased.tokens(await uncased.encode('Aa')), ['aa']);
});

test('a byte-level vocabulary is the 256 bytes, merges, and the end of a text, and loses nothing', async () => {
  const tokenizer = await trainBytes(prose, 280);
  assert.equal(tokenizer.vocabSize, 280);
  assert.equal(tokenizer.kind, 'gpt2');
  assert.deepEqual(tokenizer.tokens([0, 32, 65, 255, 279]), ['Ā', 'Ġ', 'A', 'ÿ', '<|endoftext|>']);
  assert.deepEqual([tokenizer.sepId, tokenizer.padId, tokenizer.clsId, tokenizer.maskId], [279, 279, -1, -1]);
  assert.deepEqual(tokenizer.tokens(await tokenizer.encode('The cat')).slice(-1), ['Ġcat']);
  const whole = awkward.filter((text) => !text.includes('\ud800'));
  for (const text of whole) assert.equal(tokenizer.decode(await tokenizer.encode(text)), text);
  assert.equal((await trainBytes(prose, 280)).json, tokenizer.json);
  await assert.rejects(trainBytes('', 300), DataError);
});

const shared = ['the-created-legend.txt', 'beyond-good-and-evil.txt'].map(
  (name) => `../shared/data/books/sample/${name}`,
);

test("the tokens are those of Hugging Face's trainer", { skip: !shared.every(existsSync) }, async () => {
  const { WordPiece, bertNormalizer, bertPreTokenizer } = await import('tokenizers');
  const library = new Tokenizer(WordPiece.empty());
  library.setNormalizer(bertNormalizer());
  library.setPreTokenizer(bertPreTokenizer());
  library.train(shared);
  const theirs = Object.entries(library.getVocab())
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token)
    .slice(0, 2995);
  const texts = await Promise.all(shared.map((path) => readFile(path, 'utf8')));
  const ours = await trainWordPiece(only(...texts), { vocabSize: 3000, lowercase: true, maxBytes: 1e9 });
  const known = new Set(ours.tokens(Array.from({ length: 3000 }, (_, i) => i)));
  const missing = theirs.filter((token) => !known.has(token));
  // Where pairs are equally frequent their order is random, and so are the last few at the cut.
  assert.ok(missing.length <= 15, missing.join(' '));
});

test("byte-level tokens are those of Hugging Face's trainer", { skip: !shared.every(existsSync) }, async () => {
  const { BPE, byteLevelPreTokenizer } = await import('tokenizers');
  const library = new Tokenizer(BPE.empty());
  library.setPreTokenizer(byteLevelPreTokenizer(false));
  library.train(shared);
  const theirs = Object.entries(library.getVocab())
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token)
    .slice(0, 2700);
  const texts = await Promise.all(shared.map((path) => readFile(path, 'utf8')));
  const ours = await trainByteLevel(only(...texts), { vocabSize: 3000, maxBytes: 1e9 });
  const known = new Set(ours.tokens(Array.from({ length: 3000 }, (_, i) => i)));
  const missing = theirs.filter((token) => !known.has(token));
  assert.ok(missing.length <= 15, missing.join(' '));
});

test('the ends of sentences of other scripts are known', async () => {
  for (const tokenizer of [await train('一。 二। . x', 100), await trainBytes('。'.repeat(9) + '।'.repeat(9), 300)]) {
    const ends = [...tokenizer.isSentenceEnd.keys()].filter((id) => tokenizer.isSentenceEnd[id]);
    const texts = ends.map((id) => tokenizer.decode([id]));
    for (const end of ['。', '।', '.']) assert.ok(texts.includes(end), `${end} of ${texts.join(' ')}`);
  }
});

test("Hugging Face's own form is read; its truncation and padding do not reach the ids", async () => {
  const tokenizer = wordTokenizer(20);
  const text = 'w0 w1s, w2. w3! w4? w5 w6 w7 w8 w9 w10';
  const ids = await tokenizer.encode(text);
  assert.deepEqual([...ids], [9, 10, 8, 1, 11, 5, 12, 6, 13, 7, 14, 15, 16, 17, 18, 19]);
  assert.deepEqual(
    [...tokenizer.isSentenceEnd.keys()].filter((id) => tokenizer.isSentenceEnd[id]),
    [5, 6, 7],
  );
  assert.deepEqual(
    [...tokenizer.isContinuation.keys()].filter((id) => tokenizer.isContinuation[id]),
    [8],
  );
  assert.deepEqual(
    [...tokenizer.isSpecial.keys()].filter((id) => tokenizer.isSpecial[id]),
    [0, 1, 2, 3, 4],
  );
  assert.equal(tokenizer.vocabSize, 29);
});

test('token ids decode to their text without special tokens and padding', async () => {
  const tokenizer = await train(prose, 300);
  const ids = [tokenizer.clsId, ...(await tokenizer.encode('The cat had the mill.')), tokenizer.sepId, 0, 0];
  assert.equal(tokenizer.decode(ids), 'the cat had the mill.');
  assert.equal(tokenizer.decode([]), '');
  assert.throws(() => tokenizer.tokens([tokenizer.vocabSize]), RangeError);
});

test('a file that is not a BERT tokenizer is an error that names it', (t) => {
  const path = join(temporaryFolder(t), 'tokenizer.json');
  const rejects = (message: RegExp) =>
    assert.throws(
      () => TextTokenizer.fromFile(path),
      (error) => error instanceof DataError && error.message.startsWith(path) && message.test(error.message),
    );
  rejects(/cannot be read/);
  const json = wordTokenizer(2).json;
  for (const broken of ['', '{', '[]', '{"model":{}}', json.slice(0, -9)]) {
    writeFileSync(path, broken);
    rejects(/not a Hugging Face tokenizer\.json/);
  }
  writeFileSync(path, json.replaceAll('[MASK]', '<mask>'));
  rejects(/no \[MASK\] token/);
});
