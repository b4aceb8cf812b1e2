// Decoders as ONNX graphs with a key-value cache, in onnxruntime and in the text generation of transformers.js.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { env, pipeline } from '@huggingface/transformers';
import { InferenceSession, type Tensor as OrtTensor } from 'onnxruntime-node';
import { openOutgoing, runnable } from '../src/interop/index.ts';
import { modelInputs } from '../src/model/index.ts';
import { noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { commandsIn, writeTiny } from './cli.fixture.ts';
import { emptyPast, int64 } from './onnx.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-onnx-decoders-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);

env.allowRemoteModels = false;
env.localModelPath = `${folder}/`;

const llama = ['model.kind=llama', 'model.hiddenSize=48', 'model.heads=4'];
const scaled = '{type: llama3, factor: 4, lowFrequency: 1, highFrequency: 4, originalPositions: 16}';
/** Small models, and what each adds. */
const models: Record<string, string[]> = {
  gpt2: ['model.kind=gpt2', 'model.hiddenSize=48'],
  llama: [...llama, 'model.keyValueHeads=2', 'model.tied=false', 'model.attentionBias=true'],
  qwen3: [...llama, 'model.keyValueHeads=1', 'model.headSize=20', 'model.qkNorm=true', `model.ropeScaling=${scaled}`],
};

const T = 14;
const ids = Array.from({ length: T }, (_, t) => 5 + ((t * 17 + 3) % 80));

interface Step {
  /** New tokens of each sequence. */
  ids: readonly (readonly number[])[];
  past?: { length: number; cache: Readonly<Record<string, OrtTensor>> };
  /** Tokens of padding before each sequence. */
  padding?: readonly number[];
  keep?: number;
}

/** Runs a graph on new tokens of sequences; without a past they have none. */
async function run(session: InferenceSession, { ids, past, padding = ids.map(() => 0), keep = 0 }: Step) {
  const [N, S] = [ids.length, ids[0]!.length];
  const before = past?.length ?? 0;
  const total = before + S;
  const rows = (count: number, of: (t: number, n: number) => number) =>
    int64(
      Array.from({ length: N * count }, (_, i) => of(i % count, Math.floor(i / count))),
      [N, count],
    );
  const { logits, ...presents } = await session.run({
    input_ids: rows(S, (t, n) => ids[n]![t]!),
    attention_mask: rows(total, (t, n) => (t < padding[n]! ? 0 : 1)),
    position_ids: rows(S, (t, n) => Math.max(0, before + t - padding[n]!)),
    num_logits_to_keep: int64([keep], []),
    ...(past?.cache ?? emptyPast(session, N)),
  });
  const cache = Object.entries(presents).map(([name, value]) => [name.replace('present', 'past_key_values'), value]);
  return {
    logits: logits!.data as Float32Array,
    past: { length: total, cache: Object.fromEntries(cache) as Record<string, OrtTensor> },
  };
}

/** [T, V] The logits of taper's own model. */
function own(checkpoint: string): Float32Array {
  return scope(() =>
    noGrad(() => {
      const model = runnable(openOutgoing(at(checkpoint), assert.fail));
      const inputIds = Int32Array.from(ids);
      const batch = { numSequences: 1, sequenceLength: T, inputIds, tokenTypeIds: new Int32Array(T), documents: [[T]] };
      const positions = Tensor.from(BigInt64Array.from(ids.keys(), BigInt), [T]);
      return model.tokenLogits(model.encode(modelInputs(batch, 'cpu')), positions).toFloats();
    }),
  );
}

function furthest(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);
}

after(() => rmSync(folder, { recursive: true, force: true }));

