import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commandsIn, linesOf, sentences, typed } from './cli.fixture.ts';

// The length of a run in epochs, and what plan and pretrain say about the text.

const folder = mkdtempSync(join(tmpdir(), 'taper-epochs-'));
const at = (path: string) => join(folder, path);
after(() => rmSync(folder, { recursive: true, force: true }));
const { done, refused, quick } = commandsIn(folder);

writeFileSync(at('book.txt'), sentences(300, 1));
writeFileSync(at('tale.txt'), sentences(120, 2));
writeFileSync(at('valid.txt'), sentences(60, 3));
writeFileSync(
  at('tiny.yaml'),
  `model: { kind: modernbert, layers: 2, hiddenSize: 32, heads: 2, ffnSize: 64, vocabSize: 120, maxPositions: 32 }
data: { valid: [valid.txt], sequenceLength: 32 }
train: { steps: 1000, batchSize: 8, evalSamples: 16, evalEvery: 0, saveEvery: 0, threads: 1 }
`,
);

const stepsIn = (run: string) => JSON.parse(readFileSync(at(`${run}/config.json`), 'utf8')).train.steps as number;
const sequencesIn = (stderr: string) => Number(/; ([\d,]+) sequences to train on/.exec(stderr)![1]!.replace(',', ''));
const pretrain = (out: string, ...more: string[]) => ['pretrain', 'tiny.yaml', '--out', out, ...more];

test('epochs become steps once the text is read, and a resumed run keeps them', async () => {
  const words = pretrain('runs/two', '--data', 'book.txt', '--set', 'train.epochs=2');
  const { stderr } = await done(...words);
  const sequences = sequencesIn(stderr);
  const steps = Math.ceil((2 * sequences) / 8);
  assert.match(stderr, new RegExp(`^train\\.steps = ${steps} \\(2 epochs over ${sequences} sequences\\)$`, 'm'));
  assert.match(stderr, /held out; 2(\.0\d)? epochs$/m);
  assert.equal(stepsIn('runs/two'), steps);
  assert.equal(linesOf(at('runs/two')).filter(({ type }) => type === 'step').length, steps);
  const { train } = JSON.parse(readFileSync(at('runs/two/config.json'), 'utf8'));
  assert.ok(!('epochs' in train));

  await refused(words, /runs\/two: already contains a run/);
  const again = await done(...words, '--resume');
  assert.doesNotMatch(again.stderr, /train\.steps: /);
  assert.equal(stepsIn('runs/two'), steps);
  const longer = await done(...words, 'train.epochs=3', '--resume');
  assert.match(longer.stderr, new RegExp(`train\\.steps: ${Math.ceil((3 * sequences) / 8)} instead of ${steps}`));
});

test('epochs count the sequences of lists, of packed documents and of mixtures', async () => {
  const list = ['train.epochs=2', 'train.batchSize=[[0, 4], [5, 8]]', 'data.packing=documents'];
  const listed = await done(...pretrain('runs/list', '--data', 'tale.txt', '--set', ...list));
  // Five steps of four sequences, then steps of eight.
  assert.equal(stepsIn('runs/list'), 5 + Math.ceil((2 * sequencesIn(listed.stderr) - 5 * 4) / 8));

  const texts = 'data.train=[{ path: book.txt, weight: 3 }, { path: tale.txt, weight: 1 }]';
  const mixed = await done(...pretrain('runs/mixed', '--set', texts, 'train.epochs=0.5'));
  assert.equal(stepsIn('runs/mixed'), Math.ceil((0.5 * sequencesIn(mixed.stderr)) / 8));
});

test('plan --data tells the sequences, the tokens, the epochs, the memory and the time', async () => {
  const set = ['--set', 'train.epochs=4'];
  const plan = JSON.parse((await done('plan', 'tiny.yaml', '--data', 'book.txt', '--json', ...set)).stdout);
  const { tokens, sequences, heldOut, epochs } = plan.text;
  assert.equal(plan.steps, Math.ceil((4 * sequences) / 8));
  assert.equal(epochs, (plan.steps * 8) / sequences);
  assert.equal(sequences, Math.floor(tokens / 30)); // [CLS], 30 tokens, [SEP]; the text is one document
  assert.ok(heldOut > 0 && plan.memory.total > 0 && plan.measured.hours > 0);

  const { stdout, stderr } = await done('plan', 'tiny.yaml', '--data', 'book.txt', ...set);
  assert.match(
    stderr,
    /^warning: \d+ steps are few for a new model.* Try \d+ epochs: npx taper-lm plan tiny\.yaml --data book\.txt --set train\.epochs=\d+$/m,
  );
  assert.match(stdout, /^text +[\d,]+ tokens; \d+ sequences to train on, \d+ held out; 4(\.0\d)? epochs$/m);
  assert.match(stdout, /^time +\d+s on this machine/m);

  await refused(
    ['plan', 'tiny.yaml', ...set],
    /^taper: train\.epochs: only the text shows .* add --data my\/texts, or/,
  );
});

test('too many epochs are warned of, with a command that trains for fewer', async () => {
  const words = ['--data', 'tale.txt', '--set', 'train.batchSize=64', 'train.steps=200'];
  const { stderr } = await quick(...pretrain('runs/long', ...words, 'train.evalEvery=0'));
  const [warning] = /^warning: 200 steps are .*$/m.exec(stderr)!;
  const [, epochs] = /: too many; 10 to 40 are usual, and .* Try (\d+) epochs/.exec(warning)!;
  assert.match(warning, new RegExp(`--out runs/long-${epochs}-epochs .*train\\.epochs=${epochs}$`));
  const { code, stderr: next } = await typed(warning, { cwd: folder });
  assert.equal(code, 0, next);
  assert.doesNotMatch(next, /too many/);
  const planned = await done('plan', 'tiny.yaml', ...words);
  assert.match(planned.stderr, /^warning: 200 steps .*: npx taper-lm plan tiny\.yaml .*=\d+$/m);
});

test('eval without --data needs the text that the run was trained on', async () => {
  writeFileSync(at('changing.txt'), sentences(100, 4));
  await done(...pretrain('runs/changed', '--data', 'changing.txt', '--set', 'train.steps=1'));
  assert.match((await done('eval', 'runs/changed')).stdout, /^text {8}the run's own held-out text$/m);
  appendFileSync(at('changing.txt'), 'The end.');
  await refused(['eval', 'runs/changed'], /--data: missing, and the text of the run, changing\.txt, has changed since/);
});
