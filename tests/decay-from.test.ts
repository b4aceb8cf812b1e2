import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadConfig } from '../src/index.ts';
import { learningRate } from '../src/optimizers/index.ts';
import { commandsIn, type Line, linesOf, start, untilSteps, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-decay-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (path: string) => join(folder, path);
const { quick } = commandsIn(folder);

const settings = [
  ...['train.steps=12', 'train.saveEvery=4', 'train.keepCheckpoints=10', 'train.evalEvery=4', 'train.precision=bf16'],
  ...['train.optimizer=muon', 'train.schedule=constant', 'train.warmupRatio=0.2', 'model.dropout=0.1'],
];

/** The checksum of each file below a folder, by its path there. */
function filesOf(path: string): Record<string, string> {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(path, name)).isFile(),
  );
  const sum = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(path, name)))
      .digest('hex');
  return Object.fromEntries(files.sort().map((name) => [name, sum(name)]));
}

const weightsOf = (run: string, step: number) => {
  const sums = filesOf(at(`${run}/checkpoints/step-${step}`));
  return [sums['model.safetensors'], sums['optimizer.safetensors']];
};

const stepsOf = (run: string) => linesOf(at(run)).filter(({ type }) => type === 'step');
const numbersOf = ({ step, loss, learningRate, theta, keepRates, gradientNorm }: Line) => ({
  ...{ step, loss, learningRate, theta, keepRates, gradientNorm },
});

const decay = (from: string, out: string, ...more: string[]) =>
  quick('pretrain', '--decay-from', from, '--out', out, ...more);

before(async () => {
  writeTiny(folder);
  for (const words of [
    ['pretrain', 'tiny.yaml', '--out', 'long', '--set', ...settings],
    ['export', 'long', '--to', 'hf', '--out', 'hugging-face'],
    ['import', 'hugging-face', '--out', 'weights'],
  ]) {
    const { code, stderr } = await quick(...words);
    assert.equal(code, 0, stderr);
  }
});

test('two branches off one run are the same when they are repeated, and leave it as it was', async () => {
  const untouched = filesOf(at('long'));
  for (const step of [4, 8]) {
    for (const out of [`a-${step}`, `b-${step}`]) {
      const { code, stderr } = await decay(`long@${step}`, out, '--steps', '4');
      assert.equal(code, 0, stderr);
    }
    assert.deepEqual(weightsOf(`a-${step}`, step + 4), weightsOf(`b-${step}`, step + 4));
    assert.deepEqual(stepsOf(`a-${step}`).map(numbersOf), stepsOf(`b-${step}`).map(numbersOf));
  }
  assert.deepEqual(filesOf(at('long')), untouched);
  assert.notDeepEqual(weightsOf('a-4', 8), weightsOf('long', 8));
});

test('a branch continues where the run was: its first loss is that of the run, and the learning rate falls from the peak', async () => {
  const { code, stderr } = await decay('long@4', 'linear', '--steps', '6', '--set', 'train.decayShape=linear');
  assert.equal(code, 0, stderr);
  const [branch, long] = [stepsOf('linear'), stepsOf('long')];
  assert.deepEqual(
    branch.map(({ step }) => step),
    [5, 6, 7, 8, 9, 10],
  );
  assert.equal(branch[0]!.loss, long[4]!.loss);
  const { train } = loadConfig({ file: at('long/config.json') }).config;
  const peak = train.peakLearningRate;
  const compared = await quick('compare', 'long', 'linear');
  assert.equal(compared.code, 2);
  assert.match(compared.stderr, /linear: its metrics begin at step 5, .*compare whole runs, not branches/m);
  const rates = branch.map(({ learningRate }) => learningRate as number);
  for (const [i, rate] of rates.entries()) assert.ok(Math.abs(rate - peak * (1 - i / 6)) < 1e-12, `${rates}`);
  const settings = loadConfig({ file: at('linear/config.json') }).config.train;
  for (const step of [0, 1, 2, 3]) assert.equal(learningRate(settings)(step), learningRate(train)(step));
});

test('θ of a branch is that of a run of as many steps', async () => {
  const pld = ['train.steps=10', 'depth.method=pld', 'depth.gamma=20/T', 'train.warmupRatio=0.24'];
  const whole = ['pretrain', 'tiny.yaml', '--out', 'ten', '--set', ...settings, ...pld];
  const long = ['pretrain', 'tiny.yaml', '--out', 'long-pld', '--set', ...settings, ...pld, 'train.steps=12'];
  for (const words of [whole, long]) {
    const { code, stderr } = await quick(...words);
    assert.equal(code, 0, stderr);
  }
  const { code, stderr } = await decay('long-pld@4', 'branch-pld', '--steps', '6');
  assert.equal(code, 0, stderr);
  const thetas = (run: string) => stepsOf(run).map(({ theta }) => theta);
  assert.deepEqual(thetas('branch-pld'), thetas('ten').slice(4));
  assert.notDeepEqual(thetas('branch-pld'), thetas('long-pld').slice(4, 10));
});