describe('decoders in ONNX', { concurrency: 2 }, () => {
  before(async () => {
    writeTiny(folder);
    const sets = ['data.objective=clm', 'model.vocabSize=300', 'model.maxPositions=64', 'train.peakLearningRate=0.01'];
    for (const [name, own] of Object.entries(models)) {
      await done('pretrain', 'tiny.yaml', '--out', name, '--set', ...sets, ...own);
      await done('export', name, '--to', 'onnx', '--out', `${name}-onnx`);
    }
  });

  for (const name of Object.keys(models)) {
    test(`onnxruntime gives the logits of a ${name}: at once, and token by token from its cache, with padding`, async () => {
      const expected = own(name);
      const V = expected.length / T;
      assert.ok(
        expected.some((x) => Math.abs(x) > 1),
        'the logits are not all nearly 0',
      );
      const session = await InferenceSession.create(at(`${name}-onnx/onnx/model.onnx`));
      const whole = (await run(session, { ids: [ids] })).logits;
      assert.ok(furthest(whole, expected) < 1e-4, `off by ${furthest(whole, expected)}`);
      // The same sequence beside a shorter one that begins with padding; then one token after the other from the cache.
      const [start, padding] = [6, [0, 2]];
      const rowOf = (from: number, end: number) => [
        ids.slice(from, end),
        Array.from({ length: end - from }, (_, t) => ids[from + t - 2] ?? 0),
      ];
      let { logits, past } = await run(session, { ids: rowOf(0, start), padding, keep: 1 });
      for (let t = start - 1; t < T; t++) {
        for (const [n, at] of [t, t - 2].entries()) {
          const off = furthest(logits.subarray(n * V, (n + 1) * V), expected.subarray(at * V, (at + 1) * V));
          assert.ok(off < 1e-4, `sequence ${n}, token ${at} off by ${off}`);
        }
        if (t + 1 < T) ({ logits, past } = await run(session, { ids: rowOf(t + 1, t + 2), past, padding }));
      }
    });

    test(`a ${name} in float16, 8 and 4 bits stays close, and smaller`, async () => {
      const expected = own(name);
      const norm = Math.hypot(...expected);
      const sizes: number[] = [];
      // How far the logits may be, relative to their norm.
      for (const [file, from, to] of [
        ['model', 0, 1e-5],
        ['model_fp16', 1e-5, 5e-3],
        ['model_quantized', 1e-4, 0.03],
        ['model_q4', 1e-3, 0.25],
      ] as const) {
        const path = at(`${name}-onnx/onnx/${file}.onnx`);
        sizes.push(statSync(path).size);
        const { logits } = await run(await InferenceSession.create(path), { ids: [ids] });
        const off = Math.hypot(...logits.map((x, i) => x - expected[i]!)) / norm;
        assert.ok(off >= from && off < to, `${file} off by ${off}`);
      }
      const [fp32, fp16, q8, q4] = sizes as [number, number, number, number];
      assert.ok(fp16 < 0.6 * fp32 && q8 < 0.4 * fp32 && q4 < q8, `${sizes}`);
    });

    test(`transformers.js continues a prompt as a ${name} does`, async () => {
      const tokens = 20;
      const words = ['The cat sees the', '--temperature', '0', '--tokens', `${tokens}`, '--json'];
      const expected = JSON.parse((await done('generate', name, ...words)).stdout).text as string;
      for (const dtype of ['fp32', 'fp16'] as const) {
        const generator = await pipeline('text-generation', `${name}-onnx`, { dtype });
        const options = { max_new_tokens: tokens, do_sample: false };
        const [found] = (await generator('The cat sees the', options)) as { generated_text: string }[];
        assert.equal(found!.generated_text, expected);
        await generator.dispose();
      }
    });
  }

  test('config.json is that of the model, and an encoder without heads cannot come of it', async () => {
    const { model_type, architectures } = JSON.parse(readFileSync(at('qwen3-onnx/config.json'), 'utf8'));
    assert.deepEqual([model_type, architectures], ['qwen3', ['Qwen3ForCausalLM']]);
    await refused(
      ['export', 'gpt2', '--to', 'onnx', '--encoder-only', '--out', 'none'],
      /is a gpt2 model, which has no separate encoder; leave out --encoder-only$/,
    );
  });
});
