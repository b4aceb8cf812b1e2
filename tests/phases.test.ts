import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Line, linesOf, start, taper, untilSteps, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-phases-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (path: string) => join(folder, path);

const common = [
  'train.steps=12',
  'train.schedule=constant',
  'train.saveEvery=1',
  'train.keepCheckpoints=12',
  'train.evalEvery=4',
  'model.dropout=0.1',
];
const lists = [
  'train.batchSize=[[0,4],[5,8]]',
  'data.sequenceLength=[[0,16],[8,32]]',
  'data.maskRate=[[0,0.3],[8,0.15]]',
];
const pretrain = (out: string, ...sets: string[]) => [
  'pretrain',
  'tiny.yaml',
  '--out',
  out,
  '--resume',
  '--set',
  ...common,
  ...sets,
];

const numbersOf = ({
  stepSeconds: _,
  dataSeconds: __,
  tokensPerSecond: ___,
  peakMemoryBytes: ____,
  ...numbers
}: Line) => numbers;
const stepsOf = (run: string) => linesOf(at(run)).filter(({ type }) => type === 'step');
const valuesOf = (run: string, name: string) => stepsOf(run).map((line) => line[name] as number);

before(async () => {
  writeTiny(folder);
  const { code, stderr, stdout } = await taper(pretrain('whole', ...lists), { cwd: folder });
  assert.equal(code, 0, stderr);
  assert.match(stdout + stderr, /12 steps of 4, then 8 sequences of 16, then 32 tokens/);
});

test('steps have the batch, the length and the masks of their phase', () => {
  assert.deepEqual(valuesOf('whole', 'samples'), [4, 8, 12, 16, 20, 28, 36, 44, 52, 60, 68, 76]);
  const tokens = valuesOf('whole', 'tokens').map((total, i, totals) => total - (totals[i - 1] ?? 0));
  assert.ok(
    tokens.every((count, i) => count <= (i < 5 ? 4 : 8) * (i < 8 ? 16 : 32)),
    `${tokens}`,
  );
  assert.ok(tokens[8]! > 8 * 16 && tokens[5]! > 4 * 16, `${tokens}`);
  const dense = valuesOf('whole', 'denseFlops');
  assert.ok(dense[5]! > 1.5 * dense[4]! && dense[8]! > 1.5 * dense[7]!, `${dense}`);
});

