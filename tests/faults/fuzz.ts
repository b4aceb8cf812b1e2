// node fuzz.js KIND SEED COUNT: reads COUNT broken files of one kind. What each reader may do with one is to read it or to
// refuse it with an error of its own kind; everything else ends this process with the number of the case. Says each number
// before it, so that the parent process knows it even if nothing else is printed.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { Tokenizer } from 'tokenizers';
import { loadOptimizer, loadWeights, openCheckpoint, writeCheckpoint } from '../../src/checkpoints/index.ts';
import { fromDeepSpeed, loadConfig, readConfigFile } from '../../src/config/index.ts';
import { wordTokenizer } from '../../src/data/fixtures.ts';
import {
  listSources,
  openCorpus,
  prepareCorpus,
  readTexts,
  trainByteLevel,
  trainWordPiece,
} from '../../src/data/index.ts';
import { scriptTexts } from '../../src/data/scripts.fixture.ts';
import { addedToken } from '../../src/data/tokenizer-json.ts';
import { UserError } from '../../src/errors/index.ts';
import { importHuggingFace } from '../../src/interop/index.ts';
import { readTokenizer } from '../../src/interop/read-tokenizer.ts';
import type { ModelConfig } from '../../src/model/index.ts';
import { openGlueTask, openOwnTask } from '../../src/tasks/index.ts';
import { readSafetensors, scope, Tensor, writeSafetensors } from '../../src/tensor/index.ts';
import { tinyConfig, tinyState } from '../../src/train/tiny.fixture.ts';
import { sentences } from '../cli.fixture.ts';
import { drawing } from '../drawing.fixture.ts';

/** A file that is well-formed, and how it is read. */
interface Kind {
  files: string[];
  read(): Promise<unknown> | unknown;
}

const slowSeconds = 10;
const ignore = () => {};
const fixtures = fileURLToPath(new URL('../../../tests/fixtures/hugging-face/', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));

const texts =
  (name: string, bytes: string | Uint8Array) =>
  async (folder: string): Promise<Kind> => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    const read = async () => {
      for await (const _ of readTexts(await listSources([path]), { textField: 'text' }));
    };
    return { files: [path], read };
  };

const jsonLines = Array.from({ length: 20 }, (_, i) => JSON.stringify({ text: sentences(3, i), id: i })).join('\n');
const parquet = () =>
  new Uint8Array(
    parquetWriteBuffer({ columnData: [{ name: 'text', data: Array.from({ length: 50 }, (_, i) => sentences(2, i)) }] }),
  );

const binaryParquet = () => {
  const data = Array.from({ length: 200 }, (_, i) => new Uint8Array(Buffer.from(sentences(1, i % 20))));
  return new Uint8Array(
    parquetWriteBuffer({ columnData: [{ name: 'text', data, type: 'BYTE_ARRAY' }], pageSize: 1000, rowGroupSize: 90 }),
  );
};
const markdown = `---\ntitle: x\n---\n# ${sentences(1, 1)}\n\n> - ${sentences(1, 2)}\n>   1. *${sentences(1, 3)}* [a](b "c")\n\n| a | b |\n|---|---|\n| c | \`d\` |\n
\`\`\`\n${sentences(2, 4)}\n\`\`\`\n<div align="left">\n<b>${sentences(1, 5)}</b> &amp; <!-- c -->\n</div>\n\n[d][e] ![f](g) <h@i.j>\n\n[e]: k 'l'\n`;

