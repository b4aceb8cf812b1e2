// Hugging Face's folders read, against models that PyTorch wrote and ran (tests/fixtures/hugging_face.py).
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openTrained } from '../src/inference/index.ts';
import { Bert, modelInputs } from '../src/model/index.ts';
import { noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { commandsIn, writeTiny } from './cli.fixture.ts';

interface Expected {
  ids: number[][];
  lengths: number[];
  types?: number[][];
  /** [N·T][24] */
  logits: number[][];
  sums: number[];
  nsp?: number[];
}

const fixtures = fileURLToPath(new URL('../../tests/fixtures/hugging-face', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-import-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);

/** A copy of a fixture, changed. */
function changed(kind: string, name: string, change: (at: (file: string) => string) => void): string {
  cpSync(join(fixtures, kind), at(name), { recursive: true });
  change((file) => at(`${name}/${file}`));
  return name;
}

function edit(file: string, change: (json: Record<string, unknown>) => void): void {
  const json = JSON.parse(readFileSync(file, 'utf8'));
  change(json);
  writeFileSync(file, JSON.stringify(json));
}

/** The header of a safetensors file, changed; its tensors stay. */
function editHeader(file: string, change: (header: Record<string, { data_offsets: number[] }>) => void): void {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  change(header);
  const text = Buffer.from(JSON.stringify(header).padEnd(length));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([size, text, bytes.subarray(8 + length)]));
}

/** Puts rows of zeros behind a float16 matrix that stands first in a safetensors file. */
function growRows(file: string, name: string, rows: number): void {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const [, end] = header[name].data_offsets as [number, number];
  const more = (rows - header[name].shape[0]) * header[name].shape[1] * 2;
  for (const entry of Object.values(header) as { data_offsets: number[] }[]) {
    entry.data_offsets = entry.data_offsets.map((offset) => (offset >= end ? offset + more : offset));
  }
  header[name] = { ...header[name], shape: [rows, header[name].shape[1]], data_offsets: [0, end + more] };
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  const data = bytes.subarray(8 + length);
  writeFileSync(file, Buffer.concat([size, text, data.subarray(0, end), Buffer.alloc(more), data.subarray(end)]));
}

after(() => rmSync(folder, { recursive: true, force: true }));

describe('import', () => {
  before(async () => {
    writeTiny(folder);
    for (const kind of ['bert', 'megatron-bert', 'gpt2']) await done('import', join(fixtures, kind), '--out', kind);
  });

  for (const kind of ['bert', 'megatron-bert', 'gpt2']) {
    test(`the logits of an imported ${kind} are those of PyTorch's formulas`, () => {
      const expected = JSON.parse(readFileSync(join(fixtures, kind, 'expected.json'), 'utf8')) as Expected;
      const [N, T] = [expected.ids.length, expected.ids[0]!.length];
      scope(() =>
        noGrad(() => {
          const { model } = openTrained(at(kind), { warn: assert.fail, device: 'cpu' });
          assert.equal(model.dtype, 'float32');
          const inputs = modelInputs(
            {
              numSequences: N,
              sequenceLength: T,
              inputIds: Int32Array.from(expected.ids.flat()),
              tokenTypeIds: Int32Array.from(expected.types?.flat() ?? new Array<number>(N * T).fill(0)),
              documents: (kind === 'gpt2' ? [T, T] : expected.lengths).map((length) => [length]),
            },
            'cpu',
          );
          const hidden = model.encode(inputs);
          const positions = Tensor.from(
            BigInt64Array.from({ length: N * T }, (_, i) => BigInt(i)),
            [N * T],
          );
          const logits = model.tokenLogits(hidden, positions);
          const V = logits.shape[1]!;
          const found = logits.toFloats();
          let worst = 0;
          for (let row = 0; row < N * T; row++) {
            // What stands in the padding is nobody's.
            if (kind !== 'gpt2' && row % T >= expected.lengths[Math.floor(row / T)]!) continue;
            expected.logits[row]!.forEach((logit, v) => {
              worst = Math.max(worst, Math.abs(found[row * V + v]! - logit) / Math.max(1, Math.abs(logit)));
            });
            const sum = found.subarray(row * V, (row + 1) * V).reduce((a, b) => a + b, 0);
            assert.ok(Math.abs(sum - expected.sums[row]!) < 1e-3, `row ${row}: ${sum}, expected ${expected.sums[row]}`);
          }
          assert.ok(worst < 1e-5, `off by ${worst}`);
          if (model instanceof Bert) {
            model
              .nextSentenceLogits(hidden)
              .toFloats()
              .forEach((logit, i) => {
                assert.ok(Math.abs(logit - expected.nsp![i]!) < 1e-5);
              });
          }
        }),
      );
    });
  }

  test('a vocabulary that was padded is never written, and a GPT ends where its own tokenizer says', async () => {
    const pad = (kind: string, name: string, table: string, rows: number) => {
      changed(kind, name, (file) => {
        edit(file('config.json'), (json) => Object.assign(json, { vocab_size: rows }));
        growRows(file('model.safetensors'), table, rows);
      });
      return name;
    };
    await done('import', pad('gpt2', 'padded', 'wte.weight', 264), '--out', 'padded-in');
    const { stdout } = await done(
      'generate',
      'padded-in',
      'the',
      '--tokens',
      '40',
      '--temperature',
      '9',
      '--top-k',
      '264',
    );
    assert.ok(stdout.length > 0);
    await done('export', 'padded-in', '--to', 'hf', '--out', 'padded-out');
    const { eos_token_id: end, vocab_size: size } = JSON.parse(readFileSync(at('padded-out/config.json'), 'utf8'));
    assert.deepEqual([end, size], [259, 264]);
    await done('export', 'padded-in', '--to', 'hf', '--out', 'padded/'.replace('padded', 'slashed'));
    assert.ok(existsSync(at('slashed/config.json')));
    const shuffled = changed('gpt2', 'shuffled', (file) => {
      edit(file('vocab.json'), (vocab) => {
        const [first, last] = Object.entries(vocab).filter(([token, id]) => id === 0 || token === '<|endoftext|>');
        vocab[first![0]] = 259;
        vocab[last![0]] = 0;
      });
    });
    await done('import', shuffled, '--out', 'shuffled-in/');
    assert.equal(JSON.parse(readFileSync(at('shuffled-in/config.json'), 'utf8')).eos_token_id, 0);
  });

  test('buffers that are no parameters are left out without a word', async () => {
    const withBuffer = (name: string, rename: (name: string) => string) =>
      changed('bert', name, (file) => {
        const bytes = readFileSync(file('model.safetensors'));
        const length = Number(bytes.readBigUInt64LE());
        const given = JSON.parse(bytes.subarray(8, 8 + length).toString());
        const size = bytes.length - 8 - length;
        const header = Object.fromEntries(Object.entries(given).map(([key, entry]) => [rename(key), entry]));
        header[rename('bert.embeddings.token_type_ids')] = {
          dtype: 'I64',
          shape: [1, 12],
          data_offsets: [size, size + 96],
        };
        const text = Buffer.from(JSON.stringify(header));
        const sizeBytes = Buffer.alloc(8);
        sizeBytes.writeBigUInt64LE(BigInt(text.length));
        writeFileSync(
          file('model.safetensors'),
          Buffer.concat([sizeBytes, text, bytes.subarray(8 + length), Buffer.alloc(96)]),
        );
      });
    const buffered = withBuffer('buffered', (name) => name);
    assert.equal((await done('import', buffered, '--out', 'buffered-in')).stderr, '');
    const bare = withBuffer('buffered-bare', (name) => name.replace(/^bert\./, ''));
    assert.equal((await done('import', bare, '--out', 'buffered-bare-in')).stderr, '');
  });

  test('a config.json that leaves out what is the default of transformers gives the same model', async () => {
    for (const [kind, key] of [
      ['bert', 'hidden_act'],
      ['gpt2', 'activation_function'],
    ] as const) {
      const name = changed(kind, `${kind}-short`, (file) =>
        edit(file('config.json'), (json) => {
          delete json[key];
        }),
      );
      await done('import', name, '--out', `${name}-in`);
      for (const file of ['config.json', 'model.safetensors']) {
        assert.ok(readFileSync(at(`${name}-in/${file}`)).equals(readFileSync(at(`${kind}/${file}`))), file);
      }
    }
  });

  test('heads that are missing are new, and others are left out: both are named', async () => {
    const bare = changed('bert', 'headless', (file) => {
      editHeader(file('model.safetensors'), (header) => {
        header['qa_outputs.weight'] = header['cls.seq_relationship.weight']!;
        header['qa_outputs.bias'] = header['cls.seq_relationship.bias']!;
        delete header['cls.seq_relationship.weight'];
        delete header['cls.seq_relationship.bias'];
      });
    });
    const { stderr } = await done('import', bare, '--out', 'headless-in');
    assert.match(stderr, /left out weights that this model does not use: qa_outputs\.weight, qa_outputs\.bias/);
    assert.match(
      stderr,
      /randomly initialised, because the file lacks them: cls\.seq_relationship\.weight, cls\.seq_relationship\.bias/,
    );
  });

  test('what cannot be imported is refused in one line that says why', async () => {
    const reject = (name: string, reason: RegExp) => refused(['import', name, '--out', `${name}-in`], reason);
    await reject('nowhere', /nowhere: no such folder/);
    await refused(
      ['import', 'google-bert/bert-base-uncased', '--out', 'x'],
      /google-bert\/bert-base-uncased: no such folder; .* npx taper-lm import hf:google-bert\/bert-base-uncased --out models\/bert-base-uncased$/m,
    );
    await refused(
      ['import', 'https://huggingface.co/google-bert/bert-base-uncased/tree/main', '--out', 'x'],
      / npx taper-lm import hf:google-bert\/bert-base-uncased --out /,
    );
    await refused(
      ['import', 'bert/config.json', '--out', 'x'],
      /bert\/config\.json: is a file; give its folder: npx taper-lm import bert /,
    );
    mkdirSync(at('a-run/checkpoints'), { recursive: true });
    await refused(['import', 'a-run', '--out', 'x'], /a-run: is a taper run, .* it needs no import/);
    await refused(
      ['import', './bert-base', '--out', 'x'],
      /bert-base: no such folder; give one that contains a config\.json$/,
    );
    await refused(['import', 'bert', '--out', 'gpt2'], /gpt2: already exists; give a new folder/);
    await reject(
      changed('bert', 'layers', (file) =>
        edit(file('config.json'), (json) => Object.assign(json, { num_hidden_layers: 1e6 })),
      ),
      /config\.json: num_hidden_layers 1000000 is not a whole number from 1 to 1000/,
    );
    await reject(
      changed('megatron-bert', 'traversal', (file) =>
        edit(file('model.safetensors.index.json'), (json) =>
          Object.assign(json, { weight_map: { 'bert.embeddings.word_embeddings.weight': '..' } }),
        ),
      ),
      /index\.json: names \.\., which is missing/,
    );
    const files = (name: string, change: (file: (path: string) => string) => void, kind = 'bert') =>
      changed(kind, name, change);
    await reject(
      files('pickle', (file) => {
        writeFileSync(file('pytorch_model.bin'), 'x');
        rmSync(file('model.safetensors'));
      }),
      /pytorch_model\.bin: is a pickle, which can run any program .*safe_serialization=True/,
    );
    await reject(
      files('t5', (file) => edit(file('config.json'), (json) => Object.assign(json, { model_type: 't5' }))),
      /config\.json: model_type "t5" is not one of modernbert, llama, qwen3, bert, megatron-bert, gpt2, roberta, distilbert/,
    );
    await reject(
      files('relative', (file) =>
        edit(file('config.json'), (json) => Object.assign(json, { position_embedding_type: 'relative_key' })),
      ),
      /position_embedding_type "relative_key" is not supported; taper supports only absolute/,
    );
    await reject(
      files('relu', (file) => edit(file('config.json'), (json) => Object.assign(json, { hidden_act: 'relu' }))),
      /hidden_act "relu" is not one of gelu, gelu_new/,
    );
    await reject(
      files('sizes', (file) => edit(file('config.json'), (json) => Object.assign(json, { intermediate_size: 41 }))),
      /bert\.encoder\.layer\.0\.intermediate\.dense\.weight is \[40, 16\], but this model has \[41, 16\]/,
    );
    await reject(
      files('deeper', (file) => edit(file('config.json'), (json) => Object.assign(json, { num_hidden_layers: 3 }))),
      /bert\.encoder\.layer\.2\..* is missing/,
    );
    await reject(
      files('flatter', (file) => edit(file('config.json'), (json) => Object.assign(json, { num_hidden_layers: 1 }))),
      /bert\.encoder\.layer\.1\.attention\.self\.query\.weight.* does not belong to this model/,
    );
    await reject(
      files('vocabulary', (file) => writeFileSync(file('vocab.txt'), '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n')),
      /its tokenizer has 6 tokens, but its model has 27; use the model's own tokenizer/,
    );
    await reject(
      files('wordless', (file) => rmSync(file('vocab.txt'))),
      /wordless: has neither tokenizer\.json nor vocab\.txt/,
    );
    await reject(
      files('untied', (file) => {
        const bytes = readFileSync(file('model.safetensors'));
        const length = Number(bytes.readBigUInt64LE());
        const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
        bytes[8 + length + header['cls.predictions.decoder.weight'].data_offsets[0]]! ^= 1;
        writeFileSync(file('model.safetensors'), bytes);
      }),
      /cls\.predictions\.decoder\.weight is not bert\.embeddings\.word_embeddings\.weight; taper supports only models whose output layer is tied/,
    );
    await reject(
      files('header', (file) => {
        const bytes = readFileSync(file('model.safetensors'));
        bytes.writeBigUInt64LE(2n ** 40n);
        writeFileSync(file('model.safetensors'), bytes);
      }),
      /model\.safetensors: its header is not a safetensors header/,
    );
    await reject(
      files('overlap', (file) =>
        editHeader(file('model.safetensors'), (header) => {
          const offsets = header['bert.pooler.dense.weight']!.data_offsets;
          header['bert.pooler.dense.weight']!.data_offsets = [offsets[0]! - 64, offsets[1]! - 64];
        }),
      ),
      /model\.safetensors: tensor bert\.pooler\.dense\.weight is at bytes/,
    );
    await reject(
      files('shardless', (file) => rmSync(file('model-00002-of-00002.safetensors')), 'megatron-bert'),
      /index\.json: names model-00002-of-00002\.safetensors, which is missing/,
    );
  });
});
