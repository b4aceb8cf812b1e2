// cspell:ignore pretrian
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { quickTaper, sentences, taper, writeTiny } from './cli.fixture.ts';

// What a user can get wrong: each time exit code 2, one line on standard error, and nothing half-written.

let folder: string;
let numRefusedRuns = 0;

const at = (path: string) => join(folder, path);

const quick = quickTaper(() => folder);

/** Runs a command that has to be refused in one line that matches, with nothing on standard output. */
async function refused(words: readonly string[], message: RegExp, program?: string): Promise<void> {
  const { code, stdout, stderr } = await (program === undefined
    ? quick(words)
    : taper(words, { cwd: folder, program }));
  assert.match(stderr, /^taper: [^\n]+\n$/, 'one line');
  assert.match(stderr, message);
  assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
}

/** Tries to train into a new run, which has to be refused before the run is there. */
async function refusedRun(words: readonly string[], message: RegExp): Promise<void> {
  numRefusedRuns += 1;
  const out = `runs/refused-${numRefusedRuns}`;
  // A cache of its own: the tests run side by side, and another's unfinished work is no mistake of this one.
  const cache = `cache/refused-${numRefusedRuns}`;
  await refused(['pretrain', 'tiny.yaml', '--out', out, '--set', `data.cache=${cache}`, ...words], message);
  assert.ok(!existsSync(at(out)), 'no run is left');
  const left = existsSync(at(cache)) ? readdirSync(at(cache)).filter((name) => /building|partial/.test(name)) : [];
  assert.deepEqual(left, [], 'nothing half-written is left');
}

/** A copy of the trained run that a test may break. */
function copyOfRun(name: string): string {
  cpSync(at('runs/tiny'), at(name), { recursive: true });
  return name;
}

