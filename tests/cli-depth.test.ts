// plan, compare and analyze, as their users run them.
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stepSeconds } from '../src/train/index.ts';
import { commandsIn, linesOf, sentences, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-depth-'));
const at = (path: string) => join(folder, path);
const { quick, refused } = commandsIn(folder);
const bertBase = ['model.layers=12', 'model.hiddenSize=768', 'depth.method=pld', 'train.steps=200000'];

async function jsonOf(...words: string[]) {
  const { code, stdout, stderr } = await quick(...words, '--json');
  assert.equal(code, 0, stderr);
  assert.equal(stdout.split('\n').length, 2, 'one line');
  return JSON.parse(stdout);
}

after(() => rmSync(folder, { recursive: true, force: true }));

describe('plan', { concurrency: 2 }, () => {
  test('gives the closed forms of the paper: depth 8.75 or 9.25 at the end, a mean θ of 0.505', async () => {
    for (const [profile, depth] of [
      ['linear', 8.75],
      ['linear0', 9.25],
    ] as const) {
      const plan = await jsonOf('plan', '--set', ...bertBase, `depth.profile=${profile}`);
      assert.ok(Math.abs(plan.schedule.at(-1).expectedDepth - depth) < 1e-9);
      assert.ok(Math.abs(plan.meanTheta - 0.505) < 1e-5);
      assert.deepEqual(plan.warnings, []);
    }
  });

  test('warns of a slow γ', async () => {
    const plan = await jsonOf('plan', '--set', ...bertBase, 'train.steps=1000', 'depth.gamma=0.001');
    assert.match(plan.warnings.join(), /gamma: 0\.001 is slow/);
  });

  test('plans every method', async () => {
    const shares: Record<string, number> = {
      dense: 12,
      pld: 8.7825,
      'time-only': 6.065,
      constant: 8.75,
      layerdrop: 6,
      fade: 10.5,
      staged: 9,
      shallow: 9,
      grow: 9, // 3, 6 and 9 blocks in a sixth of the steps each, then 12
    };
    for (const [method, depth] of Object.entries(shares)) {
      const plan = await jsonOf('plan', '--set', ...bertBase, 'train.steps=1000', `depth.method=${method}`);
      assert.ok(Math.abs(plan.meanDepth - depth) < 2e-3, `${method}: ${plan.meanDepth}`);
    }
  });

  test('refuses stages and blocks that do not fit the model', async () => {
    const settings = (...sets: string[]) => ['plan', '--set', ...bertBase, ...sets];
    await refused(settings('depth.method=staged', 'depth.stages=[2, 12]'), /depth\.stages: 2 is not in \(2, 12\]/);
    await refused(settings('depth.method=staged', 'depth.stages=[6, 13]'), /depth\.stages: 13/);
    await refused(settings('depth.method=shallow', 'depth.blocks=13'), /depth\.blocks: 13 is above model\.layers 12/);
    await refused(settings('depth.method=shallow', 'model.norm=post'), /shallow needs model\.norm: pre/);
    await refused(
      settings('depth.method=staged', 'depth.stages=[8, 6]'),
      /depth\.stages: 6 is less than the number before it/,
    );
    const growing = (...sets: string[]) => settings('depth.method=grow', 'train.steps=100', ...sets);
    await refused(growing('depth.growBlocks=[3,6]'), /depth\.growBlocks: ends with 6, but model\.layers is 12/);
    await refused(growing('depth.growBlocks=[6,3,12]'), /depth\.growBlocks: 3 is not more than the number before it/);
    await refused(
      growing('depth.growAt=[20,10]', 'depth.growBlocks=[3,6,12]'),
      /depth\.growAt: 10 is not after the step before it/,
    );
    await refused(growing('depth.growAt=[10,20]'), /depth\.growAt: has 2 steps for the 4 stages of depth\.growBlocks/);
    await refused(growing('depth.growBlocks=[0,12]'), /depth\.newBlocks: copy has nothing to copy/);
    await refused(growing('depth.newBlocks=random', 'depth.newMoments=copy'), /depth\.newMoments: copy needs/);
    await refused(growing('depth.tail=0.1'), /depth\.tail: does not apply to grow/);
    await refused(growing('model.norm=post'), /grow needs model\.norm: pre/);
    await refused(settings('depth.method=pdl'), /depth\.method: .*pld/);
  });

  test('names what a method does not read, and a method that drops nothing', async () => {
    const warningsOf = async (...sets: string[]) =>
      (await jsonOf('plan', '--set', ...bertBase, 'train.steps=1000', ...sets)).warnings.join();
    assert.match(await warningsOf('depth.stages=[6, 12]'), /depth\.stages: a setting of staged/);
    assert.match(await warningsOf('depth.blocks=3'), /depth\.blocks: a setting of shallow/);
    assert.match(
      await warningsOf('depth.method=null', 'depth.thetaBar=0.7'),
      /depth\.thetaBar: a setting of pld, .*; dense ignores it/,
    );
    assert.match(
      await warningsOf('depth.method=grow', 'depth.granularity=exact'),
      /depth\.granularity: .*; grow ignores it/,
    );
    assert.match(
      await warningsOf('depth.thetaBar=1'),
      /pld drops nothing with these settings: every block runs in every step/,
    );
    assert.match(await warningsOf('depth.method=staged', 'model.layers=2'), /staged drops nothing/);
    assert.equal(await warningsOf('depth.method=staged'), '');
    assert.match(await warningsOf('depth.growAt=[5]'), /depth\.growAt: a setting of grow/);
    assert.match(
      await warningsOf('depth.method=grow', 'depth.growBlocks=[3,12]', 'depth.growAt=[1000]'),
      /depth\.growAt: a run of 1,?000 steps ends before the model grows at step 1000/,
    );
  });

  test('shows the beginning of each stage', async () => {
    const plan = await jsonOf('plan', '--set', ...bertBase, 'train.steps=1000', 'depth.method=staged');
    const depths = plan.schedule.map(({ expectedDepth }: { expectedDepth: number }) =>
      Number(expectedDepth.toFixed(6)),
    );
    assert.deepEqual([...new Set(depths)], [6, 8, 10, 12]);
  });

  test('an output folder that cannot be created is reported before the work', async () => {
    const impossible = ['/proc/taper/plan.svg', 'tiny.yaml/plan.svg'];
    writeTiny(folder);
    for (const path of impossible) await refused(['plan', '--set', ...bertBase, '--svg', path], /cannot be written/);
  });

  test('--svg draws keep rates over steps and blocks', async () => {
    const { code, stderr } = await quick('plan', '--set', ...bertBase, '--svg', 'pictures/plan.svg');
    assert.equal(code, 0, stderr);
    const svg = readFileSync(at('pictures/plan.svg'), 'utf8');
    assert.match(svg, /^<svg/);
    assert.match(svg, />block</);
  });

  test('--measure says how long the run will take, dense and with the method', async () => {
    const small = [
      'data.sequenceLength=32',
      'model.layers=8',
      'model.hiddenSize=64',
      'model.vocabSize=16000',
      'depth.method=pld',
      'train.steps=3600',
      'train.threads=1',
      'train.batchSize=16',
    ];
    for (const microBatchSize of [16, 4]) {
      const { measured, meanDepth, meanUpdated } = await jsonOf(
        'plan',
        '--measure',
        '--set',
        ...small,
        `train.microBatchSize=${microBatchSize}`,
      );
      const { stepTimes, denseHours, hours, timeSaved } = measured;
      assert.ok(hours > 0 && hours < denseHours, JSON.stringify(measured));
      const microBatches = 16 / microBatchSize;
      const hoursOf = (depth: number, updated: number) =>
        (3600 * stepSeconds(stepTimes[0], { depth, updated, microBatches })) / 3600;
      assert.deepEqual([denseHours, hours], [hoursOf(8, 8), hoursOf(meanDepth, meanUpdated)]);
      assert.equal(timeSaved, 1 - hours / denseHours);
      const { sizes, fastest } = measured.microBatches;
      assert.deepEqual(
        sizes.map(({ size }: { size: number }) => size),
        [16, 8, 4, 2],
      );
      const least = Math.min(...sizes.map(({ seconds }: { seconds: number }) => seconds));
      assert.ok(least > 0);
      assert.equal(sizes.find(({ size }: { size: number }) => size === fastest).seconds, least);
    }
  });
});

describe('compare and analyze', { concurrency: 2 }, () => {
  before(async () => {
    writeTiny(folder);
    const train = (out: string, ...sets: string[]) => quick('pretrain', 'tiny.yaml', '--out', out, '--set', ...sets);
    // One after the other: the first leaves the tokenised texts for the others.
    for (const [out, ...sets] of [
      ['dense', 'depth.method=dense', 'train.steps=6'],
      ['pld', 'train.steps=4'],
      ['sequence', 'depth.granularity=sequence', 'train.steps=4'],
      ['seed', 'train.steps=4', 'train.seed=2'],
      ['rate', 'train.steps=4', 'data.maskRate=0.3'],
    ] as const) {
      const { code, stderr } = await train(out, ...sets);
      assert.equal(code, 0, stderr);
    }
    writeFileSync(at('other.txt'), sentences(400, 9));
    const other = await quick('pretrain', 'tiny.yaml', '--out', 'other', '--data', 'other.txt');
    assert.equal(other.code, 0, other.stderr);
  });

  test('compare answers for runs of different length, and its numbers are those of the metrics', async () => {
    const { equal, loss, runs } = await jsonOf('compare', 'dense', 'pld');
    const evals = (name: string) => linesOf(at(name)).filter(({ type }) => type === 'eval');
    assert.equal(equal.samples, 32);
    assert.equal(runs[0].last.step, 6);
    assert.equal(runs[0].lossAtEqual.samples, evals('dense').find(({ step }) => step === 4)!.loss);
    assert.equal(runs[1].lossAtEqual.samples, evals('pld').at(-1)!.loss);
    assert.equal(loss, Math.max(evals('dense').at(-1)!.loss as number, evals('pld').at(-1)!.loss as number));
    const flops = linesOf(at('pld'))
      .filter(({ type }) => type === 'step')
      .map((line) => line.flops as number);
    assert.ok(Math.abs(runs[1].last.flops / flops.reduce((a, b) => a + b) - 1) < 1e-12);
  });

  test('compare puts seeds together, and shows tables', async () => {
    const { settings } = await jsonOf('compare', 'pld', 'seed', 'sequence');
    assert.deepEqual(
      settings.map(({ runs }: { runs: string[] }) => runs),
      [['pld', 'seed'], ['sequence']],
    );
    const { stdout } = await quick('compare', 'dense', 'pld', '--loss', '0.01');
    for (const part of ['run', 'at 32 samples', 'Cost of reaching held-out loss 0.0100', 'never'])
      assert.ok(stdout.includes(part), stdout);
  });

  test('compare --out writes the curves', async () => {
    const { code, stderr } = await quick('compare', 'dense', 'pld', '--out', 'curves');
    assert.equal(code, 0, stderr);
    assert.deepEqual(readdirSync(at('curves')).sort(), [
      'comparison.json',
      'loss-by-flops.svg',
      'loss-by-samples.svg',
      'loss-by-seconds.svg',
    ]);
    for (const name of ['dense', 'pld'])
      assert.ok(readFileSync(at('curves/loss-by-flops.svg'), 'utf8').includes(`>${name}<`));
  });

  test('compare refuses what cannot be compared, and says why', async () => {
    await refused(['compare', 'dense'], /one run cannot be compared; give two or more/);
    await refused(['compare', 'dense', 'nowhere'], /nowhere: config\.json or metrics\.jsonl is missing/);
    await refused(['compare', 'dense', 'rate'], /rate: was evaluated with data\.maskRate 0\.3, dense with 0\.15/);
    await refused(['compare', 'dense', 'other'], /other: its tokenizer differs from that of dense/);
    await refused(['compare', 'dense', 'pld', '--loss', 'low'], /--loss/);
    await refused(['compare', 'dense', 'pld', '--loss', '99'], /the target loss 99 is not below/);
    await refused(['compare', 'dense', './dense/'], /\.\/dense\/: given twice/);
  });

  test('a run without evaluations, with a loss that is not a number, or that is still running gets a clear answer', async () => {
    for (const name of ['empty', 'nan', 'going']) cpSync(at('pld'), at(name), { recursive: true });
    const lines = readFileSync(at('pld/metrics.jsonl'), 'utf8').split('\n');
    writeFileSync(at('empty/metrics.jsonl'), lines.filter((line) => !line.includes('"eval"')).join('\n'));
    await refused(
      ['compare', 'dense', 'empty'],
      /empty: has 0 evaluations on held-out text, but a comparison needs 2; train longer/,
    );
    writeFileSync(
      at('nan/metrics.jsonl'),
      lines.join('\n').replace(/("type":"eval","step":4.*?"loss":)[\d.]+/, '$1null'),
    );
    await refused(['compare', 'dense', 'nan'], /nan: the held-out loss at step 4 is not a number: training diverged/);
    const lastEvaluation = lines.findLastIndex((line) => line.includes('"eval"'));
    writeFileSync(at('going/metrics.jsonl'), `${lines.slice(0, lastEvaluation - 1).join('\n')}\n`);
    writeFileSync(at('going/lock'), `${process.pid}\n`);
    const { code, stdout, stderr } = await quick('compare', 'dense', 'going', '--json');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /going: is still training, at step 3 of 4; it is compared up to there/);
    assert.equal(JSON.parse(stdout).runs[1].last.step, 2);
    writeFileSync(at('empty/metrics.jsonl'), 'null\n');
    await refused(['compare', 'dense', 'empty'], /metrics\.jsonl:1: neither a step nor an evaluation/);
    writeFileSync(at('empty/metrics.jsonl'), lines.join('\n').replace(/"flops":\d+,/, ''));
    await refused(['compare', 'dense', 'empty'], /empty: metrics\.jsonl has no number for flops at step 1/);
    writeFileSync(
      at('empty/metrics.jsonl'),
      lines.join('\n').replace(/("type":"eval","step":2.*?"tokens":)\d+/, '$17'),
    );
    await refused(
      ['compare', 'dense', 'empty'],
      /empty: the first evaluation is over \d+ tokens, the one at step 2 over 7\d*;/,
    );
    cpSync(at('pld'), at('young'), { recursive: true });
    rmSync(at('young/checkpoints'), { recursive: true });
    await refused(['compare', 'dense', 'young'], /young: this run has no checkpoint yet/);
    writeFileSync(at('empty/config.json'), '{"model": {}}');
    await refused(['compare', 'dense', 'empty'], /^taper: empty\/config\.json: /);
    writeFileSync(at('empty/config.json'), '{"model": ');
    await refused(['compare', 'dense', 'empty'], /empty\/config\.json: broken YAML/);
    appendFileSync(at('going/metrics.jsonl'), '{"type": "ev');
    assert.equal((await quick('compare', 'dense', 'going')).code, 0, 'a line that is being written is left out');
  });

  test('analyze writes its figures and the numbers behind them', async () => {
    const analysis = await jsonOf('analyze', 'pld', '--data', 'valid.txt', '--out', 'analysis');
    assert.deepEqual(readdirSync(at('analysis')).sort(), [
      'analysis.json',
      'angles.svg',
      'distances.svg',
      'gradient-norms.svg',
      'lesions.svg',
      'norm-ratios.svg',
    ]);
    assert.deepEqual(JSON.parse(readFileSync(at('analysis/analysis.json'), 'utf8')), analysis);
    for (const key of ['parameterNorms', 'normRatios', 'withoutBlock', 'withoutLast', 'distances', 'angles']) {
      assert.equal(analysis[key].length, 2, key);
      for (const value of analysis[key]) assert.ok(Number.isFinite(value), key);
    }
    const evaluation = await jsonOf('eval', 'pld', '--data', 'valid.txt', '--limit', '128');
    assert.equal(analysis.loss, evaluation.loss);
    assert.equal(analysis.sequences, evaluation.sequences);
    const { stdout } = await quick('analyze', 'pld', '--data', 'valid.txt', '--out', 'analysis', '--limit', '8');
    assert.match(stdout, /on 8 sequences/);
  });

  test('a block that shallow leaves out is the identity in the model that comes of it', async () => {
    const { code, stderr } = await quick(
      'pretrain',
      'tiny.yaml',
      '--out',
      'shallow',
      '--set',
      'depth.method=shallow',
      'depth.blocks=1',
    );
    assert.equal(code, 0, stderr);
    const { loss, withoutBlock, distances, angles } = await jsonOf(
      'analyze',
      'shallow',
      '--data',
      'valid.txt',
      '--out',
      'shallow-figures',
    );
    assert.equal(withoutBlock[1], loss);
    assert.deepEqual([distances[1], angles[1]], [0, 0]);
    assert.notEqual(withoutBlock[0], loss);
    for (const line of linesOf(at('shallow'))) if (line.type === 'step') assert.equal(line.depth, 1);
  });

  test('analyze refuses what is no checkpoint', async () => {
    await refused(['analyze', 'nowhere', '--data', 'valid.txt', '--out', 'x'], /nowhere: no such folder/);
    await refused(['analyze', 'pld', '--data', 'nothing.txt', '--out', 'x'], /nothing\.txt/);
  });
});
