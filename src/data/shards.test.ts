import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DataError, OutputError } from '../errors/index.ts';
import { openCorpus } from './corpus.ts';
import { range, temporaryFolder, wordsText, wordTokenizer } from './fixtures.ts';
import { type PrepareOptions, type PrepareProgress, prepareCorpus, prepareDocuments } from './shards.ts';

const documents = [range(0, 9), [7], range(20, 49), [1, 2, 3]];
const firstWord = 9;
const expected = documents.flat().map((number) => number + firstWord);

/** What is needed to prepare `documents` in shards of 16 tokens, and everything that was reported. */
function setUp(t: TestContext) {
  const folder = temporaryFolder(t);
  const source = join(folder, 'texts.jsonl');
  writeFileSync(source, documents.map((numbers) => JSON.stringify({ text: wordsText(numbers) })).join('\n'));
  const progress: PrepareProgress[] = [];
  const warnings: string[] = [];
  const options: PrepareOptions = {
    paths: [source],
    tokenizer: wordTokenizer(100),
    cacheDir: join(folder, 'cache'),
    tokensPerShard: 16,
    onProgress: (report) => progress.push(report),
    onWarning: (message) => warnings.push(message),
  };
  const onlyCorpus = (): string => {
    const names = readdirSync(options.cacheDir);
    assert.equal(names.length, 1);
    return join(options.cacheDir, names[0]!);
  };
  return { folder, source, options, progress, warnings, onlyCorpus };
}

function flipByte(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}

test('tokens come back from the shards at any place and length', async (t) => {
  const { options, onlyCorpus } = setUp(t);
  const corpus = await prepareCorpus(options);
  t.after(() => corpus.close());
  assert.deepEqual([...corpus.documentStarts(0, corpus.index.documents)], [0, 10, 11, 41, 44]);
  assert.equal(corpus.index.tokens, 44);
  assert.equal(corpus.index.bytesPerToken, 2);
  for (let start = 0; start <= 44; start++) {
    for (let length = 0; start + length <= 44; length++) {
      const tokens = new Int32Array(length);
      corpus.read(start, tokens);
      assert.deepEqual([...tokens], expected.slice(start, start + length));
    }
  }
  assert.throws(() => corpus.read(40, new Int32Array(5)), RangeError);
  assert.throws(() => corpus.read(-1, new Int32Array(1)), RangeError);
  assert.deepEqual(readdirSync(onlyCorpus()).sort(), [
    'block-starts.bin',
    'checksums.bin',
    'documents.bin',
    'index.json',
    ...range(0, 2).map((i) => `tokens-0000${i}.bin`),
  ]);
  // Little-endian uint16 on disk: the first token is 9, the second 10.
  assert.deepEqual([...readFileSync(join(onlyCorpus(), 'tokens-00000.bin')).subarray(0, 4)], [9, 0, 10, 0]);
});

test('the last report counts everything', async (t) => {
  const { options, source, progress } = setUp(t);
  (await prepareCorpus(options)).close();
  const bytes = statSync(source).size;
  const textBytes = documents.reduce((total, numbers) => total + wordsText(numbers).length, 0);
  assert.deepEqual(progress.at(-1), {
    sourceBytes: bytes,
    sourceBytesDone: bytes,
    textBytes,
    documents: 4,
    tokens: 44,
  });
});

test('a vocabulary over 65,536 takes four bytes per token', async (t) => {
  const { options } = setUp(t);
  writeFileSync(options.paths[0]!, '{"text":"w0 w69999"}');
  const corpus = await prepareCorpus({ ...options, tokenizer: wordTokenizer(70_000) });
  t.after(() => corpus.close());
  assert.equal(corpus.index.bytesPerToken, 4);
  const tokens = new Int32Array(2);
  corpus.read(0, tokens);
  assert.deepEqual([...tokens], [9, 70_008]);
});

test('a long text file is one document, as if it were encoded in one go', async (t) => {
  const { options, folder } = setUp(t);
  const numbers = range(0, 599_999).map((i) => (i * i) % 97);
  const path = join(folder, 'long.txt');
  writeFileSync(path, wordsText(numbers));
  const corpus = await prepareCorpus({ ...options, paths: [path], tokensPerShard: 2 ** 26 });
  t.after(() => corpus.close());
  assert.deepEqual([...corpus.documentStarts(0, corpus.index.documents)], [0, 600_000]);
  const tokens = new Int32Array(600_000);
  corpus.read(0, tokens);
  assert.deepEqual(
    tokens,
    Int32Array.from(numbers, (number) => number + firstWord),
  );
});