test('before the first change all is as in a run without one', async () => {
  const { code, stderr } = await taper(
    pretrain('plain', 'train.batchSize=4', 'data.sequenceLength=16', 'data.maskRate=0.3'),
    { cwd: folder },
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(stepsOf('plain').slice(0, 5).map(numbersOf), stepsOf('whole').slice(0, 5).map(numbersOf));
  assert.notDeepEqual(numbersOf(stepsOf('plain')[5]!), numbersOf(stepsOf('whole')[5]!));
});

test('a run is evaluated with its last length and mask rate from its first step on', async () => {
  const { code, stderr } = await taper(
    pretrain('last', 'data.sequenceLength=32', 'data.maskRate=0.15', 'train.steps=1'),
    { cwd: folder },
  );
  assert.equal(code, 0, stderr);
  const evaluations = (run: string) => linesOf(at(run)).filter(({ type }) => type === 'eval');
  const [first, ...others] = evaluations('whole');
  assert.deepEqual(first, evaluations('last')[0]);
  assert.deepEqual(
    others.map(({ tokens }) => tokens),
    new Array(3).fill(first!.tokens),
  );
});

test('two ranks train what one does', async () => {
  const words = [
    'launch',
    '--processes',
    '2',
    '--',
    ...pretrain('two', ...lists, 'model.dropout=0'),
    'train.threads=1',
  ];
  const { code, stderr } = await taper(words, { cwd: folder });
  assert.equal(code, 0, stderr);
  const one = await taper(pretrain('one', ...lists, 'model.dropout=0', 'train.threads=1'), { cwd: folder });
  assert.equal(one.code, 0, one.stderr);
  assert.deepEqual(valuesOf('two', 'samples'), valuesOf('one', 'samples'));
  const [two, alone] = [valuesOf('two', 'loss'), valuesOf('one', 'loss')];
  assert.ok(
    two.every((loss, i) => Math.abs(loss - alone[i]!) < 1e-4),
    `${two} ${alone}`,
  );
});

test('what reads a run knows what it was trained with', async () => {
  for (const words of [
    ['eval', 'whole', '--data', 'valid.txt'],
    ['fill', 'whole', 'the [MASK] sat'],
    ['report', 'whole', 'plain', '-o', 'report.html'],
    ['compare', 'whole', 'one'],
    ['data', 'inspect', 'tiny.yaml', '--set', ...lists],
    ['export', 'whole', '--to', 'hf', '--out', 'exported'],
    ['export', 'whole/checkpoints/step-3', '--to', 'hf', '--out', 'exported-3'],
  ]) {
    const { code, stderr } = await taper(words, { cwd: folder });
    assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
  }
  const card = (name: string) => readFileSync(at(`${name}/README.md`), 'utf8');
  assert.match(card('exported'), /in 76 sequences of 16, then 32 tokens/);
  assert.match(card('exported'), /30 %, then 15 % of the tokens masked/);
  assert.match(card('exported'), /12 steps of 4, then 8 sequences/);
  assert.match(card('exported-3'), /in 12 sequences of 16 tokens/);
  assert.match(card('exported-3'), /30 % of the tokens masked/);
  assert.match(card('exported-3'), /3 steps of 4 sequences/);
});

test('a run that is killed in each of its phases resumes bit for bit', async () => {
  for (const until of [3, 6, 9]) {
    const { child, ended } = start(pretrain('killed', ...lists), { cwd: folder });
    await untilSteps(at('killed'), until, child);
    child.kill('SIGKILL');
    await ended;
  }
  const { code, stderr } = await taper(pretrain('killed', ...lists), { cwd: folder });
  assert.equal(code, 0, stderr);
  assert.deepEqual(linesOf(at('killed')).map(numbersOf), linesOf(at('whole')).map(numbersOf));
  for (const file of ['model.safetensors', 'optimizer.safetensors']) {
    const bytesOf = (run: string) => readFileSync(at(`${run}/checkpoints/step-12/${file}`));
    assert.ok(bytesOf('killed').equals(bytesOf('whole')), file);
  }
});

test('a resumed run refuses another list, with the command of a new run', async () => {
  const { code, stderr } = await taper(pretrain('whole', ...lists.slice(1), 'train.batchSize=[[0,4],[6,8]]'), {
    cwd: folder,
  });
  assert.equal(code, 2);
  assert.match(stderr, /train\.batchSize: \[\[0,4\],\[6,8\]\], but the run was started with \[\[0,4\],\[5,8\]\]/);
  assert.match(stderr, /--set 'train\.batchSize=\[\[0,4\],\[6,8\]\]'/);
});

test('a plan adds up the work of the phases', async () => {
  const flopsOf = async (...sets: string[]) => {
    const { code, stdout, stderr } = await taper(
      ['plan', 'tiny.yaml', '--json', '--set', 'train.steps=12', 'depth.method=dense', ...sets],
      { cwd: folder },
    );
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as { denseFlops: number }).denseFlops;
  };
  const of = (batch: number, length: number, rate: number, steps: number) =>
    flopsOf(
      `train.batchSize=${batch}`,
      `data.sequenceLength=${length}`,
      `data.maskRate=${rate}`,
      `train.steps=${steps}`,
    );
  const parts = [await of(4, 16, 0.3, 5), await of(8, 16, 0.3, 3), await of(8, 32, 0.15, 4)];
  assert.equal(
    await flopsOf(...lists),
    parts.reduce((a, b) => a + b),
  );
});

test('a branch continues the phases of its run', async () => {
  const words = ['pretrain', '--decay-from', 'whole@6', '--steps', '4', '--out', 'branch'];
  const { code, stderr } = await taper(words, { cwd: folder });
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    stepsOf('branch').map(({ step, samples }) => [step, samples]),
    [7, 8, 9, 10].map((step) => [step, stepsOf('whole')[step - 1]!.samples]),
  );
  const tokens = (run: string, step: number) => stepsOf(run).find((line) => line.step === step)!.tokens;
  assert.equal(tokens('branch', 10), tokens('whole', 10)); // two of its steps have the longer sequences
});
