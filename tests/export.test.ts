// Hugging Face's folders written.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commandsIn, linesOf, writeTiny } from './cli.fixture.ts';

const fixtures = fileURLToPath(new URL('../../tests/fixtures/hugging-face', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-export-'));
const at = (path: string) => join(folder, path);
const { quick, done, refused } = commandsIn(folder);

after(() => rmSync(folder, { recursive: true, force: true }));

describe('export', () => {
  before(async () => {
    writeTiny(folder);
    for (const kind of ['bert', 'megatron-bert', 'gpt2']) await done('import', join(fixtures, kind), '--out', kind);
  });

  for (const kind of ['bert', 'megatron-bert', 'gpt2']) {
    test(`${kind}: what is exported, imported and exported again is the same byte for byte`, async () => {
      for (const form of [[], ['--encoder-only']]) {
        const name = `${kind}${form.length}`;
        await done('export', kind, '--to', 'hf', '--out', `${name}-a`, ...form);
        await done('import', `${name}-a`, '--out', `${name}-b`);
        await done('export', `${name}-b`, '--to', 'hf', '--out', `${name}-c`, ...form);
        const files = readdirSync(at(`${name}-a`)).sort();
        assert.deepEqual(files, [
          'README.md',
          'config.json',
          'model.safetensors',
          'tokenizer.json',
          'tokenizer_config.json',
        ]);
        assert.deepEqual(readdirSync(at(`${name}-c`)).sort(), files);
        for (const file of files) {
          assert.ok(
            readFileSync(at(`${name}-c/${file}`)).equals(readFileSync(at(`${name}-a/${file}`))),
            `${name}: ${file}`,
          );
        }
      }
    });
  }

  test('an export has the names and shapes of transformers', async () => {
    const headerOf = (file: string) => {
      const bytes = readFileSync(file);
      const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
      return Object.fromEntries(
        Object.entries(header as Record<string, { shape: number[] }>)
          .filter(([name]) => name !== '__metadata__')
          .map(([name, { shape }]) => [name, shape]),
      );
    };
    await done('export', 'gpt2', '--to', 'hf', '--out', 'gpt2-out');
    const [given, written] = [join(fixtures, 'gpt2'), at('gpt2-out')].map((path) =>
      headerOf(join(path, 'model.safetensors')),
    );
    for (const [name, shape] of Object.entries(written!)) {
      assert.deepEqual(given![name.replace(/^transformer\./, '')], shape, name);
    }
    const config = JSON.parse(readFileSync(at('gpt2-out/config.json'), 'utf8'));
    assert.deepEqual([config.architectures, config.eos_token_id], [['GPT2LMHeadModel'], config.vocab_size - 1]);
    await done('export', 'bert', '--to', 'hf', '--out', 'encoder', '--encoder-only');
    const encoder = headerOf(at('encoder/model.safetensors'));
    assert.ok('embeddings.word_embeddings.weight' in encoder && 'pooler.dense.weight' in encoder);
    assert.ok(!Object.keys(encoder).some((name) => /^(bert|cls)\./.test(name)));
    assert.deepEqual(JSON.parse(readFileSync(at('encoder/config.json'), 'utf8')).architectures, ['BertModel']);
  });

  test('an imported model is used and trained further, with blocks dropped', async () => {
    const { stdout } = await done('fill', 'bert', 'the cat [MASK] on a mat.', '--json');
    assert.equal(JSON.parse(stdout).masks.length, 1);
    await done('generate', 'gpt2', 'the', '--tokens', '3');
    const sets = [
      'train.steps=4',
      'train.batchSize=4',
      'data.sequenceLength=12',
      'data.objective=mlm',
      'train.threads=1',
    ];
    await done(
      'pretrain',
      '--from',
      'megatron-bert',
      '--data',
      'train.txt',
      '--out',
      'further',
      '--set',
      ...sets,
      'depth.method=pld',
    );
    const evaluations = linesOf(at('further')).filter(({ type }) => type === 'eval');
    assert.ok(evaluations.length >= 2);
    const resumed = await done('pretrain', '--out', 'further', '--resume', '--set', 'train.steps=6');
    assert.match(resumed.stderr, /continuing from/);
    // Step 0 is the imported model.
    const evaluated = await done(
      'pretrain',
      '--from',
      'megatron-bert',
      '--data',
      'train.txt',
      '--out',
      'other',
      '--set',
      ...sets,
      'depth.method=dense',
      'train.seed=9',
    );
    assert.equal(evaluated.stdout.length > 0, true);
    assert.equal(linesOf(at('other'))[0]!.loss, evaluations[0]!.loss);
    // Without --from the sizes are the configuration's, and have to fit.
    const without = ['pretrain', '--data', 'train.txt', '--out', 'x', '--set', 'train.from=megatron-bert', ...sets];
    const sizes = ['model.hiddenSize=16', 'model.heads=2', 'model.ffnSize=40', 'model.maxPositions=12'];
    await refused(
      [...without, ...sizes, 'model.layers=1'],
      /has \[.*\] for bert\.encoder\.layer\.1\..*, but this model has no tensor/,
    );
    await refused(
      [...without, ...sizes, 'model.layers=2', 'model.norm=post'],
      /model\.norm: post, but megatron-bert has pre; use its model with --from/,
    );
  });

  test('a model card says what is known, and nothing else', async () => {
    const imported = readFileSync(at('bert0-a/README.md'), 'utf8');
    assert.match(imported, /pipeline_tag: fill-mask/);
    assert.match(imported, /2 blocks of hidden size 16.*\n\nImported into taper; its training is not documented here/s);
    assert.doesNotMatch(imported, /progressive layer dropping|AdamW|Results/);
    assert.match(readFileSync(at('bert1-a/README.md'), 'utf8'), /pipeline_tag: feature-extraction/);
    await done('export', 'further', '--to', 'hf', '--out', 'further-hf');
    const further = readFileSync(at('further-hf/README.md'), 'utf8');
    assert.match(
      further,
      /# further\n.*Started from the weights of megatron-bert\..*train\.txt.*progressive layer dropping/s,
    );
    assert.match(further, /Held-out loss \d/);
  });

  test('blocks are removed: the least harmful ones or evenly, and the resulting loss is reported', async () => {
    const { code } = await quick(
      'pretrain',
      'tiny.yaml',
      '--out',
      'run',
      '--set',
      'model.layers=4',
      'train.steps=60',
      'train.peakLearningRate=5e-3',
    );
    assert.equal(code, 0);
    const { stdout } = await done(
      'export',
      'run',
      '--to',
      'hf',
      '--out',
      'short',
      '--blocks',
      '2',
      '--data',
      'valid.txt',
      '--json',
    );
    const { kept, loss, lossShortened } = JSON.parse(stdout) as { kept: number[]; loss: number; lossShortened: number };
    const analysis = JSON.parse(
      (await done('analyze', 'run', '--data', 'valid.txt', '--out', 'analysis', '--json')).stdout,
    );
    assert.ok(Math.abs(loss - analysis.loss) < 1e-9);
    const worst = [...analysis.withoutBlock.keys()].sort((a, b) => analysis.withoutBlock[b] - analysis.withoutBlock[a]);
    assert.deepEqual(
      kept,
      worst
        .slice(0, 2)
        .map((l: number) => l + 1)
        .sort(),
    );
    // The exported model has the loss that was reported.
    await done('import', 'short', '--out', 'short-in');
    const evaluated = await done(
      'pretrain',
      '--from',
      'short-in',
      '--data',
      'train.txt',
      '--out',
      'short-run',
      '--set',
      'train.steps=1',
      'data.valid=[valid.txt]',
      'data.sequenceLength=32',
      'train.evalSamples=128',
      'train.batchSize=4',
      'train.precision=fp32',
    );
    assert.equal(evaluated.stderr.includes('blocks'), true);
    const [first] = linesOf(at('short-run'));
    assert.ok(Math.abs((first!.loss as number) - lossShortened) < 0.02, `${first!.loss} ${lossShortened}`);
    const evenly = await done(
      'export',
      'run',
      '--to',
      'hf',
      '--out',
      'even',
      '--blocks',
      '2',
      '--choose',
      'evenly',
      '--data',
      'valid.txt',
      '--json',
    );
    assert.deepEqual(JSON.parse(evenly.stdout).kept, [1, 4]);
    await refused(['export', 'run', '--to', 'hf', '--out', 'x', '--blocks', '2'], /--blocks: needs held-out text/);
    await refused(
      ['export', 'run', '--to', 'hf', '--out', 'x', '--blocks', '5', '--data', 'valid.txt'],
      /--blocks 5: the model has 4/,
    );
    assert.ok(!existsSync(at('x')));
    const card = readFileSync(at('short/README.md'), 'utf8');
    assert.match(
      card,
      /2 of its 4 blocks were removed after training: the held-out loss went from \d\.\d{3} to \d\.\d{3} nats/,
    );
    assert.doesNotMatch(card, /## Results/);
    assert.match(card, /progressive layer dropping/);
    assert.doesNotMatch(card, new RegExp(folder));
  });
});
