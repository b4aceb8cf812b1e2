// cspell:ignore ärger über
// Exported GGUF files: read by Hugging Face's reader, and run by llama.cpp, which they are for.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GGMLQuantizationType, gguf } from '@huggingface/gguf';
import { untrainedProgress, writeCheckpoint } from '../src/checkpoints/index.ts';
import { loadConfig } from '../src/config/index.ts';
import { promptIds } from '../src/inference/generate.ts';
import { openTrained } from '../src/inference/index.ts';
import { type ModelSettings, modelInputs, parameterSpecs } from '../src/model/index.ts';
import { noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { commandsIn, writeTiny } from './cli.fixture.ts';
import { noLlamaCpp, openLlama } from './llama-cpp.fixture.ts';

const fixtures = fileURLToPath(new URL('../../tests/fixtures/hugging-face', import.meta.url));
const published = JSON.parse(readFileSync(join(fixtures, 'published.json'), 'utf8')) as {
  lines: string[];
  cases: { name: string; files: { 'tokenizer.json': Record<string, unknown> } }[];
};
const folder = mkdtempSync(join(tmpdir(), 'taper-gguf-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);

/** A published tokenizer, with other parts. */
const tokenizerOf = (name: string, changes: Record<string, unknown> = {}) => {
  const json = published.cases.find((each) => each.name === name)!.files['tokenizer.json'];
  return { ...json, ...changes, model: { ...(json.model as object), ...(changes.model as object) } };
};

interface Case {
  model: Partial<ModelSettings>;
  tokenizer: object;
}

/** 277 tokens, of 288 that the vocabularies have. */
const sizes = {
  kind: 'llama' as const,
  layers: 2,
  hiddenSize: 64,
  heads: 4,
  keyValueHeads: 2,
  ffnSize: 96,
  vocabSize: 288,
  maxPositions: 64,
};
const llama3 = { type: 'llama3' as const, factor: 8, lowFrequency: 1, highFrequency: 4, originalPositions: 32 };

const cases: Record<string, Case> = {
  'shared heads, tied, single digits': { model: { tied: true }, tokenizer: tokenizerOf('SmolLM2') },
  'untied, a head size of its own, biases': {
    model: { tied: false, headSize: 12, keyValueHeads: 4, attentionBias: true, ropeTheta: 500 },
    tokenizer: tokenizerOf('Llama 3', { model: { ignore_merges: false } }),
  },
  'positions scaled as llama3': { model: { tied: true, ropeScaling: llama3 }, tokenizer: tokenizerOf('Llama 3') },
  'positions scaled linearly': {
    model: { tied: true, ropeScaling: { type: 'linear', factor: 4 } },
    tokenizer: tokenizerOf('SmolLM2'),
  },
  'qwen3, tied': { model: { tied: true, qkNorm: true }, tokenizer: tokenizerOf('Qwen3') },
  'qwen3, untied, a head size of its own': {
    model: { tied: false, qkNorm: true, headSize: 12, ropeScaling: { type: 'linear', factor: 2 } },
    tokenizer: tokenizerOf('Qwen3'),
  },
};

/** A checkpoint of a model with random numbers so large that errors show. */
function writeRandom(name: string, { model, tokenizer }: Case): void {
  const { config } = loadConfig({
    overrides: {
      model: { ...sizes, ...model },
      data: { sequenceLength: 64, objective: 'clm' },
      train: { steps: 1, precision: 'fp32' },
    },
  });
  scope(() => {
    const weights = parameterSpecs(config.model).map(({ name, shape }, seed) => {
      const mean = name.includes('norm') ? 1 : 0;
      return [name, Tensor.normal(shape, { mean, std: 0.2, seed })] as const;
    });
    writeCheckpoint(at(name), {
      config,
      progress: untrainedProgress,
      weights: new Map(weights),
      tokenizerJson: JSON.stringify(tokenizer),
    });
  });
}

/** The logits [T, V] of taper's own model, and its tokenizer. */
function own(name: string, ids: readonly number[]): number[][] {
  return scope(() =>
    noGrad(() => {
      using trained = openTrained(at(name), { warn: assert.fail, device: 'cpu' });
      const { model } = trained;
      const T = ids.length;
      const batch = { numSequences: 1, sequenceLength: T, documents: [[T]], tokenTypeIds: new Int32Array(T) };
      const hidden = model.encode(modelInputs({ ...batch, inputIds: Int32Array.from(ids) }, 'cpu'));
      const everywhere = BigInt64Array.from(ids, (_, t) => BigInt(t));
      const logits = model.tokenLogits(hidden, Tensor.from(everywhere, [T])).toFloats();
      const V = logits.length / T;
      return Array.from(ids, (_, t) => [...logits.subarray(t * V, (t + 1) * V)]);
    }),
  );
}

function furthest(a: readonly number[][], b: readonly number[][]): number {
  assert.deepEqual([a.length, a[0]!.length], [b.length, b[0]!.length]);
  return Math.max(...a.flatMap((row, t) => row.map((value, v) => Math.abs(value - b[t]![v]!))));
}

/** The numbers of a tensor of a GGUF file, and the scale of each. */
async function dequantised(file: string, name: string) {
  const { tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true });
  const { offset, dtype, shape } = tensorInfos.find((info) => info.name === name)!;
  const count = Number(shape.reduce((a, b) => a * b, 1n));
  const bytes = readFileSync(file).subarray(Number(tensorDataOffset + offset));
  const half = (place: number) =>
    scope(() => Tensor.from(Uint16Array.of(bytes.readUInt16LE(place)), [1], { dtype: 'float16' }).item());
  const of = (number: (i: number) => number) => Array.from({ length: count }, (_, i) => number(i));
  switch (dtype) {
    case GGMLQuantizationType.F32:
      return { dtype, values: of((i) => bytes.readFloatLE(4 * i)) };
    case GGMLQuantizationType.F16:
      return { dtype, values: of((i) => half(2 * i)) };
    default: {
      const scales = of((i) => (i % 32 === 0 ? half(34 * (i / 32)) : 0)).map((_, i, all) => all[i - (i % 32)]!);
      const values = of((i) => bytes.readInt8(34 * Math.floor(i / 32) + 2 + (i % 32)) * scales[i]!);
      return { dtype, values, scales };
    }
  }
}

/** A weight of a checkpoint. */
function weightOf(name: string, tensor: string): { shape: number[]; values: Float32Array } {
  using trained = openTrained(at(name), { warn: assert.fail, device: 'cpu' });
  const weight = trained.model.weights.get(tensor)!;
  return { shape: weight.shape, values: weight.toFloats() };
}

after(() => rmSync(folder, { recursive: true, force: true }));

describe('GGUF', () => {
  before(async () => {
    for (const [name, each] of Object.entries(cases)) {
      writeRandom(name, each);
      const { stderr } = await done('export', name, '--to', 'gguf', '--out', `${name}-gguf`);
      assert.equal(/composes characters \(NFC\); llama\.cpp does not/.test(stderr), name.startsWith('qwen3'), stderr);
    }
    writeTiny(folder);
    // Words with digits and line feeds, so that it shows how texts are split.
    appendFileSync(at('train.txt'), "In 1234 there were 123 cats,\n\nand 12 dogs'S  too.\n".repeat(100));
    const sets = ['model.kind=llama', 'model.vocabSize=300', 'data.objective=clm', 'train.steps=40'];
    await done(
      'pretrain',
      'tiny.yaml',
      '--out',
      'run',
      '--set',
      ...sets,
      'train.peakLearningRate=1e-2',
      'train.precision=fp32',
    );
    await done('export', 'run', '--to', 'gguf', '--out', 'run-gguf');
  });

  for (const name of [...Object.keys(cases), 'run']) {
    test(`llama.cpp continues as taper does: ${name}`, { skip: noLlamaCpp }, async () => {
      await using llama = await openLlama(at(`${name}-gguf/model-f32.gguf`));
      using trained = openTrained(at(name), { warn: assert.fail, device: 'cpu' });
      const { tokenizer } = trained;
      const prompt = 'The cat sees';
      const ids = llama.tokens(prompt);
      assert.deepEqual(ids, await promptIds(tokenizer, prompt));
      assert.ok(llama.isEnd(tokenizer.sepId));

      const all = [...ids];
      while (all.length < ids.length + 16) {
        const [logits] = await llama.logits(all, all.length - 1);
        // taper passes over numbers that stand for no token.
        const known = logits!.slice(0, tokenizer.vocabSize);
        const next = known.indexOf(Math.max(...known));
        if (next === tokenizer.sepId) break;
        all.push(next);
      }
      const { stdout } = await done('generate', name, prompt, '--temperature', '0', '--tokens', '16', '--json');
      const continued = tokenizer.decode(all).slice(tokenizer.decode(ids).length);
      assert.equal(JSON.parse(stdout).text, prompt + continued);
      assert.notEqual(continued, '');

      const logits = own(name, all);
      const spread = Math.max(...logits.flat()) - Math.min(...logits.flat());
      assert.ok(spread > 1);
      const off = furthest(await llama.logits(all), logits);
      assert.ok(off < 1e-5 * spread, `off by ${off} of ${spread}`);
      for (const [precision, most] of [
        ['f16', 0.01],
        ['q8_0', 0.1],
      ] as const) {
        await using smaller = await openLlama(at(`${name}-gguf/model-${precision}.gguf`));
        const off = furthest(await smaller.logits(all), logits);
        assert.ok(off > 1e-5 * spread && off < most * spread, `${precision}: off by ${off} of ${spread}`);
      }
    });

    test(`llama.cpp makes the same tokens of texts: ${name}`, { skip: noLlamaCpp }, async () => {
      await using llama = await openLlama(at(`${name}-gguf/model-q8_0.gguf`));
      using trained = openTrained(at(name), { warn: assert.fail, device: 'cpu' });
      for (const line of [...published.lines, 'Ärger über 3½ €\r\n\tx²', '   ', '<|im_start|>a<tool_call>b']) {
        const text = line.normalize('NFC'); // llama.cpp does not compose characters
        if (text === '') continue; // generate begins with the end of a text there
        assert.deepEqual(llama.tokens(text), await promptIds(trained.tokenizer, text), JSON.stringify(text));
      }
    });
  }

  test("Hugging Face's reader finds the fields and tensors", async () => {
    const file = at('untied, a head size of its own, biases-gguf/model-q8_0.gguf');
    const { metadata, tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true });
    const expected = {
      version: 3,
      'general.architecture': 'llama',
      'general.name': 'untied, a head size of its own, biases',
      'general.file_type': 7,
      'general.quantization_version': 2,
      'llama.context_length': 64,
      'llama.embedding_length': 64,
      'llama.block_count': 2,
      'llama.feed_forward_length': 96,
      'llama.attention.head_count': 4,
      'llama.attention.head_count_kv': 4,
      'llama.attention.key_length': 12,
      'llama.attention.value_length': 12,
      'llama.attention.layer_norm_rms_epsilon': Math.fround(1e-5),
      'llama.rope.dimension_count': 12,
      'llama.rope.freq_base': 500,
      'llama.vocab_size': 288,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'dbrx',
      'tokenizer.ggml.bos_token_id': 273,
      'tokenizer.ggml.eos_token_id': 274,
      'tokenizer.ggml.padding_token_id': 274,
      'tokenizer.ggml.add_bos_token': true,
    };
    const fields = metadata as unknown as Record<string, unknown>;
    for (const [key, value] of Object.entries(expected)) assert.equal(fields[key], value, key);
    const tokens = fields['tokenizer.ggml.tokens'] as string[];
    const types = fields['tokenizer.ggml.token_type'] as number[];
    assert.deepEqual([tokens.length, types.length], [288, 288]);
    assert.deepEqual([tokens[273], tokens[287]], ['<|begin_of_text|>', '[PAD287]']);
    assert.deepEqual([types[272], types[273], types[287]], [1, 3, 5]);

    const [D, F, Hd, V] = [64, 96, 48, 288];
    const { F32, F16, Q8_0 } = GGMLQuantizationType;
    const block = (l: number) => ({
      [`blk.${l}.attn_norm.weight`]: [F32, D],
      ...Object.fromEntries(
        ['q', 'k', 'v'].flatMap((part) => [
          [`blk.${l}.attn_${part}.weight`, [Q8_0, D, Hd]],
          [`blk.${l}.attn_${part}.bias`, [F32, Hd]],
        ]),
      ),
      [`blk.${l}.attn_output.weight`]: [F16, Hd, D], // 48 is not a multiple of 32
      [`blk.${l}.attn_output.bias`]: [F32, D],
      [`blk.${l}.ffn_norm.weight`]: [F32, D],
      [`blk.${l}.ffn_gate.weight`]: [Q8_0, D, F],
      [`blk.${l}.ffn_up.weight`]: [Q8_0, D, F],
      [`blk.${l}.ffn_down.weight`]: [Q8_0, F, D],
    });
    assert.deepEqual(
      Object.fromEntries(tensorInfos.map(({ name, dtype, shape }) => [name, [dtype, ...shape.map(Number)]])),
      {
        'token_embd.weight': [Q8_0, D, V],
        ...block(0),
        ...block(1),
        'output_norm.weight': [F32, D],
        'output.weight': [Q8_0, D, V],
      },
    );
    const { offset } = tensorInfos.at(-1)!;
    assert.equal(BigInt(statSync(file).size), tensorDataOffset + offset + BigInt((D * V * 34) / 32));
  });

  test('numbers are the weights, to the precision of the file', async () => {
    const name = 'shared heads, tied, single digits';
    const fileOf = (precision: string) => at(`${name}-gguf/model-${precision}.gguf`);
    const { shape, values } = weightOf(name, 'model.layers.1.self_attn.k_proj.weight');
    assert.deepEqual(shape, [32, 64]);
    // Pairs of rows that are turned together: 0 and 8 of a head of 16, here, and neighbours there.
    const expected = Array.from({ length: 32 * 64 }, (_, i) => {
      const [row, column] = [Math.floor(i / 64), i % 64];
      const [head, pair, half] = [Math.floor(row / 16), Math.floor((row % 16) / 2), row % 2];
      return values[(16 * head + 8 * half + pair) * 64 + column]!;
    });
    const exact = await dequantised(fileOf('f32'), 'blk.1.attn_k.weight');
    assert.deepEqual(exact.values, expected);
    const halves = await dequantised(fileOf('f16'), 'blk.1.attn_k.weight');
    for (const [i, value] of halves.values.entries()) {
      assert.ok(Math.abs(value - expected[i]!) <= Math.max(2 ** -11 * Math.abs(expected[i]!), 2 ** -25), `${value}`);
    }
    assert.notDeepEqual(halves.values, expected);
    const bytes = await dequantised(fileOf('q8_0'), 'blk.1.attn_k.weight');
    for (const [i, value] of bytes.values.entries()) {
      const scale = bytes.scales![i]!;
      const start = i - (i % 32);
      const most = Math.max(...expected.slice(start, start + 32).map(Math.abs));
      assert.ok(Math.abs(scale - most / 127) <= (2 ** -11 * most) / 127);
      // Half a step, and what the rounded scale adds over 127 steps.
      assert.ok(Math.abs(value - expected[i]!) <= scale / 2 + 2 ** -11 * most);
    }
    // Qwen3's rows stay where they are.
    const qwen = weightOf('qwen3, tied', 'model.layers.0.self_attn.q_proj.weight');
    const written = await dequantised(at('qwen3, tied-gguf/model-f32.gguf'), 'blk.0.attn_q.weight');
    assert.deepEqual(written.values, [...qwen.values]);
  });

  test('what llama.cpp does not have is refused in one line, before anything is written', async () => {
    for (const kind of ['bert', 'gpt2']) {
      await done('import', join(fixtures, kind), '--out', kind);
      const reason = new RegExp(
        `^taper: ${kind}: is a ${kind} model; only llama can be exported to GGUF; use --to hf or --to onnx$`,
      );
      await refused(['export', kind, '--to', 'gguf', '--out', 'no'], reason);
    }
    writeRandom('gelu', { model: { activation: 'gelu' }, tokenizer: tokenizerOf('SmolLM2') });
    await refused(
      ['export', 'gelu', '--to', 'gguf', '--out', 'no'],
      /has the activation gelu, which llama\.cpp's llama does not support; export it with --to hf$/,
    );
    writeRandom('pieces', { model: { vocabSize: 294 }, tokenizer: tokenizerOf('TinyLlama') });
    await refused(
      ['export', 'pieces', '--to', 'gguf', '--out', 'no'],
      /pieces: its tokenizer is not plain byte-level BPE, which .* --to hf$/,
    );
    await refused(
      ['export', 'run', '--to', 'gguf', '--out', 'no', '--encoder-only'],
      /run\/checkpoints\/step-40: is a llama model, which has no separate encoder; leave out --encoder-only$/,
    );
    assert.ok(!existsSync(at('no')));
    await refused(
      ['export', 'run', '--to', 'gguf', '--out', 'run-gguf'],
      /run-gguf: already exists; give a new folder/,
    );
  });

  test('--json tells the bytes of each file, and the model card the library', async () => {
    const { stdout } = await done('export', 'run', '--to', 'gguf', '--out', 'counted', '--json');
    const { bytes } = JSON.parse(stdout) as { bytes: Record<string, number> };
    assert.deepEqual(Object.keys(bytes), ['model-f32.gguf', 'model-f16.gguf', 'model-q8_0.gguf']);
    for (const [file, size] of Object.entries(bytes)) assert.equal(statSync(at(`counted/${file}`)).size, size);
    const card = readFileSync(at('counted/README.md'), 'utf8');
    assert.match(card, /library_name: gguf\npipeline_tag: text-generation\n/);
  });
});
