// cspell:ignore cosin modle
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../errors/index.ts';
import { defaultDevice, hasBfloat16Products } from '../machine/index.ts';
import { epochsIn, loadConfig } from './load.ts';
import { letters, otherNames } from './other-names.ts';
import { settings } from './settings.ts';

const configs = fileURLToPath(new URL('../../../configs/', import.meta.url));
const mini = ['model.preset=bert-mini', 'train.steps=100'];

/** The path of a file with this text, gone after the test. */
function fileWith(t: TestContext, text: string, name = 'config.yaml'): string {
  const folder = mkdtempSync(join(tmpdir(), 'taper-config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** The one line that loading fails with. */
function mistake(sources: Parameters<typeof loadConfig>[0]): string {
  let message = '';
  assert.throws(
    () => loadConfig(sources),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      message = error.message;
      return true;
    },
  );
  assert.ok(!message.includes('\n'), message);
  return message;
}

const mistakeIn = (...sets: string[]) => mistake({ sets: [...mini, ...sets] });

test('a preset has the sizes that Google published, and derived values are reported with their reason', () => {
  const { config, derived } = loadConfig({
    sets: ['model.preset=bert-base', 'train.steps=1000', 'train.batchSize=64', 'train.precision=fp32'],
  });
  const { layers, hiddenSize, heads, ffnSize, vocabSize, maxPositions } = config.model;
  assert.deepEqual([layers, hiddenSize, heads, ffnSize, vocabSize, maxPositions], [12, 768, 12, 3072, 30522, 512]);
  assert.deepEqual(derived, [
    { key: 'model.layers', value: 12, reason: 'bert-base' },
    { key: 'model.hiddenSize', value: 768, reason: 'bert-base' },
    { key: 'model.heads', value: 12, reason: 'hiddenSize / 64' },
    { key: 'model.ffnSize', value: 3072, reason: 'default of bert' },
    { key: 'train.microBatchSize', value: 64, reason: 'batchSize' },
    { key: 'train.evalEvery', value: 50, reason: 'steps / 20' },
    { key: 'train.saveEvery', value: 100, reason: 'steps / 10' },
  ]);
});

test('the default precision is the faster one', () => {
  const processor = hasBfloat16Products();
  const precisionOn = (device: string) => {
    const { config, derived } = loadConfig({ sets: [...mini, `train.device=${device}`] });
    assert.deepEqual(derived.find(({ key }) => key === 'train.precision')?.value, config.train.precision);
    return config.train.precision;
  };
  assert.equal(precisionOn('cpu'), processor ? 'bf16' : 'fp32');
  assert.equal(precisionOn('cuda'), 'bf16');
});

test('fp16 is refused on the CPU, and the default device is known', () => {
  assert.throws(
    () => loadConfig({ sets: [...mini, 'train.device=cpu', 'train.precision=fp16'] }),
    /^ConfigError: train\.precision: fp16 needs a GPU; use bf16 or fp32 on the CPU$/,
  );
  const { train } = loadConfig({ sets: [...mini, 'train.device=cuda', 'train.precision=fp16'] }).config;
  assert.deepEqual([train.device, train.precision, train.tf32], ['cuda', 'fp16', false]);
  assert.equal(loadConfig({ sets: mini }).config.train.device, defaultDevice());
});

test('a size that is given wins over the preset', () => {
  const { model } = loadConfig({ sets: [...mini, 'model.layers=12', 'model.ffnSize=512'] }).config;
  assert.deepEqual([model.layers, model.hiddenSize, model.ffnSize], [12, 256, 512]);
});

test('every block runs by default, and pld has the defaults of the paper', () => {
  assert.equal(loadConfig({ sets: mini }).config.depth.method, 'dense');
  const { depth } = loadConfig({ sets: [...mini, 'depth.method=pld'] }).config;
  assert.deepEqual(depth, {
    method: 'pld',
    thetaBar: 0.5,
    gamma: '100/T',
    profile: 'linear',
    granularity: 'batch',
    tail: 0,
    denseWarmupRatio: 0,
    newBlocks: 'copy',
    newMoments: 'fresh',
  });
});

test('--set wins over the overrides, they win over the file, and the file over the defaults', (t) => {
  const file = fileWith(t, 'model: { preset: bert-tiny }\ntrain: { steps: 1, seed: 2, batchSize: 4, epsilon: 1e-8 }\n');
  const { train } = loadConfig({
    file,
    overrides: { train: { seed: 3, batchSize: 8, epsilon: undefined } },
    sets: ['train.batchSize=16'],
  }).config;
  assert.deepEqual([train.steps, train.seed, train.batchSize, train.epsilon], [1, 3, 16, 1e-8]);
});

test('a set value is read as YAML', () => {
  const sets = [
    ...mini,
    'data.train=["a/*.txt", b]',
    'data.wholeWord=true',
    'depth.gamma=50/T',
    'train.betas=[0.9, 0.98]',
  ];
  const { data, depth, train } = loadConfig({ sets }).config;
  assert.deepEqual(data.train, ['a/*.txt', 'b']);
  assert.equal(data.wholeWord, true);
  assert.equal(depth.gamma, '50/T');
  assert.deepEqual(train.betas, [0.9, 0.98]);
});

test('a JSON file with tabs is a config file, and an empty section is none', (t) => {
  const json = fileWith(t, '{\n\t"model": {"preset": "bert-tiny"},\n\t"train": {"steps": 7}\n}\n', 'config.json');
  assert.equal(loadConfig({ file: json }).config.train.steps, 7);
  const yaml = fileWith(t, 'model: { preset: bert-tiny }\ndepth:\ntrain: { steps: 7 }\n');
  assert.equal(loadConfig({ file: yaml }).config.depth.method, 'dense');
});

test('the complete configuration is a config file that loads as itself', (t) => {
  const { config } = loadConfig({ sets: mini });
  const file = fileWith(t, JSON.stringify(config), 'config.json');
  assert.deepEqual(loadConfig({ file }), { config, derived: [], warnings: [] });
});

test('every config file that comes with taper loads without a warning', () => {
  const files = readdirSync(configs);
  assert.deepEqual(files.sort(), [
    'bert-base.yaml',
    'bert-mini.yaml',
    'decoder.yaml',
    'depth.yaml',
    'encoder.yaml',
    'gpt-mini.yaml',
    'paper.yaml',
    'quality.yaml',
    'start-decoder.yaml',
    'start.yaml',
  ]);
  for (const file of files) assert.deepEqual(loadConfig({ file: join(configs, file) }).warnings, []);
});

test('staged, shallow and grow get their stages and blocks from the depth of the model by default', () => {
  const depthOf = (...sets: string[]) => {
    const { config, derived } = loadConfig({ sets: ['model.preset=bert-base', 'train.steps=10', ...sets] });
    return { ...config.depth, told: derived.filter(({ key }) => key.startsWith('depth.')).map(({ key }) => key) };
  };
  const staged = depthOf('depth.method=staged');
  assert.deepEqual([staged.stages, staged.told], [[6, 8, 10, 12], ['depth.stages']]);
  assert.deepEqual(depthOf('depth.method=staged', 'model.layers=4').stages, [3, 3, 3, 4]);
  assert.deepEqual(depthOf('depth.method=staged', 'depth.stages=[4, 12]').told, []);
  const shallow = depthOf('depth.method=shallow');
  assert.deepEqual([shallow.blocks, shallow.told], [9, ['depth.blocks']]);
  assert.equal(depthOf('depth.method=shallow', 'depth.blocks=5').blocks, 5);
  const grow = depthOf('depth.method=grow', 'train.steps=200');
  assert.deepEqual(
    [grow.growBlocks, grow.growAt, grow.told],
    [
      [3, 6, 9, 12],
      [33, 67, 100],
      ['depth.growBlocks', 'depth.growAt'],
    ],
  );
  assert.deepEqual(depthOf('depth.method=grow', 'train.steps=200', 'model.layers=3').growBlocks, [1, 2, 3]);
  assert.deepEqual(depthOf('depth.method=grow', 'train.steps=200', 'model.layers=1').growAt, []);
  const stacked = depthOf('depth.method=grow', 'train.steps=200', 'depth.growBlocks=[3,6,12]');
  assert.deepEqual([stacked.growAt, stacked.told], [[50, 100], ['depth.growAt']]);
  assert.deepEqual([depthOf().stages, depthOf().blocks, depthOf().growAt], [undefined, undefined, undefined]);
});

test("bert-base.yaml is the paper's recipe", () => {
  const { model, depth, train } = loadConfig({ file: join(configs, 'bert-base.yaml') }).config;
  assert.deepEqual([model.layers, model.hiddenSize, model.heads, model.norm], [12, 768, 12, 'pre']);
  assert.deepEqual([depth.method, depth.thetaBar, depth.gamma], ['pld', 0.5, '100/T']);
  assert.deepEqual([train.batchSize, train.steps, train.peakLearningRate], [4096, 200_000, 1e-3]);
  assert.deepEqual([train.warmupRatio, train.schedule, train.biasCorrection], [0.02, 'exponential', false]);
});

test('a value out of range is reported with the range and a fix', () => {
  assert.equal(mistakeIn('depth.thetaBar=1.4'), "depth.thetaBar: 1.4 is not in (0, 1]; 0.5 is the paper's");
  assert.equal(mistakeIn('train.warmupRatio=1'), 'train.warmupRatio: 1 is not in [0, 1); the default is 0.02');
  assert.equal(
    mistakeIn('train.batchSize=0'),
    'train.batchSize: 0 is not an integer ≥ 1, or [step, integer] pairs with ascending steps, the first 0; the default is 32',
  );
  assert.equal(mistakeIn('train.seed=1.5'), 'train.seed: 1.5 is not an integer ≥ 0; the default is 1');
  assert.equal(mistakeIn('train.epsilon=.inf'), 'train.epsilon: Infinity is not a number > 0; the default is 0.000001');
});

test('a value of the wrong type is reported with the right one', () => {
  assert.equal(
    mistakeIn('train.batchSize=many'),
    'train.batchSize: "many" is not an integer ≥ 1, or [step, integer] pairs with ascending steps, the first 0; the default is 32',
  );
  assert.equal(
    mistakeIn('data.train=texts'),
    'data.train: "texts" is not a list of strings, or of { path, weight }; write ["texts"]',
  );
  assert.equal(
    mistakeIn('data.train=[a, 3]'),
    'data.train: ["a",3] is not a list of strings, or of { path, weight }; write [my/texts], or [{ path: books, weight: 2 }, { path: wiki, weight: 1 }] with a number for each weight',
  );
  assert.match(
    mistakeIn('data.train=[{ path: a, weight: .nan }]')!,
    /^data\.train: \[\{"path":"a","weight":"NaN"\}\] is not/,
  );
  assert.equal(mistakeIn('data.lowercase=si'), 'data.lowercase: "si" is not true or false; the default is true');
  assert.equal(mistakeIn('data.tokenizer='), 'data.tokenizer: null is not a string');
  for (const gamma of ['fast', '-1/T', '0', '0/T']) {
    assert.match(mistakeIn(`depth.gamma=${gamma}`), / is not a number > 0, or c\/T; 100\/T is the paper's$/);
  }
});

test('a choice that does not exist is reported with the nearest, or with all', () => {
  assert.match(mistakeIn('train.schedule=cosin'), /"cosin" is not one of linear, .*; did you mean cosine\?$/);
  assert.match(mistakeIn('train.precision=int8'), /"int8" is not one of fp32, bf16, fp16$/);
  assert.match(mistakeIn('model.preset=bert-mimi'), /did you mean bert-mini\?$/);
  assert.equal(
    mistakeIn('model.kind=gpt3'),
    'model.kind: "gpt3" is not one of modernbert, llama, bert, gpt2; did you mean gpt2?',
  );
});

test('an unknown key is reported with the nearest valid one of any section', (t) => {
  const unknown = (key: string) => mistakeIn(`${key}=1`).replace(/^.*unknown key; /, '');
  assert.equal(mistakeIn('train.step=1'), 'train.step: unknown key; did you mean train.steps?');
  assert.equal(unknown('model.steps'), 'did you mean train.steps?');
  assert.equal(unknown('steps'), 'did you mean train.steps?');
  assert.equal(unknown('train.learning_rate'), 'did you mean train.peakLearningRate?');
  assert.equal(unknown('model.hidden_size'), 'did you mean model.hiddenSize?');
  assert.equal(unknown('depth.theta'), 'did you mean depth.thetaBar?');
  assert.equal(unknown('__proto__.x'), 'the sections are model, depth, data, train');
  assert.equal(
    unknown('depth.zzz'),
    'depth has method, thetaBar, gamma, profile, granularity, scale, tail, stages, denseWarmupRatio, blocks, growBlocks, growAt, newBlocks, newMoments',
  );
  const file = fileWith(t, 'modle: { layers: 2 }\ntrain: { step: 3 }\n');
  assert.match(mistake({ file }), /^train\.step: unknown key; did you mean train\.steps\? \(and \d more mistakes?\)$/);
  assert.match(mistake({ file, sets: mini }), /^train\.step: .* \(and 1 more mistake\)$/);
});

test('the names of other programs lead to those of taper, in files and options', (t) => {
  const unknown = (path: string) => mistakeIn(`${path}=1`).replace(/.*; did you mean (.*)\?$/, '$1');
  assert.equal(unknown('train.lr'), 'train.peakLearningRate');
  assert.equal(unknown('learning_rate'), 'train.peakLearningRate');
  assert.equal(unknown('weight_decay'), 'train.weightDecay');
  assert.equal(unknown('data.max_seq_length'), 'data.sequenceLength');
  assert.equal(unknown('num_train_epochs'), 'train.epochs');
  assert.match(unknown('per_device_train_batch_size'), /^train\.batchSize \(sequences per optimizer step: /);
  assert.equal(unknown('train.warmup_steps'), 'train.warmupRatio (warm-up steps / train.steps)');
  assert.equal(unknown('bf16'), 'train.precision (bf16)');
  assert.equal(unknown('num-hidden-layers'), 'model.layers');
  assert.equal(unknown('model.MAX_POSITIONS'), 'model.maxPositions');
  assert.equal(unknown('optimizer.betas'), 'train.betas');

  const ofFile = (text: string) => mistake({ file: fileWith(t, text) });
  assert.match(
    ofFile('model: { n_layer: 12 }\ntrain: { steps: 1 }'),
    /^model\.n_layer: unknown key; did you mean model\.layers\?/,
  );
  assert.match(ofFile('fp16: true'), /^fp16: unknown key; did you mean train\.precision \(fp16\)\?/);
  assert.match(
    ofFile('{"train_batch_size": 32, "fp16": {"enabled": true}}'),
    /config\.yaml: is a DeepSpeed config \(it has train_batch_size\); pass it with --deepspeed \S+config\.yaml$/,
  );
});

test("every setting that other programs' names lead to is one of taper's, and no name leads to two", () => {
  const paths = new Set(settings.map(({ path }) => path));
  const known = new Set(settings.map(({ key }) => letters(key)));
  const seen = new Set<string>();
  for (const { ours, note, theirs } of otherNames) {
    for (const path of `${ours} ${note ?? ''}`.match(/\b(?:model|depth|data|train)\.\w+/g) ?? [])
      assert.ok(paths.has(path), path);
    assert.ok(ours.startsWith('--') || paths.has(ours), ours);
    for (const name of theirs.split(' ')) {
      assert.ok(!seen.has(letters(name)) && !known.has(letters(name)), name);
      seen.add(letters(name));
    }
  }
});

test('the length of a run is given in steps or in epochs: a later source replaces an earlier one, and one source gives one', (t) => {
  const file = fileWith(t, 'model: { preset: bert-mini }\ntrain: { steps: 7 }\n');
  assert.equal(epochsIn({ file }), undefined);
  assert.equal(epochsIn({ file, sets: ['train.epochs=2.5'] }), 2.5);
  assert.equal(epochsIn({ file, overrides: { train: { epochs: 3 } } }), 3);
  const { config } = loadConfig({ file, overrides: { train: { epochs: 3 } }, sets: ['train.steps=9'] });
  assert.deepEqual([config.train.steps, 'epochs' in config.train], [9, false]);
  const both = fileWith(t, 'model: { preset: bert-mini }\ntrain: { steps: 7, epochs: 2 }\n', 'both.yaml');
  assert.equal(mistake({ file: both }), 'train.epochs: 2, but train.steps is also given (7); keep one of them');
  assert.match(
    mistake({ sets: [...mini, 'train.epochs=2'] }),
    /^train\.epochs: 2, but only the text shows how many steps/,
  );
  assert.match(mistake({ sets: [...mini, 'train.epochs=0'] }), /^train\.epochs: 0 is not a number > 0/);
});

test('a missing value is reported with a way to give it', () => {
  assert.equal(
    mistake({ sets: ['model.preset=bert-mini'] }),
    'train.steps: missing; set it in the file, or give --set train.steps=10000, or --set train.epochs=20 for 20 passes over the text',
  );
  assert.equal(
    mistake({ sets: ['train.steps=1'] }),
    'model.layers: missing; give it, or a preset such as model.preset: bert-mini (and 1 more mistake)',
  );
  assert.match(mistake({ sets: [...mini, 'model.hiddenSize=100'] }), /^model\.heads: missing, .* not a multiple of 64/);
});

test('values that contradict each other are both reported', () => {
  assert.match(mistakeIn('model.heads=3'), /^model\.heads: 3 does not divide model\.hiddenSize 256/);
  assert.match(mistakeIn('data.sequenceLength=1024'), /^data\.sequenceLength: 1024 is above model\.maxPositions 512/);
  assert.match(mistakeIn('train.microBatchSize=24'), /^train\.microBatchSize: 24 does not divide train\.batchSize 32/);
  assert.equal(
    mistakeIn('data.packing=documents'),
    'data.packing: documents does not work with data.objective mlm+nsp, whose sequences are pairs; leave it out, or set data.objective to mlm',
  );
  assert.match(
    mistakeIn('data.packing=document'),
    /^data\.packing: "document" is not one of none, documents; did you mean/,
  );
  assert.match(mistakeIn('model.heads=3', 'train.microBatchSize=24'), / \(and 1 more mistake\)$/);
});

test('a file that is missing, a folder or broken is reported with its place', (t) => {
  assert.match(mistake({ file: 'no/such.yaml' }), /^no\/such\.yaml: no such file; give the path/);
  assert.match(mistake({ file: tmpdir() }), /: is a folder, not a file; /);
  assert.match(
    mistake({ file: fileWith(t, 'a:\n  b: [1,\n c: 2\n') }),
    /config\.yaml: broken YAML: .* at line 3, column 2$/,
  );
  assert.match(
    mistake({ file: fileWith(t, 'a: 1\na: 2\n') }),
    /broken YAML: Map keys must be unique at line 2, column 1$/,
  );
  assert.match(mistake({ file: fileWith(t, '- 1\n') }), /: is not a mapping; a config file has the sections/);
  assert.match(
    mistake({ file: fileWith(t, 'train: 3\n') }),
    /^train: 3 is not a section; write it as train: \{ steps: … \}/,
  );
});

test('a malformed --set is reported with how to write it', () => {
  assert.equal(mistakeIn('train.steps'), '--set train.steps: has no "="; write --set train.steps=1000');
  assert.match(mistakeIn('data.train=[a'), /^--set data\.train=\[a: broken YAML: /);
  assert.match(mistakeIn('data.train=[*.txt]'), /begins with \* needs quotes$/);
});

test('dropping blocks under PostLN is warned of', () => {
  assert.match(
    loadConfig({ sets: [...mini, 'model.norm=post', 'depth.method=pld'] }).warnings[0] ?? '',
    /^model\.norm: post with depth\.method: pld/,
  );
  assert.deepEqual(loadConfig({ sets: [...mini, 'model.norm=post'] }).warnings, []);
});
