// Runs whose numbers are not finite, settings that a run cannot resume with, and folders that are not taper's: what is
// kept, what is refused, and that the command in the message works.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { loadWeights, openCheckpoint, writeCheckpoint } from '../src/checkpoints/index.ts';
import { commandsIn, linesOf, sentences, start, typed, untilSteps, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-divergence-'));
const at = (...path: string[]) => join(folder, ...path);
const { done, quick, refused } = commandsIn(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

const checkpoints = (out: string) => readdirSync(at(out, 'checkpoints')).sort();
const configOf = (out: string) => JSON.parse(readFileSync(at(out, 'config.json'), 'utf8'));

/** Runs the command in a message, and gives the folder that it trained into. */
async function follow(message: string): Promise<string> {
  const { code, stderr } = await typed(message, { cwd: folder });
  assert.equal(code, 0, `${message}\n${stderr}`);
  return /--out (\S+)/.exec(message)![1]!;
}

suite('taper', { concurrency: 2 }, () => {
  before(async () => {
    writeTiny(folder);
    await done('pretrain', 'tiny.yaml', '--out', 'base', '--set', 'train.precision=fp32', 'train.seed=5');
  });

  test('a run that diverges keeps its good checkpoints, however often it is resumed, and says how to continue from them', async () => {
    // So long a warm-up that the first steps are small; as a run of few steps it continues with 1e12.
    const endless = ['train.steps=9000000000000000', 'train.peakLearningRate=1e13', 'train.warmupRatio=0.99'];
    const sets = ['depth.method=dense', 'train.precision=fp32', 'train.saveEvery=2', 'train.evalEvery=0'];
    const words = ['pretrain', 'tiny.yaml', '--out', 'late', '--quiet', '--set', ...endless, ...sets];
    const { child, ended } = start(words, { cwd: folder });
    await untilSteps(at('late'), 6, child);
    child.kill('SIGTERM');
    assert.equal((await ended).code, 143);
    const good = checkpoints('late');
    let message = '';
    for (let i = 0; i < 3; i++) {
      const steps = `train.steps=${linesOf(at('late')).length + 20}`;
      const { code, stderr } = await quick('pretrain', '--out', 'late', '--resume', '--quiet', '--set', steps);
      assert.equal(code, 2, stderr);
      message = stderr.trimEnd().split('\n').at(-1)!;
      assert.match(
        message,
        /^taper: training diverged: .*not finite.*; start a new run from late\/checkpoints\/step-\d+ /,
      );
      assert.deepEqual(checkpoints('late'), good);
    }
    const out = await follow(message);
    assert.deepEqual([out, configOf(out).train.peakLearningRate], ['late-2', 0.001]);
    const losses = linesOf(at(out)).map(({ loss }) => Number(loss));
    assert.ok(losses.every(Number.isFinite) && losses[0]! < 5.2, `${losses}: it began with what was learnt`);
  });

  test('a learning rate of 1e30 leaves no checkpoint, and the advice after it trains', async () => {
    for (const when of [
      ['train.saveEvery=1', 'train.evalEvery=0'],
      ['train.saveEvery=0', 'train.evalEvery=0', 'train.steps=3'],
      ['train.evalEvery=1'],
    ]) {
      const out = `huge-${when.length}`;
      const words = ['--out', out, '--set', 'train.peakLearningRate=1e30', 'train.steps=12', ...when];
      const { code, stderr, stdout } = await quick('pretrain', 'tiny.yaml', ...words);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(
        stderr,
        /^taper: training diverged: .* with a lower learning rate.*: npx taper-lm pretrain \S+\/config.json --set/m,
      );
      assert.ok(!readdirSync(at(out)).includes('checkpoints'), stderr);
      await follow(stderr.trimEnd());
    }
  });

  test('a model whose weights are finite and whose predictions are not is refused wherever it is used', async () => {
    const checkpoint = openCheckpoint(at('base'), assert.fail);
    const weights = loadWeights(checkpoint, checkpoint.config.model, 'cpu');
    for (const weight of weights.values()) weight.mul_(1e18);
    writeCheckpoint(at('exploded'), { ...checkpoint, weights });
    const reason =
      /^taper: exploded: training had diverged: the predictions of this model are not finite; use an earlier checkpoint$/;
    await refused(['fill', 'exploded', 'The [MASK] sees.'], reason);
    await refused(['eval', 'exploded', '--data', 'valid.txt'], reason);
    await refused(['analyze', 'exploded', '--data', 'valid.txt', '--out', 'analysis'], reason);
    await refused(['export', 'exploded', '--to', 'hf', '--out', 'exploded-hf'], reason);
    await refused(['export', 'exploded', '--to', 'onnx', '--out', 'exploded-onnx'], reason);
    writeFileSync(at('two.csv'), `text,label\n${'a cat,1\na dog,2\n'.repeat(4)}`);
    const table = ['--train', 'two.csv', '--dev', 'two.csv', '--text', 'text', '--label', 'label'];
    await refused(['finetune', 'exploded', ...table, '--out', 'exploded-tuned'], reason);
    await refused(
      ['pretrain', 'tiny.yaml', '--from', 'exploded', '--out', 'from-exploded', '--quiet'],
      /exploded has itself diverged/s,
    );
  });

  test('a model whose loss was too large for its perplexity, or not finite, is exported with a card that says so', async () => {
    for (const [name, loss, text] of [
      ['high', 38154.25, 'Held-out loss 38154.250 nats, perplexity not finite.'],
      ['endless', null, 'Held-out loss not finite, perplexity not finite.'],
    ] as const) {
      cpSync(at('base'), at(name), { recursive: true });
      const file = at(name, 'metrics.jsonl');
      const lines = readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      const last = { ...lines.findLast(({ type }) => type === 'eval'), loss, perplexity: null };
      writeFileSync(file, [...lines, last].map((line) => `${JSON.stringify(line)}\n`).join(''));
      await done('export', name, '--to', 'hf', '--out', `${name}-hf`);
      assert.ok(readFileSync(at(`${name}-hf`, 'README.md'), 'utf8').includes(text));
    }
  });

  const settings: [string[], RegExp, (config: ReturnType<typeof configOf>) => unknown, unknown][] = [
    [
      ['train.batchSize=16'],
      /train\.batchSize: 16, but the run was started with 8/,
      ({ train }) => train.batchSize,
      16,
    ],
    [['train.peakLearningRate=1e-4'], /peakLearningRate: 0\.0001/, ({ train }) => train.peakLearningRate, 1e-4],
    [['data.sequenceLength=16'], /sequenceLength: 16/, ({ data }) => data.sequenceLength, 16],
    [
      ['train.precision=bf16', 'train.seed=7'],
      /train\.precision: "bf16"/,
      ({ train }) => [train.precision, train.seed],
      ['bf16', 7],
    ],
    [['model.layers=3'], /model\.layers: 3, but the checkpoint has 2/, ({ model }) => model.layers, 3],
    [['data.lowercase=false'], /data\.lowercase/, ({ data }) => data.lowercase, false],
    [['train.steps=2'], /train\.steps: 2, but the run has already done 4/, ({ train }) => train.steps, 2],
  ];
  for (const [sets, reason, found, expected] of settings) {
    test(`resuming with ${sets.join(' ')} is refused with a command that trains a new run so`, async () => {
      const out = `with-${settings.findIndex(([other]) => other === sets)}`;
      cpSync(at('base'), at(out), { recursive: true });
      const { code, stderr } = await quick('pretrain', '--out', out, '--resume', '--set', ...sets);
      assert.equal(code, 2, stderr);
      assert.match(stderr, reason);
      const next = await follow(stderr.trimEnd());
      assert.deepEqual(found(configOf(next)), expected);
      assert.equal(configOf(next).train.from, /lowercase|layers/.test(sets[0]!) ? undefined : out);
    });
  }

  test('resuming with other texts, and with a tokenizer, is refused with a command that trains a new run on them', async () => {
    cpSync(at('base'), at('texts'), { recursive: true });
    writeFileSync(at('more texts.txt'), sentences(200, 9));
    const words = ['pretrain', '--out', 'texts', '--resume', '--data', 'more texts.txt'];
    const { stderr } = await quick(...words);
    assert.match(
      stderr,
      /^taper: texts: the texts differ from those .* --from texts --set 'data.train=\["more texts.txt"\]' --out texts-2$/m,
    );
    await follow(stderr.trimEnd());
    // A run that names a tokenizer, from whose checkpoint another begins, which has it already.
    const tokenizer = 'data.tokenizer=base/checkpoints/step-4/tokenizer.json';
    await done('pretrain', 'tiny.yaml', '--out', 'named', '--set', tokenizer, 'train.steps=2');
    const { stderr: named } = await quick('pretrain', '--out', 'named', '--resume', '--set', 'train.seed=9');
    assert.match(named, /--from named --set train\.seed=9 data\.tokenizer=null/);
    await follow(named.trimEnd());
  });

  test('a checkpoint that is none is refused alike by every command, with what to give instead', async () => {
    await done('export', 'base', '--to', 'hf', '--out', 'hf');
    mkdirSync(at('all'));
    for (const name of ['a', 'b']) cpSync(at('base'), at('all', name), { recursive: true });
    const commands = (path: string) => [
      ['pretrain', 'tiny.yaml', '--from', path, '--out', 'never'],
      ['eval', path, '--data', 'valid.txt'],
      ['export', path, '--to', 'hf', '--out', 'never'],
      ['analyze', path, '--data', 'valid.txt', '--out', 'never-analysis'],
    ];
    const [first] = commands('hf');
    const { stderr } = await quick(...first!);
    assert.match(stderr, /^taper: hf: is a Hugging Face folder; .*: npx taper-lm import hf --out models\/hf$/m);
    await follow(stderr.trimEnd());
    for (const words of commands('hf').slice(1)) await refused(words, /is a Hugging Face folder/);
    const used = (path: string) => [
      ['fill', path, '[MASK]'],
      ['generate', path, 'The'],
    ];
    for (const words of [...commands('all'), ...used('all')])
      await refused(words, /all: is not a run .*: all\/[ab], all\/[ab]$/);
    await refused(commands('train.txt')[0]!, /train\.txt: is a file/);
    await refused(
      ['pretrain', '--resume', '--out', 'all'],
      /all holds no run; give one of these with --out: all\/[ab], all\/[ab]$/,
    );
  });

  test('an --out that is neither new, empty nor a run is refused before any work, and left as it was', async () => {
    const before = readdirSync(at('base/checkpoints'));
    mkdirSync(at('notes'));
    writeFileSync(at('notes/todo.md'), 'all of it');
    for (const extra of [[], ['--resume']]) {
      for (const out of ['notes', 'hf-out', 'base/checkpoints', 'base/checkpoints/step-4']) {
        if (out === 'hf-out') {
          mkdirSync(at(out), { recursive: true });
          writeFileSync(at(out, 'config.json'), '{"model_type":"bert"}');
        }
        await refused(
          ['pretrain', 'tiny.yaml', '--out', out, ...extra],
          /--out \S+: is neither empty nor a run; give a new folder/,
        );
      }
      await refused(['pretrain', 'tiny.yaml', '--out', 'train.txt', ...extra], /--out train\.txt: is a file/);
    }
    assert.equal(readFileSync(at('hf-out/config.json'), 'utf8'), '{"model_type":"bert"}');
    assert.deepEqual(readdirSync(at('base/checkpoints')), before);
    mkdirSync(at('kept'));
    writeFileSync(at('kept/.gitkeep'), '');
    await done('pretrain', 'tiny.yaml', '--out', 'kept', '--quiet', '--set', 'train.steps=1');
  });

  test('a tokenizer that does not know the text is reported with its source', async () => {
    writeFileSync(at('greek.txt'), 'αβγ δεζ ηθι κλμ νξο πρσ τυφ χψω. '.repeat(200));
    writeFileSync(
      at('many.txt'),
      Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(0x4e00 + i))
        .join(' ')
        .repeat(3),
    );
    const greek = ['pretrain', 'tiny.yaml', '--data', 'greek.txt', '--out', 'greek', '--quiet'];
    const own = 'data.valid=[]';
    await refused(
      [...greek, '--set', own, '--from', 'base'],
      /train\.from: base has a tokenizer that knows only \d+ % .*; give text/s,
    );
    await refused(
      [...greek, '--set', own, 'data.tokenizer=base/checkpoints/step-4/tokenizer.json'],
      /data\.tokenizer: knows only \d+ %.*leave it out/,
    );
    await refused(
      ['pretrain', 'tiny.yaml', '--data', 'many.txt', '--out', 'many', '--quiet', '--set', own],
      /model\.vocabSize: .*knows only \d+ %.*; raise it/,
    );
  });
});
