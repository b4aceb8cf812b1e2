import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { OpTimes } from '../src/cli/bench-ops.ts';
import type { BenchResult } from '../src/cli/bench-options.ts';
import { scriptTexts } from '../src/data/scripts.fixture.ts';
import { linesOf, quickTaper, start, taper, untilSteps, writeTiny } from './cli.fixture.ts';

// Each command as a user runs it. One tiny run is trained first; most tests look at it.

let folder: string;
let trained: Awaited<ReturnType<typeof taper>>;

const run = (...words: string[]) => taper(words, { cwd: folder });
const quick = quickTaper(() => folder);

/** Runs a command that has to succeed, and parses the one object that it prints. */
async function json<T>(...words: string[]): Promise<T> {
  const { code, stdout, stderr } = await quick([...words, '--json']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^\{.*\}\n$/, 'one line with one object');
  return JSON.parse(stdout) as T;
}

/** Runs a command that has to succeed, and returns its standard output. */
async function text(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...words);
  assert.equal(code, 0, stderr);
  return stdout;
}

suite('taper', { concurrency: 2 }, () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'taper-cli-'));
    writeTiny(folder);
    trained = await run('pretrain', 'tiny.yaml', '--json');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('pretrain --json prints one object with what the run reached, and nothing else', () => {
    assert.equal(trained.code, 0, trained.stderr);
    assert.match(trained.stdout, /^\{.*\}\n$/);
    const result = JSON.parse(trained.stdout);
    const lines = linesOf(join(folder, 'runs/tiny'));
    const steps = lines.filter(({ type }) => type === 'step');
    const evaluations = lines.filter(({ type }) => type === 'eval');
    const sum = (key: string) => steps.reduce((total, line) => total + Number(line[key]), 0);
    assert.deepEqual(result, {
      run: 'runs/tiny',
      checkpoint: 'runs/tiny/checkpoints/step-4',
      step: 4,
      stoppedBy: null,
      firstEvaluation: evaluations[0],
      lastEvaluation: evaluations.at(-1),
      flops: sum('flops'),
      denseFlops: sum('denseFlops'),
      blockFlopsSaved: 1 - sum('depth') / (4 * 2),
      stepFlopsSaved: 1 - sum('flops') / sum('denseFlops'),
      timeSaved: null, // four steps are too few to tell
    });
    assert.deepEqual(
      lines.map(({ type, step }) => `${type} ${step}`),
      ['eval 0', 'step 1', 'step 2', 'eval 2', 'step 3', 'step 4', 'eval 4'],
    );
  });

  test('pretrain leaves a run folder with its checkpoints, the newest named', () => {
    const at = (path: string) => join(folder, 'runs/tiny', path);
    assert.deepEqual(readdirSync(at('')).sort(), [
      'checkpoints',
      'config.json',
      'events',
      'log.jsonl',
      'metrics.jsonl',
    ]);
    assert.deepEqual(readdirSync(at('checkpoints')).sort(), ['latest', 'step-2', 'step-4']);
    assert.equal(readFileSync(at('checkpoints/latest'), 'utf8'), 'step-4\n');
  });

  test('pretrain tells derived values with their reason, progress and evaluations, without a terminal in plain lines', () => {
    assert.match(trained.stderr, /^runs\/tiny: 2 blocks of width 32, 0\.0\d+ million parameters, pld, 4 steps of 8/);
    assert.match(trained.stderr, /^training a WordPiece tokenizer of up to 120 tokens on 1 file$/m);
    assert.match(trained.stderr, /^step 4\/4 {2}loss \d\.\d\d θ 0\.50 [\d.]+\/2 blocks [\d.]+k tokens\/s 0s left$/m);
    assert.match(
      trained.stderr,
      /^ +step +held-out loss +perplexity .*\n(.*\n)* +4 +\d\.\d{3} +[\d.]+ +[\d.]+ % +\d\.\d{3} +[\d.]+ %$/m,
    );
    assert.ok(!trained.stderr.includes('\u001b'), 'no control characters');
    for (const line of trained.stderr.split('\n')) assert.ok(line.length <= 120, line);
  });

  test('pretrain without --json ends with a summary for people', async () => {
    const summary = await text(
      'pretrain',
      'tiny.yaml',
      '--out',
      'runs/people',
      '--set',
      'train.steps=2',
      'depth.method=dense',
    );
    assert.match(summary, /^held-out loss {6}\d\.\d{3} → \d\.\d{3} nats \(/m);
    assert.match(summary, /^work {15}[\d.]+ .FLOPs\n\n/m); // a dense run saves nothing
    assert.match(summary, /^model {14}runs\/people\/checkpoints\/step-2$/m);
    const gaps = [...summary.matchAll(/^ {2}(✓ {2}|\(✓\)| {3}) (.*)____(.*)\n {6}.*; the removed word: (\w+)$/gm)];
    assert.ok(gaps.length > 0, summary);
    const heldOut = readFileSync(join(folder, 'valid.txt'), 'utf8').replace(/\s+/g, ' ');
    for (const [, , before, after, right] of gaps) assert.ok(heldOut.includes(`${before}${right}${after}`), before);
    assert.match(summary, /^ {2}npx taper-lm fill runs\/people '[^']*\[MASK\][^']*'$/m);
  });

  test('pretrain takes --data, --set and a DeepSpeed file, and says what it does not take over', async () => {
    const deepSpeed = join(folder, 'ds.json');
    const file = {
      train_batch_size: 4,
      zero_optimization: { stage: 1 },
      progressive_layer_drop: { enabled: true, theta: 0.7 },
    };
    writeFileSync(deepSpeed, JSON.stringify(file));
    const { code, stderr } = await run(
      ...['pretrain', 'tiny.yaml', '--out', 'runs/ds', '--deepspeed', 'ds.json', '--data', 'valid.txt'],
      ...['--set', 'train.steps=1', 'train.microBatchSize=2'],
    );
    assert.equal(code, 0, stderr);
    const { data, depth, train } = JSON.parse(readFileSync(join(folder, 'runs/ds/config.json'), 'utf8'));
    assert.deepEqual(data.train, ['valid.txt']);
    assert.deepEqual([depth.thetaBar, depth.gamma], [0.7, 0.001]);
    assert.deepEqual([train.batchSize, train.microBatchSize, train.steps], [4, 2, 1]);
    assert.match(stderr, /^warning: .*zero_optimization/m);
    assert.match(stderr, /^warning: depth\.gamma: 0\.001 is slow/m);
  });

  test('plan gives the keep rates of the paper and the cost, without training', async () => {
    const plan = await json<{
      gamma: number;
      blockFlopsSaved: number;
      meanDepth: number;
      schedule: { step: number; theta: number; keepRates: number[]; expectedDepth: number }[];
    }>('plan', 'tiny.yaml', '--set', 'train.steps=1000', 'model.layers=4');
    assert.equal(plan.gamma, 0.1);
    assert.equal(plan.schedule[0]?.theta, 1);
    for (const { step, theta, keepRates, expectedDepth } of plan.schedule) {
      const expected = 0.5 * Math.exp(-0.1 * step) + 0.5;
      assert.ok(Math.abs(theta - expected) < 1e-12);
      for (const [l, p] of keepRates.entries()) {
        assert.ok(Math.abs(p - (1 - ((l + 1) / 4) * (1 - expected))) < 1e-12);
      }
      assert.ok(Math.abs(expectedDepth - keepRates.reduce((a, b) => a + b, 0)) < 1e-12);
    }
    assert.equal(plan.schedule.at(-1)?.step, 999);
    // Σ p over l = 1 … 4 at θ is 4 − 2.5(1 − θ); the mean of θ over the run is a geometric series.
    const meanTheta = 0.5 + (0.5 * (1 - Math.exp(-100))) / (1 - Math.exp(-0.1)) / 1000;
    assert.ok(Math.abs(plan.meanDepth - (4 - 2.5 * (1 - meanTheta))) < 1e-9);
    assert.ok(Math.abs(plan.blockFlopsSaved - (1 - plan.meanDepth / 4)) < 1e-12);
  });

  test('plan shows a row for each block', async () => {
    const shown = await text('plan', 'tiny.yaml', '--set', 'train.steps=1000');
    assert.match(shown, /^blocks run +2\.00 /m);
    assert.match(shown, /^block 2 +1\.000 .* 0\.500$/m);
    for (const line of shown.split('\n')) assert.ok(line.length <= 80, line);
  });

  test('eval gives the numbers that the run logged last, on the held-out file and without a file', async () => {
    const { type: _, split: __, examples: ___, ...logged } = linesOf(join(folder, 'runs/tiny')).at(-1)!;
    for (const [words, text] of [
      [['--data', 'valid.txt'], ['valid.txt']],
      [[], null],
    ] as const) {
      const { checkpoint, sequences, ...found } = await json<Record<string, unknown>>(
        ...['eval', 'runs/tiny', ...words, '--limit', '16'],
      );
      assert.equal(checkpoint, 'runs/tiny/checkpoints/step-4');
      assert.equal(sequences, 16);
      assert.deepEqual(found, { ...logged, text });
    }
  });

  test('eval takes a checkpoint folder as well', async () => {
    const { step } = await json<{ step: number }>('eval', 'runs/tiny/checkpoints/step-2', '--data', 'valid.txt');
    assert.equal(step, 2);
  });

  test('fill warns of characters that the model does not know', async () => {
    const { stderr } = await run('fill', 'runs/tiny', 'The [MASK] ☃☃.');
    assert.match(stderr, /^warning: 2 characters of the text are unknown to this model, whose training text/m);
  });

  test('fill gives the most likely tokens for each mask, and the text with the first of them', async () => {
    const sentence = 'The [MASK] sees the dog in the [MASK].';
    const { masks, text } = await json<{ masks: { token: string; probability: number }[][]; text: string }>(
      ...['fill', 'runs/tiny', sentence, '--top', '3'],
    );
    assert.deepEqual(
      masks.map((predictions) => predictions.length),
      [3, 3],
    );
    for (const predictions of masks) {
      const probabilities = predictions.map(({ probability }) => probability);
      assert.deepEqual(
        probabilities,
        [...probabilities].sort((a, b) => b - a),
      );
      assert.ok(probabilities[0]! > 1 / 120 && probabilities.reduce((a, b) => a + b, 0) <= 1);
    }
    const [first, second] = masks.map(([best]) => best!.token);
    const joined = (before: string, token = '') =>
      token.startsWith('##') ? before.trimEnd() + token.slice(2) : before + token;
    assert.equal(text, `${joined(`${joined('The ', first)} sees the dog in the `, second)}.`);
  });

  test('tokenizer train writes a tokenizer.json that inspect and pretrain read', async () => {
    await text('tokenizer', 'train', '--data', 'train.txt', '--vocab-size', '100', '--out', 'made/tokenizer.json');
    const shown = await text('tokenizer', 'inspect', 'made/tokenizer.json', 'The CAT sat.');
    assert.match(shown, /^tokens {10}100$/m);
    assert.match(shown, /^special tokens {2}\[PAD\] 0, \[UNK\] 1, \[CLS\] 2, \[SEP\] 3, \[MASK\] 4$/m);
    assert.match(shown, /^text {12}the cat .*\.$/m);
    const { step } = await json<{ step: number }>(
      ...['pretrain', 'tiny.yaml', '--out', 'runs/own', '--set', 'train.steps=1', 'data.tokenizer=made/tokenizer.json'],
    );
    assert.equal(step, 1);
  });

  test('data prepare counts documents and tokens, and does its work once', async () => {
    const words = ['data', 'prepare', 'tiny.yaml', '--data', 'train.txt', 'valid.txt', '--set', 'data.cache=kept'];
    const [first, second] = [await text(...words), await text(...words)];
    assert.match(
      first,
      /^files {6}2: train\.txt, valid\.txt\ndocuments {2}2\ntokens {5}\d+\n\[UNK\] {6}0 % of the characters\ntext {7}0\.0\d+ MB, [\d.,]+ MB\/s\ncached in {2}kept\n$/,
    );
    assert.equal(second, first.replace(/[\d.,]+ MB\/s/, 'already cached'));
  });

  test('commands that tokenise a long text say every few seconds how far they are', async () => {
    writeFileSync(join(folder, 'long.txt'), 'A cat sat on a mat.\n'.repeat(150_000));
    const clock = 'const now = performance.now.bind(performance); performance.now = () => 1000 * now();';
    const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(clock)}` };
    for (const words of [
      ['data', 'prepare', 'tiny.yaml'],
      ['eval', 'runs/tiny', '--limit', '1'],
    ]) {
      const { code, stderr } = await taper([...words, '--data', 'long.txt'], { cwd: folder, env });
      assert.equal(code, 0, stderr);
      assert.match(stderr, /^tokenising the text: [\d.]+ of 3 MB$/m);
    }
  });

  test('data prepare and inspect say how much of a text becomes [UNK], and what helps', async () => {
    writeFileSync(join(folder, 'chinese.txt'), scriptTexts(20_000).chinese!);
    for (const command of ['prepare', 'inspect']) {
      const words = ['data', command, 'tiny.yaml', '--data', 'chinese.txt', '--set', 'model.vocabSize=1000'];
      const { code, stdout, stderr } = await run(...words);
      assert.equal(code, 0, stderr);
      const [, share] = /^\[UNK\] {6}(\d+) % of the characters$/m.exec(stdout)!;
      const warned = new RegExp(
        `^warning: data\\.train: ${share} % of the characters become \\[UNK\\].*; add --set (.*)$`,
        'm',
      );
      const [, advice] = warned.exec(stderr)!;
      const better = await run(...words, advice!);
      assert.match(better.stdout, /^\[UNK\] {6}0 % of the characters$/m);
      assert.doesNotMatch(better.stderr, /warning/);
    }
  });

  test('tokenizer train keeps accents and vowel signs on request', async () => {
    const english = 'A text in which accents are rare. '.repeat(200);
    writeFileSync(join(folder, 'accents.txt'), `${english} Été बिल्ली ผู้. Été बिल्ली ผู้.`);
    const made = ['tokenizer', 'train', '--data', 'accents.txt', '--vocab-size', '200', '--out'];
    await text(...made, 'made/kept.json', '--keep-accents');
    assert.match(await text('tokenizer', 'inspect', 'made/kept.json', 'Été बिल्ली ผู้'), /^text {12}été बिल्ली ผู้$/m);
    await text(...made, 'made/stripped.json');
    assert.match(await text('tokenizer', 'inspect', 'made/stripped.json', 'Été'), /^text {12}ete$/m);
  });

  test('data inspect shows sequences with what has to be found', async () => {
    const shown = await text('data', 'inspect', 'tiny.yaml', '--data', 'train.txt');
    assert.match(shown, /^documents {2}1$/m);
    assert.match(shown, /^padding {4}[\d.]+ %$/m);
    assert.equal(shown.match(/^\[CLS\] .* \[SEP\]$/gm)?.length, 3);
    assert.match(shown, /\{\S+ → \[MASK\]\}/);
    assert.match(shown, /^Some sequences; \{a → b\}: .* reads b: \[MASK\] in 80 % .*\(a → a\) in 10 %/m);
  });

  test('data inspect without a configuration shows the sequences of npm start, and names its configuration', async () => {
    const { code, stdout, stderr } = await run('data', 'inspect', '--data', 'train.txt');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^using configs\/start\.yaml, as npm start does; /m);
    assert.match(stdout, /^sequences {2}\d+ of 64 tokens \(mlm\)$/m);
  });

  const tinyModel = ['--layers', '2', '--hidden', '32', '--heads', '2', '--vocab', '60', '--seq', '16', '--batch', '4'];
  const short = [...tinyModel, '--steps', '2', '--warmup', '1', '--threads', '1'];

  test('bench step times steps, and says how near they come to what the machine can do', async () => {
    const result = await json<BenchResult>('bench', 'step', ...short, '--theta', '0.5');
    assert.equal(result.step_s.length, 2);
    assert.ok(result.step_s_min > 0 && result.mean_layers_run <= 2);
    const achieved = result.gflops_per_s / result.peak_gflops_per_s;
    assert.ok(result.mfu > 0 && result.mfu < 1 && Math.abs(result.mfu - achieved) < 0.01, `${result.mfu} ${achieved}`);
    const work = ({ gflops_per_s, step_s_mean }: BenchResult) => gflops_per_s * step_s_mean;
    const muon = await json<BenchResult>('bench', 'step', ...short, '--optimizer', 'muon');
    const adamw = await json<BenchResult>('bench', 'step', ...short);
    assert.ok(work(muon) > 1.1 * work(adamw), `${work(muon)} ${work(adamw)}`);
  });

  test('bench ops times each operation both ways, and tells its share of a step', async () => {
    const { stepSeconds, operations } = await json<OpTimes>('bench', 'ops', ...short, '--dtype', 'bf16');
    assert.ok(stepSeconds > 0);
    const names = operations.map(({ operation }) => operation);
    for (const name of ['attention', 'gelu', 'linearCrossEntropy', 'adamw']) assert.ok(names.includes(name), name);
    for (const { operation, times, forward, backward, share } of operations) {
      const ms = times * (forward.ms + (backward?.ms ?? 0));
      assert.ok(forward.ms > 0 && Math.abs(share - ms / 1000 / stepSeconds) < 1e-9, operation);
    }
    assert.match(await text('bench', 'ops', ...short), /^operation +times.*\neverything else.*\na step +\d+ ms/s);
  });

  test('each command has a help page whose examples use flags that it lists', async () => {
    const pages = [
      '',
      'pretrain',
      'plan',
      'tune',
      'eval',
      'fill',
      'tokenizer train',
      'tokenizer inspect',
      'data prepare',
      'data inspect',
    ];
    for (const page of pages) {
      const { stdout: help } = await quick([...page.split(' ').filter(Boolean), '--help']);
      const [listed, examples] = help.split(/\nExamples?:\n/);
      assert.ok(examples?.includes(`taper-lm ${page}`.trim()), `${page}: ${help}`);
      if (page === '') continue;
      for (const [flag] of examples!.matchAll(/--[a-z-]+/g)) assert.ok(listed?.includes(flag), `${page}: ${flag}`);
    }
  });

  test('--version is the one of package.json', async () => {
    const packageFile = new URL('../../package.json', import.meta.url);
    const { version } = JSON.parse(readFileSync(packageFile, 'utf8'));
    assert.equal(await text('--version'), `${version}\n`);
  });

  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${signal} finishes the step, saves and exits with ${exitCode}; --resume continues to the end`, async () => {
      const numSteps = 200;
      const name = `runs/${signal}`;
      const at = join(folder, name);
      const long = ['--set', `train.steps=${numSteps}`, 'train.evalEvery=0', 'train.saveEvery=0'];
      const { child, ended } = start(['pretrain', 'tiny.yaml', '--out', name, '--json', ...long], { cwd: folder });
      await untilSteps(at, 3, child);
      child.kill(signal);
      const { code, stdout, stderr } = await ended;
      assert.equal(code, exitCode, stderr);
      const { step, stoppedBy, checkpoint } = JSON.parse(stdout);
      assert.ok(step >= 3 && step < numSteps, `stopped at step ${step}`);
      assert.equal(stoppedBy, signal);
      assert.equal(checkpoint, `${name}/checkpoints/step-${step}`);
      assert.equal(linesOf(at).at(-1)?.step, step);

      const resumed = await json<{ step: number; stoppedBy: null }>('pretrain', '--resume', '--out', name);
      assert.deepEqual([resumed.step, resumed.stoppedBy], [numSteps, null]);
      const steps = linesOf(at).filter(({ type }) => type === 'step');
      assert.deepEqual(
        steps.map((line) => line.step),
        Array.from({ length: numSteps }, (_, i) => i + 1),
      );
    });
  }
});
