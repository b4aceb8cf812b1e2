// Models of today, to Python's transformers and back: its logits of what taper exports, and taper's of what it saves. TAPER_PYTHON
// names a Python that has it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openCheckpoint } from '../src/checkpoints/index.ts';
import { loadTrained } from '../src/inference/index.ts';
import { modelInputs } from '../src/model/index.ts';
import { noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { commandsIn, writeTiny } from './cli.fixture.ts';

const python = process.env.TAPER_PYTHON ?? 'python3';
const hasTransformers = spawnSync(python, ['-c', 'import torch, transformers']).status === 0;
const skip = !hasTransformers && `${python} has no transformers and torch`;
const folder = mkdtempSync(join(tmpdir(), 'taper-families-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);

// Two sequences; the second ends in padding.
const T = 13;
const ids = Array.from({ length: 2 }, (_, n) => Array.from({ length: T }, (_, t) => 7 + ((n * 31 + t * 17) % 50)));
const lengths = [T, 9];

const opening = `
import json, sys, torch, transformers
folder, kind, ids, lengths = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
model, info = getattr(transformers, kind).from_pretrained(folder, output_loading_info=True)
odd = [name for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys') for name in info[key]]
mask = torch.tensor([[int(t < n) for t in range(len(ids[0]))] for n in lengths])
with torch.no_grad():
    logits = model.eval()(input_ids=torch.tensor(ids), attention_mask=mask).logits
print(json.dumps({'kind': type(model).__name__, 'odd': odd, 'logits': logits.reshape(-1, logits.shape[-1]).tolist()}))
`;

// Saves a random model of the configuration, in float32, with larger weights than it starts with, so that errors show.
const saving = `
import json, sys, torch, transformers
folder, kind, config = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.manual_seed(1)
model = getattr(transformers, kind).from_config(transformers.AutoConfig.for_model(**config))
with torch.no_grad():
    for p in model.parameters():
        p.add_(torch.randn_like(p) * 0.1)
model.save_pretrained(folder)
`;

function inPython<T>(program: string, ...given: string[]): T {
  const { status, stdout, stderr } = spawnSync(python, ['-c', program, ...given], { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return (stdout === '' ? undefined : JSON.parse(stdout)) as T;
}

/** The logits [2·T, V] of a checkpoint of taper, or [2, labels] of a classifier. */
function logitsOf(path: string): number[][] {
  return scope(() =>
    noGrad(() => {
      using trained = loadTrained(openCheckpoint(at(path), assert.fail), { device: 'cpu' });
      const { model, checkpoint } = trained;
      const inputIds = Int32Array.from(ids.flat());
      const tokenTypeIds = new Int32Array(2 * T);
      const documents = lengths.map((length) => [length]);
      const inputs = modelInputs({ numSequences: 2, sequenceLength: T, inputIds, tokenTypeIds, documents }, 'cpu');
      const positions = Tensor.from(
        BigInt64Array.from({ length: 2 * T }, (_, i) => BigInt(i)),
        [2 * T],
      );
      const hidden = model.encode(inputs);
      const logits = checkpoint.head ? model.classLogits!(hidden, lengths) : model.tokenLogits(hidden, positions);
      const [rows, V] = logits.shape as [number, number];
      const numbers = [...logits.toFloats()];
      return Array.from({ length: rows }, (_, row) => numbers.slice(row * V, (row + 1) * V));
    }),
  );
}

/** Compares the logits of tokens; what stands in the padding is nobody's. */
function compare(found: number[][], expected: number[][]): void {
  for (const [row, logits] of expected.entries()) {
    if (row % T >= lengths[Math.floor(row / T)]!) continue;
    assert.equal(found[row]!.length, logits.length);
    for (const [v, logit] of logits.entries()) {
      const difference = Math.abs(found[row]![v]! - logit) / Math.max(1, Math.abs(logit));
      assert.ok(difference < 1e-5, `token ${row}, logit ${v}: ${found[row]![v]} here, ${logit} there`);
    }
  }
}

interface Opened {
  kind: string;
  odd: string[];
  logits: number[][];
}
const opened = (path: string, kind: string) =>
  inPython<Opened>(opening, path, kind, JSON.stringify(ids), JSON.stringify(lengths));

const settings: Record<string, { sets: string[]; auto: string; kind: string; json: object }> = {
  modernbert: {
    sets: ['model.kind=modernbert', 'data.objective=mlm', 'model.window=6'],
    auto: 'AutoModelForMaskedLM',
    kind: 'ModernBertForMaskedLM',
    json: { model_type: 'modernbert', local_attention: 8, global_attn_every_n_layers: 2 },
  },
  llama: {
    sets: ['model.kind=llama', 'data.objective=clm', 'model.vocabSize=300', 'model.heads=4', 'model.keyValueHeads=2'],
    auto: 'AutoModelForCausalLM',
    kind: 'LlamaForCausalLM',
    json: { model_type: 'llama', num_key_value_heads: 2, attention_bias: true, tie_word_embeddings: false },
  },
  qwen3: {
    sets: [
      'model.kind=llama',
      'data.objective=clm',
      'model.vocabSize=300',
      'model.qkNorm=true',
      'model.headSize=12',
      'model.tied=false',
    ],
    auto: 'AutoModelForCausalLM',
    kind: 'Qwen3ForCausalLM',
    json: { model_type: 'qwen3', num_key_value_heads: 1, head_dim: 6, tie_word_embeddings: true },
  },
};

describe("models of today in Python's transformers", { skip, timeout: 600_000 }, () => {
  before(() => writeTiny(folder));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [name, { sets, auto, kind, json }] of Object.entries(settings)) {
    test(`opens an exported ${name}: no tensor missing or left over, the logits to 1e-5`, async () => {
      await done('pretrain', 'tiny.yaml', '--out', name, '--set', ...sets, 'train.precision=fp32');
      await done('export', name, '--to', 'hf', '--out', `${name}-out`);
      const found = opened(`${name}-out`, auto);
      assert.deepEqual([found.kind, found.odd], [kind, []]);
      compare(logitsOf(name), found.logits);
    });

    test(`saves a ${name} that is imported, and exported again, with its logits`, async () => {
      const { vocab_size } = JSON.parse(readFileSync(at(`${name}-out/config.json`), 'utf8'));
      const sizes = { num_hidden_layers: 3, hidden_size: 24, num_attention_heads: 4, intermediate_size: 20 };
      const config = { vocab_size, ...sizes, max_position_embeddings: 64, pad_token_id: 0, ...json };
      inPython(saving, `${name}-saved`, auto, JSON.stringify(config));
      for (const file of ['tokenizer.json', 'tokenizer_config.json'])
        cpSync(at(`${name}-out/${file}`), at(`${name}-saved/${file}`));
      await done('import', `${name}-saved`, '--out', `${name}-in`);
      const there = opened(`${name}-saved`, auto);
      compare(logitsOf(`${name}-in`), there.logits);
      await done('export', `${name}-in`, '--to', 'hf', '--out', `${name}-again`);
      const again = opened(`${name}-again`, auto);
      assert.deepEqual(again.odd, []);
      compare(again.logits, there.logits);
    });
  }

  for (const pooling of ['mean', 'cls']) {
    test(`gives the same logits for a ModernBERT that classifies with classifier_pooling ${pooling}`, async () => {
      const auto = 'AutoModelForSequenceClassification';
      const { vocab_size } = JSON.parse(readFileSync(at('modernbert-out/config.json'), 'utf8'));
      const sizes = { num_hidden_layers: 3, hidden_size: 24, num_attention_heads: 4, intermediate_size: 20 };
      const { json } = settings.modernbert!;
      const config = { vocab_size, ...sizes, ...json, pad_token_id: 0, num_labels: 3, classifier_pooling: pooling };
      inPython(saving, pooling, auto, JSON.stringify({ ...config, max_position_embeddings: 64 }));
      for (const file of ['tokenizer.json', 'tokenizer_config.json'])
        cpSync(at(`modernbert-out/${file}`), at(`${pooling}/${file}`));
      await done('import', pooling, '--out', `${pooling}-in`);
      const there = opened(pooling, auto);
      assert.equal(there.kind, 'ModernBertForSequenceClassification');
      compare(logitsOf(`${pooling}-in`), there.logits);
      await done('export', `${pooling}-in`, '--to', 'hf', '--out', `${pooling}-again`);
      const again = opened(`${pooling}-again`, auto);
      assert.deepEqual(again.odd, []);
      compare(again.logits, there.logits);
    });
  }

  test('opens a ModernBERT with some blocks removed', async () => {
    await done(
      'pretrain',
      'tiny.yaml',
      '--out',
      'deep',
      '--set',
      ...settings.modernbert!.sets,
      'model.layers=5',
      'train.precision=fp32',
    );
    await done('export', 'deep', '--to', 'hf', '--blocks', '3', '--out', 'pruned', '--data', 'valid.txt');
    const { kind, odd } = opened('pruned', 'AutoModelForMaskedLM');
    assert.deepEqual([kind, odd], ['ModernBertForMaskedLM', []]);
    await done('import', 'pruned', '--out', 'pruned-in');
    compare(logitsOf('pruned-in'), opened('pruned', 'AutoModelForMaskedLM').logits);
  });

  test('a folder that says llama and holds a BERT is refused in one line', async () => {
    await done('pretrain', 'tiny.yaml', '--out', 'bert');
    await done('export', 'bert', '--to', 'hf', '--out', 'bert-out');
    cpSync(at('llama-out/config.json'), at('bert-out/config.json'));
    await refused(
      ['import', 'bert-out', '--out', 'no'],
      /bert-out: its tokenizer is for bert, but its model is llama; copy all files from one model/,
    );
  });
});