test('rows and files without text are counted, and said each time the corpus is opened', async (t) => {
  const { options, source, folder, warnings } = setUp(t);
  writeFileSync(source, '{"text":"w1"}\n{"text":null}\n{"text":"w2"}\n{"text":" "}');
  const blank = join(folder, 'blank.txt');
  writeFileSync(blank, '\n');
  for (let i = 1; i <= 2; i++) {
    const corpus = await prepareCorpus({ ...options, paths: [source, blank] });
    const { index } = corpus;
    corpus.close();
    assert.equal(index.documents, 2);
    assert.deepEqual(index.blank, { documents: 3, first: `${source}, line 2` });
    assert.equal(warnings.length, i);
    assert.equal(warnings.at(-1), `3 of 5 documents have no text and are skipped; the first is ${source}, line 2`);
  }
  writeFileSync(source, '{"text":"w1"}\n{"text":""}');
  (await prepareCorpus(options)).close();
  assert.equal(warnings.at(-1), `1 of 2 documents has no text and is skipped: ${source}, line 2`);
});

test('a text that several links lead to is one document, so that no copy of it is held out', async (t) => {
  const { options, folder } = setUp(t);
  for (const name of ['texts/a.txt', 'texts/b.txt']) {
    mkdirSync(join(folder, 'texts'), { recursive: true });
    writeFileSync(join(folder, name), wordsText(range(0, 9)));
  }
  symlinkSync('a.txt', join(folder, 'texts/c.txt'));
  linkSync(join(folder, 'texts/b.txt'), join(folder, 'texts/d.txt'));
  const corpus = await prepareCorpus({ ...options, paths: [join(folder, 'texts')] });
  t.after(() => corpus.close());
  assert.equal(corpus.index.documents, 2);
});

test('what was prepared is used again, until a source, the tokenizer or the text field changes', async (t) => {
  const { options, source, progress } = setUp(t);
  const prepareAgain = async (changed: Partial<PrepareOptions> = {}): Promise<boolean> => {
    progress.length = 0;
    (await prepareCorpus({ ...options, ...changed })).close();
    return progress.length === 0;
  };
  assert.equal(await prepareAgain(), false);
  assert.equal(await prepareAgain(), true);
  utimesSync(source, new Date(0), new Date(1_000_000));
  assert.equal(await prepareAgain(), false);
  assert.equal(await prepareAgain(), true);
  assert.equal(await prepareAgain({ tokenizer: wordTokenizer(101) }), false);
  writeFileSync(source, '{"text":"w1 w2","body":"w3"}');
  assert.equal(await prepareAgain(), false);
  assert.equal(await prepareAgain({ textField: 'body' }), false);
  assert.equal(readdirSync(options.cacheDir).length, 5);
});

test('a flipped byte in any file is found on opening, and the corpus is made again with a warning', async (t) => {
  const { options, warnings, onlyCorpus } = setUp(t);
  (await prepareCorpus(options)).close();
  const whole = readFileSync(join(onlyCorpus(), 'index.json'), 'utf8');
  for (const name of [
    'tokens-00000.bin',
    'tokens-00002.bin',
    'documents.bin',
    'checksums.bin',
    'block-starts.bin',
    'index.json',
  ]) {
    warnings.length = 0;
    flipByte(join(onlyCorpus(), name), 5);
    assert.throws(
      () => openCorpus(onlyCorpus()),
      (error) => error instanceof DataError && error.message.includes(name),
    );
    const corpus = await prepareCorpus(options);
    const tokens = new Int32Array(44);
    corpus.read(0, tokens);
    corpus.close();
    assert.deepEqual([...tokens], expected);
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0]!.includes(name));
    assert.equal(readFileSync(join(onlyCorpus(), 'index.json'), 'utf8'), whole);
  }
});