test('a branch that is killed resumes bit for bit, before its first checkpoint and after it', async () => {
  const whole = await decay('long@8', 'whole', '--steps', '8', '--set', 'train.saveEvery=3');
  assert.equal(whole.code, 0, whole.stderr);
  let words = ['--decay-from', 'long@8', '--steps', '8', '--set', 'train.saveEvery=3'];
  for (const steps of [1, 5]) {
    const { child, ended } = start(['pretrain', '--out', 'killed', ...words], { cwd: folder });
    await untilSteps(at('killed'), steps, child);
    child.kill('SIGKILL');
    await ended;
    words = ['--resume'];
  }
  const { code, stderr } = await quick('pretrain', '--out', 'killed', '--resume');
  assert.equal(code, 0, stderr);
  assert.deepEqual(weightsOf('killed', 16), weightsOf('whole', 16));
  assert.deepEqual(stepsOf('killed').map(numbersOf), stepsOf('whole').map(numbersOf));
});

for (const [what, words, message] of [
  [
    'a step that was not saved',
    ['--decay-from', 'long@5', '--steps', '4'],
    /no checkpoint of step 5; use one of 4, 8, 12 /,
  ],
  ['no number of steps', ['--decay-from', 'long@4'], /--steps: missing/],
  ['a decay of no steps', ['--decay-from', 'long@4', '--steps', '0'], /--steps 0: not an integer ≥ 1/],
  ['a configuration beside it', ['tiny.yaml', '--decay-from', 'long@4', '--steps', '4'], /leave out CONFIG/],
  ['no such run', ['--decay-from', 'nowhere@4', '--steps', '4'], /nowhere/],
  ['steps alone', ['tiny.yaml', '--steps', '4'], /--steps: works only with --decay-from; give --set train\.steps=4/],
  [
    'another batch size',
    ['--decay-from', 'long@4', '--steps', '4', '--set', 'train.batchSize=16'],
    /train\.batchSize: 16, but the run was started with .*; leave it as it was, or start a run from only its weights, with --from/,
  ],
  [
    'another length',
    ['--decay-from', 'long@4', '--steps', '4', '--set', 'train.steps=20'],
    /--set train\.steps=20: --decay-from and --steps set when/,
  ],
  [
    'a branch of a branch that decays',
    ['--decay-from', 'a-4@8', '--steps', '4'],
    /a-4\/checkpoints\/step-8 is .*, not its peak/,
  ],
  [
    'a model without an optimizer',
    ['--decay-from', 'weights', '--steps', '4'],
    /weights: has no optimizer state to continue with; start a new run from its weights \(--from\)/,
  ],
] as [string, string[], RegExp][]) {
  test(`one line for ${what}`, async () => {
    const { code, stderr } = await quick('pretrain', '--out', 'wrong', ...words);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  });
}

test('a checkpoint in a folder of its own has branches, and a branch can be a new run', async () => {
  cpSync(at('long/checkpoints/step-4'), at('copied'), { recursive: true });
  const branch = await decay('copied', 'of-copy', '--steps', '4');
  assert.equal(branch.code, 0, branch.stderr);
  assert.deepEqual(weightsOf('of-copy', 8), weightsOf('a-4', 8));

  const changed = await quick('pretrain', '--out', 'of-copy', '--resume', '--set', 'train.seed=2');
  assert.equal(changed.code, 2, changed.stderr);
  const [, command] = /start a new run: npx taper-lm (.*)/.exec(changed.stderr) ?? [];
  assert.match(command!, /--from of-copy --set train.seed=2 train.decayFrom=null --out of-copy-2/);
  const anew = await quick(...command!.split(' '));
  assert.equal(anew.code, 0, anew.stderr);
  assert.equal(stepsOf('of-copy-2')[0]!.step, 1);
});

test('two ranks with a divided optimizer decay as one process does', async () => {
  const sets = ['--set', 'train.shardOptimizer=true'];
  const words = [
    'launch',
    '--processes',
    '2',
    'pretrain',
    '--decay-from',
    'long@8',
    '--steps',
    '4',
    '--out',
    'ranks',
    ...sets,
  ];
  const { code, stderr } = await quick(...words);
  assert.equal(code, 0, stderr);
  const [two, one] = [stepsOf('ranks'), stepsOf('a-8')];
  assert.deepEqual(
    two.map(({ step, learningRate, theta }) => ({ step, learningRate, theta })),
    one.map(({ step, learningRate, theta }) => ({ step, learningRate, theta })),
  );
  for (const [i, { loss }] of two.entries())
    assert.ok(Math.abs((loss as number) - (one[i]!.loss as number)) < 0.01, `${loss} ${one[i]!.loss}`); // bfloat16
});

test('a run whose learning rate falls already has no branches', async () => {
  const sets = [...settings, 'train.schedule=linear'];
  const run = await quick('pretrain', 'tiny.yaml', '--out', 'falling', '--set', ...sets);
  assert.equal(run.code, 0, run.stderr);
  const { code, stderr } = await decay('falling@8', 'wrong', '--steps', '4');
  assert.equal(code, 2, stderr);
  assert.match(stderr, /the learning rate of falling\/checkpoints\/step-8 is .*, not its peak/);
});