const kinds: Record<string, (folder: string) => Promise<Kind> | Kind> = {
  config(folder) {
    const path = join(folder, 'c.yaml');
    writeFileSync(path, readFileSync(join(root, 'configs/bert-mini.yaml')));
    return { files: [path], read: () => loadConfig({ file: path }) };
  },
  deepspeed(folder) {
    const path = join(folder, 'ds.json');
    const json = {
      train_batch_size: 32,
      optimizer: { type: 'Adam', params: { lr: 1e-3, adam_w_mode: true } },
      scheduler: { type: 'WarmupDecayLR', params: { warmup_num_steps: 7, total_num_steps: 50, warmup_type: 'log' } },
      gradient_clipping: 1,
      bf16: { enabled: true },
    };
    writeFileSync(
      path,
      JSON.stringify({ ...json, progressive_layer_drop: { enabled: true, theta: 0.5, gamma: 0.001 } }),
    );
    return { files: [path], read: () => fromDeepSpeed(readConfigFile(path)) };
  },
  jsonl: texts('t.jsonl', jsonLines),
  gzip: texts('t.jsonl.gz', gzipSync(jsonLines)),
  text: texts('t.txt', sentences(50, 1)),
  parquet: texts('t.parquet', parquet()),
  tokens(folder) {
    const path = join(folder, 't.txt');
    const scripts = Object.values(scriptTexts(100)).join('');
    writeFileSync(path, `${scripts}\n${'acgt'.repeat(300)}\n${'ก'.repeat(500)}${'x'.repeat(101)}漢${'😀'.repeat(101)}`);
    const read = async () => {
      await trainAndEncode(readFileSync(path, 'utf8')); // what is no UTF-8 becomes U+FFFD
      for await (const _ of readTexts(await listSources([path]), { textField: 'text' }));
    };
    return { files: [path], read };
  },
  binaryParquet: texts('t.parquet', binaryParquet()),
  nulls: texts('t.jsonl', jsonLines.replaceAll(/"text":"[^"]*","id":\d*[13579]\b/g, '"text":null,"id":1')),
  markdown: texts('t.md', markdown),
  safetensors(folder) {
    const path = join(folder, 'm.safetensors');
    scope(() =>
      writeSafetensors(
        path,
        new Map([
          ['a', Tensor.zeros([8, 4])],
          ['b', Tensor.zeros([3], { dtype: 'int64' })],
        ]),
      ),
    );
    return { files: [path], read: () => scope(() => void readSafetensors(path)) };
  },
  checkpoint(folder) {
    const config = tinyConfig();
    const state = tinyState(config);
    const path = join(folder, 'checkpoint');
    const progress = { step: 1, samples: 4, tokens: 9, nonFiniteSteps: 0, textHash: 'x' };
    const tokenizerJson = wordTokenizer(40).json;
    writeCheckpoint(path, { config, progress, weights: state.masters, optimizer: state.optimizer, tokenizerJson });
    const files = ['trainer.json', 'config.json', 'model.safetensors', 'optimizer.safetensors', 'tokenizer.json'];
    const read = () =>
      scope(() => {
        const checkpoint = openCheckpoint(path, ignore);
        loadWeights(checkpoint, checkpoint.config.model, 'cpu');
        loadOptimizer(checkpoint, 'cpu');
      });
    return { files: files.map((name) => join(path, name)), read };
  },
  async corpus(folder) {
    const source = join(folder, 'source.txt');
    writeFileSync(source, sentences(200, 1));
    const options = {
      paths: [source],
      tokenizer: wordTokenizer(40),
      cacheDir: join(folder, 'cache'),
      textField: 'text',
    };
    const corpus = await prepareCorpus(options);
    corpus.close();
    const place = join(folder, 'cache', readdirSync(join(folder, 'cache'))[0]!);
    const { index } = corpus;
    const stored = [index.lengths, index.checksums, index.blockStarts, index.shards[0]!];
    const files = ['index.json', ...stored.map(({ name }) => name)].map((name) => join(place, name));
    return { files, read: () => openCorpus(place).close() };
  },
  async glue(folder) {
    const rows = (count: number, seed: number) =>
      `sentence\tlabel\n${Array.from({ length: count }, (_, i) => `${sentences(1, seed + i)}\t${i % 2}`).join('\n')}\n`;
    const files = ['train.tsv', 'dev.tsv'].map((name) => join(folder, name));
    for (const [i, path] of files.entries()) writeFileSync(path, rows(20, i));
    return { files, read: () => openGlueTask('sst2', folder, ignore) };
  },
  /** Own sets: a CSV of mixed line endings and quoted lines, JSON lines with blank ones, a TSV. */
  tables(folder) {
    const [train, dev, test] = ['train.csv', 'dev.jsonl', 'test.tsv'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const rows = Array.from({ length: 30 }, (_, i) => ({
      text: sentences(1, i),
      more: `${sentences(1, i + 99)}"quoted"`,
      label: i % 12,
    }));
    const endings = ['\r\n', '\n', '\r', '\r\r\n', '\n\n'];
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    const csv = rows.map(({ text, more, label }, i) =>
      [quoted(text + endings[i % 3]), quoted(more), `${label}${i % 4 ? '' : '.0 '}${endings[i % 5]}`].join(),
    );
    writeFileSync(train, `\ufefftext,more,label\r\n${csv.join('')}`);
    writeFileSync(dev, rows.map((row, i) => `${JSON.stringify(row)}\r\n${i % 3 ? '' : '\n'}`).join(''));
    writeFileSync(test, `text\tmore\tlabel\n${rows.map(({ text, more }) => `${text}\t${more}\t?\r\n`).join('')}`);
    const columns = { texts: ['text', 'more'], label: 'label', isRegression: false };
    const read = async () => {
      await openOwnTask({ train, dev, test }, columns, ignore);
      await openOwnTask({ train: dev, test: train }, { ...columns, isRegression: true }, ignore);
      await openOwnTask({ train }, columns, ignore);
    };
    return { files: [train, dev, test], read };
  },
  async glueParquet(folder) {
    const columnData = [
      { name: 'sentence', data: Array.from({ length: 20 }, (_, i) => sentences(1, i)) },
      { name: 'label', data: Array.from({ length: 20 }, (_, i) => i % 2) },
      { name: 'idx', data: Array.from({ length: 20 }, (_, i) => i) },
    ];
    const files = ['train', 'validation'].map((name) => join(folder, `${name}-00000-of-00001.parquet`));
    for (const path of files) writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData })));
    return { files, read: () => openGlueTask('sst2', folder, ignore) };
  },
  huggingFace(folder) {
    const names = readdirSync(join(fixtures, 'bert'));
    const files = names.map((name) => join(folder, name));
    for (const name of names) writeFileSync(join(folder, name), readFileSync(join(fixtures, 'bert', name)));
    let number = 0;
    return { files, read: () => importHuggingFace(folder, join(folder, `out-${number++}`), ignore) };
  },
  tokenizerFiles(folder) {
    const tokenizer = wordTokenizer(20);
    const token = (content: string, more = {}) => ({ ...addedToken(content, 0), id: undefined, ...more });
    const contents = {
      'config.json': { model_type: 'bert' },
      'tokenizer.json': JSON.parse(tokenizer.json),
      'tokenizer_config.json': { do_lower_case: true, strip_accents: false, tokenizer_class: 'BertTokenizer' },
      'special_tokens_map.json': { mask_token: token('[MASK]', { lstrip: true }), additional_special_tokens: ['<a>'] },
      'added_tokens.json': { '<b>': tokenizer.vocabSize },
    };
    const files = Object.keys(contents).map((name) => join(folder, name));
    for (const [name, content] of Object.entries(contents)) writeFileSync(join(folder, name), JSON.stringify(content));
    const model = { kind: 'bert', vocabSize: tokenizer.vocabSize + 2 } as ModelConfig;
    return { files, read: () => readTokenizer(folder, model, ignore) };
  },
};