test('a large corpus is compared with its checksums where it is read, and made again by the next start', async (t) => {
  const { options, source, warnings, onlyCorpus } = setUp(t);
  const numbers = range(0, 2999).map((i) => (i * i) % 97);
  writeFileSync(source, JSON.stringify({ text: wordsText(numbers) }));
  // Over 128 chunks: 3,000 tokens of two bytes in chunks of 32, in 188 shards that end in the middle of none.
  const large = { ...options, chunkBytes: 32 };
  (await prepareCorpus(large)).close();
  const whole = readdirSync(onlyCorpus()).map((name) => readFileSync(join(onlyCorpus(), name), 'utf8'));
  for (const [name, at, token] of [
    ['tokens-00100.bin', 7, 1600],
    ['tokens-00187.bin', 15, 2999],
    ['documents.bin', 1, undefined],
  ] as const) {
    warnings.length = 0;
    flipByte(join(onlyCorpus(), name), at);
    const corpus = await prepareCorpus(large);
    assert.deepEqual(warnings, []);
    corpus.read(token === undefined ? 0 : token - 100, new Int32Array(16)); // elsewhere
    const what = `${name}: the chunk at byte 0 does not match its checksum`;
    const message = new RegExp(`${what}; run the same command again \\(a training run with --resume\\)`);
    for (let i = 0; i < 2; i++) {
      assert.throws(
        () => (token === undefined ? corpus.documentStarts(0, 1) : corpus.read(token, new Int32Array(1))),
        (error) => error instanceof DataError && message.test(error.message),
      );
    }
    corpus.close();
    const again = await prepareCorpus(large);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, new RegExp(`${what}; preparing the data again$`));
    const tokens = new Int32Array(3000);
    again.read(0, tokens);
    again.close();
    assert.deepEqual(
      [...tokens],
      numbers.map((number) => number + firstWord),
    );
    assert.deepEqual(
      readdirSync(onlyCorpus()).map((file) => readFileSync(join(onlyCorpus(), file), 'utf8')),
      whole,
    );
  }
});

test('each chunk that is read is compared, not only the first', async (t) => {
  const { options, source, onlyCorpus } = setUp(t);
  writeFileSync(source, JSON.stringify({ text: wordsText(range(0, 2999).map((i) => i % 97)) }));
  // One shard of 188 chunks of 16 tokens.
  (await prepareCorpus({ ...options, tokensPerShard: 3000, chunkBytes: 32 })).close();
  const shard = join(onlyCorpus(), 'tokens-00000.bin');
  flipByte(shard, 32 * 51 + 3);
  const corpus = openCorpus(onlyCorpus());
  t.after(() => corpus.close());
  corpus.read(16 * 50, new Int32Array(16));
  for (const start of [16 * 51 - 1, 16 * 51, 16 * 52 - 1])
    assert.throws(
      () => corpus.read(start, new Int32Array(2)),
      /tokens-00000\.bin: the chunk at byte 1632 does not match/,
    );
  corpus.read(16 * 52, new Int32Array(16));
});

test('a file that is cut short while it is open is a DataError', async (t) => {
  const { options, source, onlyCorpus } = setUp(t);
  writeFileSync(source, JSON.stringify({ text: wordsText(range(0, 2999).map((i) => i % 97)) }));
  const corpus = await prepareCorpus({ ...options, tokensPerShard: 3000, chunkBytes: 32 });
  t.after(() => corpus.close());
  truncateSync(join(onlyCorpus(), 'tokens-00000.bin'), 100);
  for (const start of [48, 2000])
    assert.throws(
      () => corpus.read(start, new Int32Array(2)),
      (error) => error instanceof DataError && /tokens-00000\.bin: it was truncated while in use/.test(error.message),
    );
});

test('chunks are hashed as they lie in the files, also where a file ends in one', async (t) => {
  const { options, onlyCorpus } = setUp(t);
  const corpus = await prepareCorpus({ ...options, chunkBytes: 12 });
  corpus.close();
  const { lengths, shards, checksums } = corpus.index;
  const expected = [lengths, ...shards].flatMap(({ name }) => {
    const bytes = readFileSync(join(onlyCorpus(), name));
    const starts = range(0, Math.ceil(bytes.length / 12) - 1);
    return starts.map((i) =>
      createHash('sha256')
        .update(bytes.subarray(12 * i, 12 * i + 12))
        .digest('hex'),
    );
  });
  assert.equal(readFileSync(join(onlyCorpus(), checksums.name)).toString('hex'), expected.join(''));
});