suite('taper refuses', { concurrency: 2 }, () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'taper-mistakes-'));
    writeTiny(folder);
    writeFileSync(at('ds.json'), '{"train_micro_batch_size_per_gpu": 4}');
    const { code, stderr } = await taper(['pretrain', 'tiny.yaml'], { cwd: folder });
    assert.equal(code, 0, stderr);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const settings: [string, RegExp][] = [
    ['depth.thetaBr=0.4', /depth\.thetaBr: unknown key; did you mean depth\.thetaBar\?/],
    ['depth.thetaBar=1.4', /depth\.thetaBar: 1\.4 is not in \(0, 1\]; 0\.5 is the paper's/],
    ['train.steps=many', /train\.steps: "many" is not an integer ≥ 1/],
    ['data.sequenceLength=64', /data\.sequenceLength: 64 is above model\.maxPositions 32/],
    ['model.heads=3', /model\.heads: 3 does not divide model\.hiddenSize 32/],
    ['train.microBatchSize=3', /train\.microBatchSize: 3 does not divide train\.batchSize 8/],
  ];
  for (const [setting, message] of settings) {
    test(`--set ${setting}`, () => refusedRun(['--set', setting], message));
  }

  test('an unknown key in the config file, with the nearest one', async () => {
    writeFileSync(at('typo.yaml'), 'model: { preset: bert-mini }\ntrain: { steps: 10, learningRate: 0.1 }\n');
    await refused(['plan', 'typo.yaml'], /train\.learningRate: unknown key; did you mean train\.peakLearningRate\?/);
  });

  const newTokenizer = ['tokenizer', 'train', '--data', 'train.txt', '--vocab-size', '50', '--out', 'new.json'];
  const usage: [string, string[], RegExp][] = [
    [
      'an unknown command',
      ['pretrian'],
      /unknown command 'pretrian'; Did you mean pretrain\?; see npx taper-lm --help/,
    ],
    [
      'an unknown flag',
      ['plan', '--jsn'],
      /unknown option '--jsn'; Did you mean --json\?; see npx taper-lm plan --help/,
    ],
    [
      "another program's flag",
      ['pretrain', 'tiny.yaml', '--learning_rate', '1e-3'],
      /unknown option '--learning_rate'; write --set train\.peakLearningRate=…; see npx taper-lm pretrain --help/,
    ],
    [
      "another program's flag for the folder",
      ['pretrain', 'tiny.yaml', '--output_dir=x'],
      /unknown option '--output_dir=x'; write --out; see/,
    ],
    [
      'a DeepSpeed config as CONFIG',
      ['plan', 'ds.json'],
      /ds\.json: is a DeepSpeed config .*; pass it with --deepspeed ds\.json/,
    ],
    [
      'a flag without its value',
      ['pretrain', '--out'],
      /option '--out <run>' argument missing; see npx taper-lm pretrain --help/,
    ],
    [
      'a missing flag',
      ['tokenizer', 'train', '--data', 'x'],
      /required option '--vocab-size <n>' not specified; see npx taper-lm tokenizer train --help/,
    ],
    [
      'an option of the other tokenizer',
      [...newTokenizer, '--kind', 'gpt2', '--keep-accents'],
      /--keep-accents: works only with --kind bert; leave it out/,
    ],
    [
      'to keep accents twice',
      [...newTokenizer, '--cased', '--keep-accents'],
      /--cased and --keep-accents: --cased keeps accents as well; leave out --keep-accents/,
    ],
    [
      'options of --blocks without it',
      ['export', 'runs/tiny', '--to', 'hf', '--out', 'exported', '--limit', '8'],
      /--limit: works only with --blocks; leave it out/,
    ],
    [
      'a file without its option',
      ['finetune', 'runs/tiny', 'mails.csv', '--text', 'body'],
      /too many arguments for 'finetune': mails\.csv \(is --train missing before it\?\); see npx taper-lm finetune --help/,
    ],
    ['a count of zero', ['fill', 'runs/tiny', '[MASK]', '--top', '0'], /--top 0: not an integer ≥ 1/],
    ['an empty count', ['bench', 'ops', '--threads', ''], /--threads : not an integer ≥ 0/],
    ['a benchmark of no steps', ['bench', 'ops', '--steps', '0'], /--steps 0: not an integer ≥ 1/],
    [
      'no configuration at all',
      ['plan'],
      /no configuration: give a file, as in npx taper-lm plan configs\/encoder\.yaml/,
    ],
    ['no folder for the run', ['pretrain', '--set', 'model.preset=bert-mini'], /--out: missing/],
    ['a missing config file', ['plan', 'none.yaml'], /none\.yaml: no such file/],
    ['--resume without a run', ['pretrain', '--resume', '--out', 'runs/none'], /runs\/none holds no run/],
    [
      '--resume of a checkpoint',
      ['pretrain', '--resume', '--out', 'runs/tiny/checkpoints/step-4'],
      /runs\/tiny\/checkpoints\/step-4 is a checkpoint, not a run; give the folder of a run with --out/,
    ],
    [
      'a folder that holds a run already',
      ['pretrain', 'tiny.yaml'],
      /runs\/tiny: already contains a run; add --resume/,
    ],
  ];
  for (const [what, words, message] of usage) test(what, () => refused(words, message));

  test('a device that does not exist', async () => {
    await refusedRun(
      ['--set', 'train.device=warp'],
      /device: warp is not available: this machine does not have it, or its libtorch was built without it; cpu always works/,
    );
    await refused(['fill', 'runs/tiny', 'The [MASK].', '--device', 'warp'], /device: warp is not available/);
  });

  test('text that is missing', () => refusedRun(['--data', 'none.txt'], /none\.txt: no such file or folder/));

  test('text that is empty', async () => {
    writeFileSync(at('empty.txt'), ' \n');
    await refusedRun(['--data', 'empty.txt'], /empty\.txt: contains no text/);
  });

  test('text that is binary', async () => {
    writeFileSync(at('binary.txt'), Buffer.from([84, 104, 101, 0, 1, 2, 255]));
    await refusedRun(['--data', 'train.txt', 'binary.txt'], /binary\.txt: contains a zero byte/);
  });

  test('gzip data that was cut short', async () => {
    writeFileSync(at('cut.txt.gz'), gzipSync(sentences(400, 3)));
    truncateSync(at('cut.txt.gz'), 300);
    await refusedRun(['--data', 'cut.txt.gz'], /cut\.txt\.gz: is truncated gzip data/);
  });

  test('text that is shorter than one sequence', async () => {
    writeFileSync(at('short.txt'), sentences(1, 4));
    await refusedRun(['--data', 'short.txt'], /the text has \d+ tokens, which is less than one sequence of 32/);
  });

  test('npm start with text that it cannot train on, and with flags, before it announces a training', async () => {
    const program = fileURLToPath(new URL('../src/cli/start.js', import.meta.url));
    const npmStart = (...words: string[]) => taper(words, { cwd: folder, program, env: { INIT_CWD: folder } });
    writeFileSync(at('no-text.txt'), ' \n');
    writeFileSync(at('one-line.txt'), sentences(1, 4));
    for (const [words, message] of [
      [['no-text.txt'], /^taper: [^\n]*no-text\.txt: contains no text[^\n]*\n$/],
      [['one-line.txt'], /^taper: data: the text has \d+ tokens, which is less than one sequence[^\n]*\n$/],
      [['--foo'], /^taper: unknown option '--foo'; see npm start -- --help\n$/],
    ] as const) {
      const { code, stdout, stderr } = await npmStart(...words);
      assert.match(stderr, message);
      assert.deepEqual([code, stdout], [2, '']);
    }
    const help = await npmStart('--help');
    assert.deepEqual([help.code, help.stderr], [0, '']);
    assert.match(
      help.stdout,
      /^Usage: npm start -- \[options\] \[texts\.\.\.\]\n.*--generate .*npm start -- my\/texts/s,
    );
  });

  test('a tokenizer that is none', async () => {
    writeFileSync(at('tokenizer.json'), '{"model": 1}');
    await refusedRun(['--set', 'data.tokenizer=tokenizer.json'], /tokenizer\.json: not a Hugging Face tokenizer\.json/);
  });

  test('a checkpoint with a flipped byte', async () => {
    const file = join(copyOfRun('runs/flipped'), 'checkpoints/step-4/model.safetensors');
    const bytes = readFileSync(at(file));
    bytes[bytes.length - 100]! ^= 1;
    writeFileSync(at(file), bytes);
    await refused(
      ['fill', 'runs/flipped/checkpoints/step-4', '[MASK]'],
      /model\.safetensors: changed since it was written/,
    );

    // Of a run, the checkpoint before is used.
    const { code, stderr, stdout } = await taper(['fill', 'runs/flipped', 'The [MASK].', '--json'], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^warning: .*step-4.*using the checkpoint before it\n$/);
    assert.match(stdout, /^\{.*\}\n$/);
  });

  test('a checkpoint with a missing file', async () => {
    rmSync(at(join(copyOfRun('runs/missing'), 'checkpoints/step-4/optimizer.safetensors')));
    await refused(['fill', 'runs/missing/checkpoints/step-4', '[MASK]'], /optimizer\.safetensors is missing/);
  });

  test('a folder that is no checkpoint', () =>
    refused(['eval', '.', '--data', 'valid.txt'], /trainer\.json is missing/));

  test('resuming with fewer steps than were done', async () => {
    const words = ['pretrain', 'tiny.yaml', '--out', 'runs/tiny', '--resume', '--set', 'train.steps=2'];
    await refused(words, /train\.steps: 2, but the run has already done 4/);
  });

  test('resuming with other texts, because held-out text would be trained on', async () => {
    writeFileSync(at('more.txt'), sentences(50, 99));
    const words = ['pretrain', 'tiny.yaml', '--out', 'runs/tiny', '--resume', '--data', 'more.txt'];
    await refused(words, /runs\/tiny: the texts differ from those that the run was started with/);
  });

  test('a run that another process is training', async () => {
    const run = copyOfRun('runs/locked');
    writeFileSync(at(`${run}/lock`), `${process.pid}\n`);
    await refused(['pretrain', 'tiny.yaml', '--out', run, '--resume'], /process \d+ is training this run/);
    // One that was killed left its lock behind: it counts no more.
    writeFileSync(at(`${run}/lock`), `${spawnSync('true').pid}\n`);
    const { code, stderr } = await taper(['pretrain', 'tiny.yaml', '--out', run, '--resume'], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.ok(!existsSync(at(`${run}/lock`)));
  });

  test('a micro-batch that no memory holds, before anything is done, with a command that fits', async () => {
    const sets = [
      'train.batchSize=1000000',
      'train.microBatchSize=1000000',
      'model.hiddenSize=1024',
      'model.ffnSize=8192',
    ];
    const more = ['model.layers=24', 'train.precision=fp32'];
    const { code, stderr, stdout } = await taper(
      ['pretrain', 'tiny.yaml', '--out', 'huge', '--set', ...sets, ...more],
      { cwd: folder },
    );
    assert.deepEqual([code, stdout, existsSync(at('huge'))], [2, '', false], stderr);
    assert.match(
      stderr,
      /^taper: train\.microBatchSize: 1000000 sequences per pass need about [\d,]+ GB of memory, but this machine has [^\n]+\n$/,
    );
    const size = /npx taper-lm pretrain tiny\.yaml .* train\.microBatchSize=(\d+)$/.exec(stderr.trim())?.[1];
    const fits = await taper(
      ['plan', 'tiny.yaml', '--set', ...sets, ...more, '--set', `train.microBatchSize=${size}`],
      { cwd: folder },
    );
    assert.deepEqual([fits.code, fits.stderr], [0, '']);
    assert.match(
      fits.stdout,
      /^memory +about [\d.]+ GB: model [\d.]+ GB, micro-batch [\d.]+ \wB,\n +Node\.js, libtorch and the batches [\d.]+ \wB\nmemory here +[\d.]+ GB free of [\d.]+ GB$/m,
    );
  });

  test('a tokenizer that does not know the text', async () => {
    writeFileSync(at('greek.txt'), 'αβγ δεζ ηθι κλμ νξο πρσ τυφ χψω. '.repeat(200));
    await refusedRun(
      ['--data', 'greek.txt', '--set', 'data.tokenizer=runs/tiny/checkpoints/step-4/tokenizer.json', 'data.valid=[]'],
      /data\.tokenizer: knows only \d+ % of the text's tokens/,
    );
  });

  test('resuming with a model of another shape, or with other data, and leaves the run as it was', async () => {
    const words = ['pretrain', 'tiny.yaml', '--out', 'runs/tiny', '--resume', '--set'];
    const config = readFileSync(at('runs/tiny/config.json'), 'utf8');
    await refused([...words, 'model.layers=3'], /model\.layers: 3, but the checkpoint has 2/);
    await refused([...words, 'data.maskRate=0.3'], /data\.maskRate: 0\.3, but the run was started with 0\.15/);
    assert.equal(readFileSync(at('runs/tiny/config.json'), 'utf8'), config);
  });

  test('a text without [MASK], and one that the model has no positions for', async () => {
    await refused(['fill', 'runs/tiny', 'The cat sat.'], /has no \[MASK\]/);
    await refused(
      ['fill', 'runs/tiny', `[MASK] ${sentences(10, 5)}`],
      /the text has \d+ tokens, but this model reads at most 30/,
    );
  });

  test('folders that cannot be made', async () => {
    await refused(['pretrain', 'tiny.yaml', '--out', 'train.txt/run'], /train\.txt\/run: cannot be written/);
    await refusedRun(['--set', 'data.cache=train.txt/cache'], /train\.txt\/cache.*cannot be written/);
    await refused(
      ['tokenizer', 'train', '--data', 'train.txt', '--vocab-size', '50', '--out', 'train.txt/t.json'],
      /train\.txt\/t\.json: cannot be written/,
    );
  });

  test('/proc, where no folder can be made', { skip: !existsSync('/proc/self') && 'there is no /proc' }, () =>
    refused(['pretrain', 'tiny.yaml', '--out', '/proc/taper'], /\/proc\/taper: cannot be written/),
  );

  test('a disk that is full, and leaves no half checkpoint', async (t) => {
    const small = at('small');
    mkdirSync(small);
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=100k', 'tmpfs', small], { encoding: 'utf8' });
    if (mount.status !== 0) {
      t.skip('a small file system takes the right to mount one');
      return;
    }
    try {
      const { code, stderr } = await taper(['pretrain', 'tiny.yaml', '--out', 'small/run'], { cwd: folder });
      assert.equal(code, 2, stderr);
      assert.match(stderr, /^taper: small\/run\/checkpoints\/step-2: cannot be written: the disk is full; free space/m);
      assert.deepEqual(readdirSync(join(small, 'run/checkpoints')), []);
    } finally {
      spawnSync('umount', [small]);
    }
  });

  test('to train without its native addon, though not to plan', async () => {
    // The compiled program of a checkout without build/ beside it.
    const copy = at('copy');
    const dist = fileURLToPath(new URL('../src', import.meta.url));
    const project = fileURLToPath(new URL('../..', import.meta.url));
    cpSync(dist, join(copy, 'dist/src'), { recursive: true });
    cpSync(join(project, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
    const program = join(copy, 'dist/src/cli/main.js');
    const words = ['pretrain', 'tiny.yaml', '--out', 'runs/new'];
    writeFileSync(join(copy, 'package-lock.json'), '{}');
    await refused(words, /taper\.node is missing.*: run `npm run build` in \S+copy/, program);
    const { code, stderr } = await taper(['plan', 'tiny.yaml'], { cwd: folder, program });
    assert.equal(code, 0, stderr);
  });
});
