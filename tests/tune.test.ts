import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { linesOf, start, taper, untilSteps, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-tune-'));
after(() => rmSync(folder, { recursive: true, force: true }));
before(() => writeTiny(folder));

const settings = ['--set', 'train.peakLearningRate=1e-2', 'train.batchSize=[[0,4],[50,8]]', 'train.steps=100'];
const words = ['tune', 'tiny.yaml', '--steps', '20', '--out', 'rates', ...settings];
const tune = (...more: string[]) => taper([...words, ...more], { cwd: folder });

interface Found {
  best: number;
  steps: number;
  trials: { learningRate: number; loss: number; accuracy: number }[];
}

test('the best of the rates has a worse one on either side, and each run decayed in all its steps', async () => {
  const { code, stdout, stderr } = await tune('--json');
  assert.equal(code, 0, stderr);
  const { best, steps, trials } = JSON.parse(stdout) as Found;
  assert.equal(steps, 20);
  assert.ok(trials.length >= 3);
  assert.ok(trials.every(({ learningRate }, i) => i === 0 || learningRate === 2 * trials[i - 1]!.learningRate));
  const least = trials.reduce((a, b) => (b.loss < a.loss ? b : a));
  assert.ok(least !== trials[0] && least !== trials.at(-1), stdout);
  assert.ok(best >= least.learningRate / 2 ** 0.6 && best <= least.learningRate * 2 ** 0.6, stdout);
  for (const { learningRate, loss } of trials) {
    const lines = linesOf(join(folder, 'rates', `${learningRate}-20`));
    const stepLines = lines.filter(({ type }) => type === 'step');
    assert.equal(Math.max(...stepLines.map((line) => line.learningRate as number)), learningRate);
    assert.ok((stepLines.at(-1)!.learningRate as number) < learningRate / 10);
    assert.deepEqual([stepLines[9]!.samples, stepLines[10]!.samples], [40, 48]); // the batch grows at half the steps, as in the whole run
    assert.equal(lines.at(-1)!.loss, loss);
  }
  assert.match(readFileSync(join(folder, 'rates/learning-rates.svg'), 'utf8'), /Held-out loss after 20 steps/);
});

test('the same command again trains nothing, and its text ends with a command that trains with the best', async () => {
  const trained = () => {
    const runs = readdirSync(join(folder, 'rates')).filter((name) => name.endsWith('-20'));
    return runs.map((name) => [name, readFileSync(join(folder, 'rates', name, 'metrics.jsonl'), 'utf8')]);
  };
  const before = trained();
  const { code, stdout, stderr } = await tune();
  assert.equal(code, 0, stderr);
  assert.deepEqual(trained(), before); // with the clock of each step
  assert.match(stdout, /^learning rate {2}held-out loss {2}accuracy\n/);
  const [, best, command] = /\nbest: (\S+)\n(npx taper-lm pretrain .*)\n$/.exec(stdout)!;
  assert.equal(
    command,
    `npx taper-lm pretrain tiny.yaml --set 'train.batchSize=[[0,4],[50,8]]' train.steps=100 train.peakLearningRate=${best}`,
  );
});

test('a stopped search resumes where it was, to the same numbers', async () => {
  const own = words.map((word) => (word === 'rates' ? 'stopped' : word));
  const { child, ended } = start(own, { cwd: folder });
  await untilSteps(join(folder, 'stopped/0.02-20'), 6, child);
  child.kill('SIGINT');
  const stopped = await ended;
  assert.equal(stopped.code, 130, stopped.stderr);
  assert.equal(stopped.stdout, '');
  const again = await taper([...own, '--json'], { cwd: folder });
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.stdout, (await tune('--json')).stdout);
});

test('where training diverges the search goes down, and says where it ended in vain', async () => {
  const sets = ['--set', 'train.peakLearningRate=1e30', 'train.clipNorm=0'];
  const { code, stderr, stdout } = await taper(['tune', 'tiny.yaml', '--steps', '20', '--out', 'diverging', ...sets], {
    cwd: folder,
  });
  assert.equal(stdout, '');
  assert.equal(code, 2, stderr);
  assert.match(
    stderr,
    /training diverged at every rate from 1e\+30 down to 1\.953125e\+27; start lower, with --set train\.peakLearningRate=1\.953125e\+25/,
  );
});

test('a folder of other settings is refused, with what to do', async () => {
  const { code, stderr } = await tune('train.weightDecay=0.2');
  assert.equal(code, 2);
  assert.match(
    stderr,
    /--out rates: holds runs with other settings or texts; give another folder \(train\.weightDecay: 0\.2/,
  );
});

test('a short run is the whole one made shorter', async () => {
  const sets = [
    'train.steps=1000',
    'train.batchSize=[[0,4],[1,8],[20,12]]',
    'train.schedule=constant',
    'depth.method=pld',
    'depth.gamma=0.1',
    'depth.growAt=[500]',
    'train.finalLearningRate=1e-4',
  ];
  const found = await taper(
    ['tune', 'tiny.yaml', '--steps', '10', '--out', 'short', '--set', 'train.peakLearningRate=1e-2', ...sets],
    { cwd: folder },
  );
  assert.equal(found.code, 0, found.stderr);
  const { train, depth } = JSON.parse(readFileSync(join(folder, 'short/0.02-10/config.json'), 'utf8'));
  assert.deepEqual([train.steps, train.schedule, train.finalLearningRate], [10, 'wsd', 2e-4]);
  assert.deepEqual([depth.gamma, depth.growAt], [10, [5]]);
  assert.equal(train.batchSize, 12); // all three begin within the first of its steps
  assert.match(found.stdout, /train\.peakLearningRate=\S+ train\.finalLearningRate=\S+\n$/);
});

test('wrong input ends with one line, before anything is written', async () => {
  for (const [flags, expected] of [
    [['tune', 'tiny.yaml'], /--out <folder>/],
    [['tune', '--out', 'none'], /no configuration/],
    [['tune', 'tiny.yaml', '--out', 'none', '--steps', '0'], /--steps 0: not an integer ≥ 1/],
    [['tune', 'tiny.yaml', '--out', 'none', '--data', 'nowhere'], /nowhere/],
  ] as const) {
    const { code, stderr } = await taper(flags, { cwd: folder });
    assert.ok(code !== 0, stderr);
    assert.match(stderr, expected);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
  assert.ok(!existsSync(join(folder, 'none')));
});
