// Exported ONNX graphs in the programs that they are for: onnxruntime, and the pipelines of transformers.js.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { env, pipeline } from '@huggingface/transformers';
import { InferenceSession } from 'onnxruntime-node';
import type { TokenBatch } from '../src/data/index.ts';
import { openOutgoing, runnable } from '../src/interop/index.ts';
import { type Bert, modelInputs } from '../src/model/index.ts';
import { noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { commandsIn, sentences, writeTiny } from './cli.fixture.ts';
import { feedsOf } from './onnx.fixture.ts';

const fixtures = fileURLToPath(new URL('../../tests/fixtures/hugging-face', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-onnx-'));
const at = (path: string) => join(folder, path);
const commands = commandsIn(folder);
const { quick } = commands;
/** What a command printed. */
const done = async (...words: string[]) => (await commands.done(...words)).stdout;

env.allowRemoteModels = false;
env.localModelPath = `${folder}/`;

/** Sequences of random tokens with padding behind the second. */
function batchOf(T: number, vocabSize: number): TokenBatch {
  const lengths = Int32Array.of(T, Math.ceil(T / 2), T);
  const inputIds = Int32Array.from({ length: 3 * T }, (_, i) =>
    i % T < lengths[Math.floor(i / T)]! ? 5 + ((11 * i + 3) % (vocabSize - 5)) : 0,
  );
  const tokenTypeIds = Int32Array.from(inputIds, (_, i) => (i % T > T / 2 ? 1 : 0));
  return {
    numSequences: 3,
    sequenceLength: T,
    inputIds,
    tokenTypeIds,
    documents: [...lengths].map((length) => [length]),
  };
}

async function onnx(file: string, batch: TokenBatch) {
  const session = await InferenceSession.create(file);
  return session.run(feedsOf(session, batch));
}

/** What taper's own model gives. */
function own(checkpoint: string, batch: TokenBatch, read: (model: Bert, hidden: Tensor) => Tensor): Float32Array {
  return scope(() =>
    noGrad(() => {
      const model = runnable(openOutgoing(at(checkpoint), assert.fail)) as Bert;
      return read(model, model.encode(modelInputs(batch, 'cpu'))).toFloats();
    }),
  );
}

/** The largest difference where there is text; `width` numbers stand for a token. */
function furthest(a: ArrayLike<number>, b: ArrayLike<number>, width: number, batch?: TokenBatch): number {
  assert.equal(a.length, b.length);
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const token = Math.floor(i / width);
    if (batch && token % batch.sequenceLength >= batch.documents[Math.floor(token / batch.sequenceLength)]![0]!)
      continue;
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  }
  return worst;
}

const lengthsOf = ({ documents }: TokenBatch) => documents.map(([length]) => length!);

const allTokens = (count: number) =>
  Tensor.from(
    BigInt64Array.from({ length: count }, (_, i) => BigInt(i)),
    [count],
  );

after(() => rmSync(folder, { recursive: true, force: true }));

describe('ONNX', { concurrency: 2 }, () => {
  before(async () => {
    writeTiny(folder);
    const rows = sentences(200, 3).split('. ').filter(Boolean);
    writeFileSync(
      at('train.csv'),
      `text,label\n${rows.map((text) => `${text},${/cat|dog/.test(text) ? 'pet' : 'other'}\n`).join('')}`,
    );
    await done('pretrain', 'tiny.yaml', '--out', 'run');
    const small = ['--epochs', '4', '--batch-size', '16', '--learning-rate', '3e-3', '--threads', '1'];
    await done(
      'finetune',
      'run',
      '--train',
      'train.csv',
      '--dev',
      'train.csv',
      '--text',
      'text',
      ...small,
      '--out',
      'tuned',
    );
    for (const kind of ['bert', 'megatron-bert']) {
      await done('import', join(fixtures, kind), '--out', kind);
      await done('export', kind, '--to', 'onnx', '--out', `${kind}-onnx`);
    }
    // The same weights with the other activation.
    cpSync(join(fixtures, 'bert'), at('tanh-hf'), { recursive: true });
    const config = readFileSync(at('tanh-hf/config.json'), 'utf8');
    writeFileSync(at('tanh-hf/config.json'), config.replace('"gelu"', '"gelu_new"'));
    await done('import', 'tanh-hf', '--out', 'tanh');
    await done('export', 'tanh', '--to', 'onnx', '--out', 'tanh-onnx');
    await done('export', 'megatron-bert', '--to', 'onnx', '--out', 'embeddings', '--encoder-only');
    await done('export', 'tuned', '--to', 'onnx', '--out', 'classifier');
    // A window of 6 sees 3 tokens on either side; blocks 1 and 2 of 4 have one.
    const sets = ['model.kind=modernbert', 'model.layers=4', 'model.window=6', 'data.objective=mlm'];
    await done('pretrain', 'tiny.yaml', '--out', 'modern', '--set', ...sets);
    await done('export', 'modern', '--to', 'onnx', '--out', 'modern-onnx');
    await done(
      'finetune',
      'modern',
      '--train',
      'train.csv',
      '--dev',
      'train.csv',
      '--text',
      'text',
      ...small,
      '--out',
      'modern-tuned',
    );
    await done('export', 'modern-tuned', '--to', 'onnx', '--out', 'modern-classifier');
  });

  test('each export prints a program that uses it', async () => {
    symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), at('node_modules'));
    for (const [model, words, printed] of [
      ['modern', [], /token_str/],
      ['modern', ['--encoder-only'], /^\[\n {2}\[\n[\s\d.,e-]+\],\n {2}\[[^[]*\]\n\]\n$/],
      ['tuned', [], /label: '(?:pet|other)'/],
    ] as const) {
      const stdout = await done('export', model, '--to', 'onnx', '--out', 'used/my-model', ...words);
      const [, program] =
        /^used\/my-model\n\nIn Node, after npm install @huggingface\/transformers; .*:\n\n([\s\S]*)$/.exec(stdout)!;
      writeFileSync(at('use.mjs'), program!);
      assert.match(execFileSync(process.execPath, ['use.mjs'], { cwd: folder, encoding: 'utf8' }), printed);
      rmSync(at('used'), { recursive: true });
    }
  });

  test('onnxruntime gives the logits of a ModernBERT, and transformers.js opens it as pipelines', async () => {
    for (const T of [3, 9, 20]) {
      const batch = batchOf(T, 120);
      const logits = own('modern', batch, (model, hidden) => model.tokenLogits(hidden, allTokens(3 * T)));
      const found = await onnx(at('modern-onnx/onnx/model.onnx'), batch);
      const worst = furthest(logits, found.logits!.data as Float32Array, logits.length / (3 * T), batch);
      assert.ok(worst < 1e-4, `off by ${worst}`);
      const bytes = await onnx(at('modern-onnx/onnx/model_quantized.onnx'), batch);
      const off = furthest(logits, bytes.logits!.data as Float32Array, logits.length / (3 * T), batch);
      assert.ok(off > 1e-6 && off < 0.5, `in 8 bits off by ${off}`);
    }
    const text = 'The [MASK] sees the queen in the garden.';
    const fill = await pipeline('fill-mask', 'modern-onnx', { dtype: 'fp32' });
    const [best] = (await fill(text, { top_k: 1 })) as { token_str: string; score: number }[];
    const [expected] = JSON.parse(await done('fill', 'modern', text, '--json')).masks[0];
    assert.equal(best!.token_str, expected.token);
    assert.ok(Math.abs(best!.score - expected.probability) < 1e-4);
    const batch = batchOf(8, 100);
    const logits = own('modern-tuned', batch, (model, hidden) => model.classLogits!(hidden, lengthsOf(batch)));
    const found = await onnx(at('modern-classifier/onnx/model.onnx'), batch);
    assert.ok(furthest(logits, found.logits!.data as Float32Array, 2) < 1e-4);
    await pipeline('text-classification', 'modern-classifier', { dtype: 'fp32' });
  });

  for (const kind of ['bert', 'megatron-bert', 'tanh']) {
    test(`onnxruntime gives the logits of ${kind}, for any number and length of texts`, async () => {
      for (const T of [3, 9, 12]) {
        const batch = batchOf(T, 27);
        const logits = own(kind, batch, (model, hidden) => model.tokenLogits(hidden, allTokens(3 * T)));
        const found = await onnx(at(`${kind}-onnx/onnx/model.onnx`), batch);
        assert.deepEqual(found.logits!.dims, [3, T, logits.length / (3 * T)]);
        const worst = furthest(logits, found.logits!.data as Float32Array, logits.length / (3 * T), batch);
        assert.ok(worst < 1e-4, `off by ${worst}`);
      }
    });
  }

  for (const [name, output] of [
    ['bert-onnx', 'logits'],
    ['modern-onnx', 'logits'],
    ['classifier', 'logits'],
    ['modern-classifier', 'logits'],
    ['embeddings', 'sentence_embedding'],
  ] as const) {
    test(`${name} in float16, 8 and 4 bits stays close, and smaller`, async () => {
      const batch = batchOf(9, 27);
      const run = async (file: string) => {
        const found = await onnx(at(`${name}/onnx/${file}.onnx`), batch);
        const values = found[output]!.data as Float32Array;
        if (!name.endsWith('-onnx')) return [...values];
        const width = values.length / 27; // what stands in the padding is nobody's
        return [...values].filter(
          (_, i) => Math.floor(i / width) % 9 < batch.documents[Math.floor(i / width / 9)]![0]!,
        );
      };
      const expected = await run('model');
      const sizes = [statSync(at(`${name}/onnx/model.onnx`)).size];
      for (const [file, from, to] of [
        ['model_fp16', 1e-6, 5e-3],
        ['model_quantized', 1e-5, 0.1],
        ['model_q4', 1e-4, 0.5],
      ] as const) {
        const found = await run(file);
        const off = Math.hypot(...found.map((x, i) => x - expected[i]!)) / Math.hypot(...expected);
        assert.ok(off >= from && off < to, `${file} off by ${off}`);
        sizes.push(statSync(at(`${name}/onnx/${file}.onnx`)).size);
      }
      const [fp32, fp16, q8] = sizes as [number, number, number];
      assert.ok(fp16 < fp32 && q8 < fp32, `${sizes}`);
    });
  }

  test('hidden states and the mean of a text are those of the model', async () => {
    const batch = batchOf(10, 27);
    const hidden = own('megatron-bert', batch, (_, states) => states);
    const found = await onnx(at('embeddings/onnx/model.onnx'), batch);
    assert.ok(furthest(hidden, found.last_hidden_state!.data as Float32Array, 16, batch) < 1e-4);
    const means = Array.from({ length: 3 * 16 }, (_, i) => {
      const [n, d] = [Math.floor(i / 16), i % 16];
      const length = batch.documents[n]![0]!;
      return Array.from({ length }, (_, t) => hidden[(n * 10 + t) * 16 + d]!).reduce((a, b) => a + b) / length;
    });
    assert.ok(furthest(means, found.sentence_embedding!.data as Float32Array, 16) < 1e-4);
  });

  test('transformers.js fills masks as taper does', async () => {
    const text = 'the cat [MASK] on a mat.';
    const fill = await pipeline('fill-mask', 'bert-onnx', { dtype: 'fp32' });
    const found = (await fill(text, { top_k: 5 })) as { token_str: string; score: number }[];
    const expected = JSON.parse(await done('fill', 'bert', text, '--json')).masks[0] as {
      token: string;
      probability: number;
    }[];
    found.forEach(({ token_str, score }, i) => {
      assert.equal(token_str, expected[i]!.token);
      assert.ok(Math.abs(score - expected[i]!.probability) < 1e-4);
    });
  });

  test('transformers.js classifies as the fine-tuned model does, in float32 and in 8 bits', async () => {
    for (const dtype of ['fp32', 'q8'] as const) {
      const classify = await pipeline('text-classification', 'classifier', { dtype });
      for (const [text, label] of [
        ['The cat sees the queen in the garden', 'pet'],
        ['The river hears the sailor in the tower', 'other'],
      ] as const) {
        const [found] = (await classify(text)) as { label: string; score: number }[];
        assert.equal(found!.label, label);
        assert.ok(found!.score > 0.6, `${text}: ${found!.score}`);
      }
    }
    const batch = batchOf(8, 100);
    const logits = own('tuned', batch, (model, hidden) => model.classLogits!(hidden, lengthsOf(batch)));
    const found = await onnx(at('classifier/onnx/model.onnx'), batch);
    assert.ok(furthest(logits, found.logits!.data as Float32Array, 2) < 1e-4);
  });

  test('transformers.js gives the same embeddings as the graph itself', async () => {
    const extract = await pipeline('feature-extraction', 'embeddings', { dtype: 'fp32' });
    const mean = await extract(['the cat sat on a mat.', 'she run'], { pooling: 'mean' });
    assert.deepEqual(mean.dims, [2, 16]);
    const { input_ids: encoded } = await extract.tokenizer(['the cat sat on a mat.']);
    const ids = Int32Array.from(encoded.data as BigInt64Array, Number);
    const text = {
      numSequences: 1,
      sequenceLength: ids.length,
      inputIds: ids,
      tokenTypeIds: new Int32Array(ids.length),
      documents: [[ids.length]],
    };
    const found = await onnx(at('embeddings/onnx/model.onnx'), text);
    const first = (mean.data as Float32Array).subarray(0, 16);
    assert.ok(furthest(first, found.sentence_embedding!.data as Float32Array, 16) < 1e-4);
  });

  test('only what can be written is written', async () => {
    assert.deepEqual(readdirSync(at('embeddings')).sort(), [
      'README.md',
      'config.json',
      'onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const opened = await quick('predict', 'classifier', 'A text.');
    assert.match(opened.stderr, /classifier: is an export for ONNX runtimes; give the model that it was made from/);
    const twice = await quick('export', 'bert', '--to', 'onnx', '--out', 'bert-onnx');
    assert.equal(twice.code, 2);
    assert.match(twice.stderr, /bert-onnx: already exists; give a new folder/);
  });
});