/** Trains tokenizers on a text: they have to encode it whole, as the library does with their `tokenizer.json`. */
async function trainAndEncode(text: string): Promise<void> {
  async function* documents() {
    yield text;
  }
  const options = { vocabSize: 2000, maxBytes: 1e6 };
  const tokenizers = [
    await trainWordPiece(documents(), { ...options, lowercase: true }),
    await trainByteLevel(documents(), options),
  ];
  for (const tokenizer of tokenizers) {
    const { ids, unknownCharacters } = await tokenizer.encodeCounted([text]);
    assert.equal(unknownCharacters, 0);
    const library = Tokenizer.fromString(tokenizer.json);
    const theirs = await library.encode(text, null, { addSpecialTokens: false });
    assert.deepEqual([...ids[0]!], theirs.getIds());
  }
}

const extremes = ['-1', '0', '1e308', 'NaN', '99999999999999999999', 'null', '""', '[]', '{}', 'true'];

/** Some bytes with one to four things done to them. */
function broken(original: Uint8Array, draw: (below: number) => number): Uint8Array {
  let bytes: Buffer = Buffer.from(original);
  for (let i = draw(4); i >= 0; i--) {
    const at = draw(bytes.length + 1);
    const length = 1 + draw(Math.min(64, bytes.length + 1));
    const [head, piece, tail] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
    const changes: (() => Buffer)[] = [
      () => Buffer.concat([head, piece.map((byte) => byte ^ (1 << draw(8))), tail]),
      () => Buffer.concat([head, piece.map(() => (draw(2) === 0 ? 0 : 255)), tail]),
      () => Buffer.concat([head, tail]),
      () => Buffer.concat([head, piece, piece, tail]),
      () => Buffer.concat([head, Buffer.from(Array.from({ length }, () => draw(256))), piece, tail]),
      () => head,
      () => {
        // A number, or another value, becomes an extreme one.
        const text = bytes.toString('latin1');
        const numbers = [...text.matchAll(/-?\d+(\.\d+)?/g)];
        if (numbers.length === 0) return bytes;
        const { index, 0: found } = numbers[draw(numbers.length)]!;
        const value = extremes[draw(extremes.length)]!;
        return Buffer.from(text.slice(0, index) + value + text.slice(index + found.length), 'latin1');
      },
    ];
    bytes = changes[draw(changes.length)]!();
  }
  return bytes;
}

const [name = '', seed = '1', count = '1', first = '0'] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'taper-fuzz-'));
let refused = 0;
try {
  const { files, read } = await kinds[name]!(folder);
  await read(); // unchanged, it is whole
  const originals = files.map((path) => readFileSync(path));
  for (let i = Number(first); i < Number(first) + Number(count); i++) {
    writeSync(2, `${i}\n`);
    const draw = drawing((Number(seed) * 1_000_003 + i) ^ 0x9e3779b9);
    for (let warm = 0; warm < 8; warm++) draw(2);
    const which = draw(files.length);
    writeFileSync(files[which]!, broken(originals[which]!, draw));
    const started = performance.now();
    try {
      await read();
    } catch (error) {
      if (!(error instanceof UserError) || error.message.includes('\n')) throw error;
      refused += 1;
    }
    if (performance.now() - started > 1000 * slowSeconds) throw new Error(`took longer than ${slowSeconds} s`);
    writeFileSync(files[which]!, originals[which]!);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(JSON.stringify({ refused, peakBytes: process.resourceUsage().maxRSS * 1024 }));
