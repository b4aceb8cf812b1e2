// What a run leaves in its folder beside metrics and checkpoints.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Gap, LogLine } from '../src/runs/index.ts';
import { commandsIn, linesOf, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-run-folder-'));
const at = (path: string) => join(folder, path);
const { done, run } = commandsIn(folder);
after(() => rmSync(folder, { recursive: true, force: true }));
before(() => writeTiny(folder));

const logOf = (name: string) =>
  readFileSync(at(`${name}/log.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine);
const examplesOf = (name: string) =>
  linesOf(at(name)).flatMap(({ type, examples }) => (type === 'eval' ? [examples as Gap[]] : []));

test('the log says what the run was started with, what it said, and how it ended, each time', async () => {
  // 50 steps of γ = 1e-4 are far too few: a warning.
  await done('pretrain', 'tiny.yaml', '--out', 'run', '--set', 'train.steps=4', 'depth.gamma=1e-4', '--quiet');
  const first = logOf('run');
  assert.match(first.map((line) => ('text' in line ? line.text : '')).join('\n'), /text: 1 document,/);
  assert.ok(first.some((line) => line.type === 'warning' && /gamma/.test(line.text)));
  const start = first.find((line) => line.type === 'start');
  assert.ok(start);
  assert.equal(
    start.command.slice(1).join(' '),
    'pretrain tiny.yaml --out run --set train.steps=4 depth.gamma=1e-4 --quiet',
  );
  const { ranks, threads, device, peakFlops } = start.environment;
  assert.deepEqual([ranks, threads, device], [1, 1, 'cpu']);
  assert.ok(peakFlops > 1e8 && peakFlops < 1e15);
  const [end] = first.slice(-1);
  assert.deepEqual([end!.type, end!.step, 'text' in end! && end.text], ['end', 4, 'done']);

  await done('pretrain', '--out', 'run', '--resume', '--set', 'train.steps=6');
  const both = logOf('run');
  assert.deepEqual(both.slice(0, first.length), first);
  assert.deepEqual(
    both.flatMap(({ type, step }) => (type === 'start' || type === 'end' ? [[type, step]] : [])),
    [
      ['start', 0],
      ['end', 4],
      ['start', 4],
      ['end', 6],
    ],
  );
});

test('an error that ends a run is in its log', async () => {
  const words = ['pretrain', 'tiny.yaml', '--out', 'bad', '--set', 'train.peakLearningRate=1e30', 'train.clipNorm=0'];
  const { code, stderr } = await run(...words, 'train.steps=50', 'train.precision=fp32');
  assert.equal(code, 2, stderr);
  const [end] = logOf('bad').slice(-1);
  assert.ok(end?.type === 'end' && /^training diverged: .* not finite/.test(end.text), JSON.stringify(end));
});

test('a gradient norm far above its median is warned of in the terminal and in the log, once, and changes nothing', async () => {
  // LAMB multiplies weights by 1 + the learning rate: under a long warm-up the norms explode suddenly.
  const sets = [
    'train.optimizer=lamb',
    'train.peakLearningRate=1',
    'train.warmupRatio=0.99',
    'train.steps=100',
    'depth.method=dense',
  ];
  const more = [
    'train.precision=fp32',
    'train.evalEvery=0',
    'train.saveEvery=0',
    'train.clipNorm=0',
    'data.objective=mlm',
  ];
  const { stderr } = await run('pretrain', 'tiny.yaml', '--out', 'spike', '--quiet', '--set', ...sets, ...more);
  const steps = linesOf(at('spike')).filter(({ type }) => type === 'step');
  const norms = steps.map(({ gradientNorm }) => Number(gradientNorm));
  const medianBefore = (i: number) => {
    const sorted = norms.slice(Math.max(0, i - 100), i).sort((a, b) => a - b);
    return (sorted[Math.floor((i - 1) / 2)]! + sorted[Math.ceil((i - 1) / 2)]!) / 2;
  };
  const first = norms.findIndex((norm, i) => i >= 20 && norm > 20 * medianBefore(i));
  assert.ok(first > 20 && first < 100, `${norms}`);
  const said = `step ${first + 1}: the gradient norm, ${Number(norms[first]!.toPrecision(3))}, is ${Math.round(norms[first]! / medianBefore(first))} times its median`;
  const warnings = logOf('spike').filter((line) => line.type === 'warning' && line.text.includes('gradient norm'));
  assert.deepEqual(
    [warnings[0]!.step, 'text' in warnings[0]! && warnings[0].text.startsWith(said)],
    [first + 1, true],
    said,
  );
  assert.ok(stderr.includes(`warning: ${said}`), stderr);
  assert.ok(warnings.length <= 1 + (norms.length - first) / 20, `${warnings.length} warnings`);
});

for (const [kind, objective] of [
  ['bert', 'mlm'],
  ['gpt2', 'clm'],
]) {
  test(`each evaluation of a ${kind} fills the same gaps in held-out sentences`, async () => {
    const sets = [`model.kind=${kind}`, `data.objective=${objective}`, 'train.peakLearningRate=1e-2', 'train.steps=20'];
    await done('pretrain', 'tiny.yaml', '--out', kind!, '--set', ...sets, 'model.vocabSize=300');
    const evaluations = examplesOf(kind!);
    const heldOut = readFileSync(at('valid.txt'), 'utf8'); // with the capitals that the tokenizer loses
    const sentences = evaluations.map((gaps) => gaps.map(({ before, right, after }) => `${before}${right}${after}`));
    assert.equal(sentences[0]!.length, 5);
    for (const sentence of sentences[0]!) assert.ok(heldOut.includes(sentence), sentence);
    for (const later of sentences) assert.deepEqual(later, sentences[0]);
    const [first, last] = [evaluations[0]!, evaluations.at(-1)!].map((gaps) => gaps.map(({ guesses }) => guesses));
    for (const guesses of last!) assert.equal(guesses.length, 3);
    assert.notDeepEqual(last, first);
    assert.ok(!existsSync(at(`${kind}/lock`)));
  });
}

test('with outputBias: frequencies a new model begins at the loss of token frequencies alone, not at that of a uniform guess', async () => {
  const firstLoss = async (outputBias: string) => {
    await done(
      'pretrain',
      'tiny.yaml',
      '--out',
      outputBias,
      '--set',
      'train.steps=1',
      `train.outputBias=${outputBias}`,
    );
    return linesOf(at(outputBias)).find(({ type }) => type === 'eval')!.mlmLoss as number;
  };
  const uniform = Math.log(120); // tokens of tiny.yaml's vocabulary
  assert.ok(Math.abs((await firstLoss('zeros')) - uniform) < 0.1);
  assert.ok((await firstLoss('frequencies')) < uniform - 0.3);
});