test('a shard that is missing, cut or not counted is found on opening', async (t) => {
  const { options, onlyCorpus } = setUp(t);
  (await prepareCorpus(options)).close();
  const indexPath = join(onlyCorpus(), 'index.json');
  const index = readFileSync(indexPath, 'utf8');
  const shard = join(onlyCorpus(), 'tokens-00001.bin');
  writeFileSync(shard, readFileSync(shard).subarray(2));
  assert.throws(() => openCorpus(onlyCorpus()), /tokens-00001\.bin: it has 30 bytes instead of 32/);
  for (const [from, to, message] of [
    ['tokens-00001', 'tokens-00009', /tokens-00009\.bin: it cannot be read/],
    ['"documents": 4', '"documents": 5', /counts do not match/],
    ['"format": 3', '"format": 2', /not of format 3/],
  ] as const) {
    writeFileSync(indexPath, index.replace(from, to));
    assert.throws(() => openCorpus(onlyCorpus()), message);
  }
  assert.throws(() => openCorpus(join(options.cacheDir, 'absent')), DataError);
});

test('a source that fails midway leaves nothing behind', async (t) => {
  const { options, folder } = setUp(t);
  const bad = join(folder, 'x.jsonl');
  writeFileSync(bad, '{"text":');
  await assert.rejects(prepareCorpus({ ...options, paths: [...options.paths, bad] }), /x\.jsonl, line 1: not JSON/);
  assert.deepEqual(readdirSync(options.cacheDir), []);
});

test('what a crash left is removed after a day', async (t) => {
  const { options, onlyCorpus } = setUp(t);
  const left = join(options.cacheDir, 'abc.building-x1');
  mkdirSync(left, { recursive: true });
  utimesSync(left, new Date(0), new Date(0));
  (await prepareCorpus(options)).close();
  onlyCorpus();
});

test('a cache folder that cannot be written is an error that names it', async (t) => {
  const { options, folder } = setUp(t);
  const cacheDir = join(folder, 'file');
  writeFileSync(cacheDir, '');
  for (const path of [cacheDir, join(cacheDir, 'below')]) {
    await assert.rejects(
      prepareCorpus({ ...options, cacheDir: path }),
      (error) => error instanceof OutputError && /cannot be written \((EEXIST|ENOTDIR)\)/.test(error.message),
    );
  }
});

test("a program's documents become the corpus of the same texts, be they texts or tokens, and it is made once", async (t) => {
  const { options, onlyCorpus } = setUp(t);
  const texts = { name: 'mine', [Symbol.iterator]: () => documents.map(wordsText).values() };
  const tokens = {
    name: 'mine',
    async *[Symbol.asyncIterator]() {
      for (const numbers of documents) yield numbers.map((number) => number + firstWord);
    },
  };
  for (const source of [texts, tokens, texts]) {
    const corpus = await prepareDocuments(source, options);
    t.after(() => corpus.close());
    assert.deepEqual([...corpus.documentStarts(0, corpus.index.documents)], [0, 10, 11, 41, 44]);
    const read = new Int32Array(44);
    corpus.read(0, read);
    assert.deepEqual([...read], expected);
    onlyCorpus();
  }
});

test("a program's documents without text, with an invalid token, or that fail are DataErrors with their place", async (t) => {
  const { options, warnings } = setUp(t);
  const refused = (list: () => Iterable<string | number[]>, message: RegExp) =>
    assert.rejects(
      prepareDocuments({ name: 'mine', [Symbol.iterator]: () => list()[Symbol.iterator]() }, options),
      (error: Error) => {
        assert.ok(error instanceof DataError, error.message);
        assert.match(error.message, message);
        return true;
      },
    );
  await refused(() => [' ', []], /samples mine: contain no text; give at least one document/);
  const { vocabSize } = options.tokenizer;
  for (const wrong of [-1, 0.5, vocabSize])
    await refused(
      () => ['0', [9, wrong]],
      new RegExp(`samples mine, document 2: has the token ${wrong}, but the tokenizer has 0 to ${vocabSize - 1}`),
    );
  await refused(function* () {
    yield wordsText([1]);
    throw new Error('the line is cut');
  }, /samples mine, document 1: the line is cut/);
  const corpus = await prepareDocuments(
    { name: 'mine', [Symbol.iterator]: () => ['', wordsText([1])].values() },
    options,
  );
  corpus.close();
  assert.deepEqual(warnings, ['1 of 2 documents has no text and is skipped: samples mine, document 1']);
});
