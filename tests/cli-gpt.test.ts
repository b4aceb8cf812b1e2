// A GPT from text to text, as its users train it: progressive layer dropping, resuming, evaluating, writing on.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commandsIn, type Line, linesOf, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-gpt-'));
const at = (path: string) => join(folder, path);
const { run, quick, refused } = commandsIn(folder);

const config = `
model: { kind: gpt2, layers: 3, hiddenSize: 32, heads: 2, vocabSize: 320, maxPositions: 32, dropout: 0.1 }
depth: { method: pld }
data: { train: [train.txt], valid: [valid.txt], sequenceLength: 32 }
train: { steps: 120, batchSize: 16, microBatchSize: 8, peakLearningRate: 1e-2, evalSamples: 16, evalEvery: 60, saveEvery: 60, precision: fp32, threads: 1 }
`;

after(() => rmSync(folder, { recursive: true, force: true }));

describe('gpt2', () => {
  let trained: string;
  before(async () => {
    writeTiny(folder);
    writeFileSync(at('gpt.yaml'), config);
    const { code, stdout, stderr } = await run('pretrain', 'gpt.yaml', '--out', 'gpt');
    assert.equal(code, 0, stderr);
    trained = stdout;
  });

  test('shows how it continues held-out beginnings, and what guessing the most frequent token would get', async () => {
    const [, constant] =
      /^Of 100 next tokens .* guesses \d+ correctly; .* most frequent one would get (\d+) right\.$/m.exec(trained)!;
    assert.ok(Number(constant) > 0 && Number(constant) < 50, constant);
    const heldOut = readFileSync(at('valid.txt'), 'utf8');
    const beginnings = Array.from(trained.matchAll(/^ {2}(\S.*) …\n {6}… (.*)$/gm), ([, text, more]) => [text!, more!]);
    assert.equal(beginnings.length, 3);
    for (const [text, more] of beginnings) assert.ok(heldOut.includes(text!) && more !== '', text);
    assert.ok(trained.includes(`npx taper-lm generate gpt '${beginnings[0]![0]}'`), trained);
  });

  test('learns to predict the next token while blocks are dropped', () => {
    const lines = linesOf(at('gpt'));
    const evaluations = lines.filter(({ type }) => type === 'eval') as (Line & Record<string, number>)[];
    const [first, last] = [evaluations[0]!, evaluations.at(-1)!];
    assert.ok(Math.abs(first.clmLoss! - Math.log(320)) < 0.3, `${first.clmLoss}`);
    // Of the sentences' words, each as likely as the next, half are known from the one before.
    assert.ok(last.clmLoss! < 0.4 * first.clmLoss!, `${last.clmLoss}`);
    assert.equal(last.loss, last.clmLoss);
    assert.ok(Math.abs(last.perplexity! - Math.exp(last.clmLoss!)) < 1e-9);
    assert.equal(last.tokens, 16 * 31);
    const steps = lines.filter(({ type }) => type === 'step') as (Line & Record<string, number>)[];
    assert.ok(steps.every((step) => step.loss === step.clmLoss && !('mlmLoss' in step)));
    assert.ok(new Set(steps.map(({ depth }) => depth)).size > 2, 'the depth varies');
    assert.ok(
      steps.every(({ flops, denseFlops, depth }) => (depth === 3 ? flops === denseFlops : flops! < denseFlops!)),
    );
  });

  test('resumes from a checkpoint bit for bit', async () => {
    cpSync(at('gpt'), at('again'), { recursive: true });
    rmSync(at('again/checkpoints/step-120'), { recursive: true });
    const { code, stderr } = await run('pretrain', 'gpt.yaml', '--out', 'again', '--resume');
    assert.equal(code, 0, stderr);
    for (const file of ['model.safetensors', 'optimizer.safetensors']) {
      const bytes = (name: string) => readFileSync(at(`${name}/checkpoints/step-120/${file}`));
      assert.ok(bytes('again').equals(bytes('gpt')), file);
    }
  });

  test('writes on, the same for the same seed, and the likeliest at temperature 0', async () => {
    const text = async (...words: string[]) => {
      const { code, stdout, stderr } = await quick('generate', 'gpt', 'The cat', '--tokens', '20', '--json', ...words);
      assert.equal(code, 0, stderr);
      return (JSON.parse(stdout) as { text: string }).text;
    };
    const [one, again, other] = [await text(), await text(), await text('--seed', '2')];
    assert.equal(one, again);
    assert.notEqual(one, other);
    assert.match(one, /^The cat \w+ the \w+/);
    const likeliest = await text('--temperature', '0');
    assert.equal(likeliest, await text('--top-k', '1', '--seed', '7'));
    assert.equal(likeliest, await text('--temperature', '1e-40', '--seed', '3'));
    assert.notEqual(likeliest, await text('--temperature', '50'));
  });

  test('streams the text that --json has whole, also where it is longer than the model reads, and ends before a stop', async () => {
    const write = async (...words: string[]) => {
      const { code, stdout, stderr } = await quick('generate', 'gpt', 'The cat', '--tokens', '100', ...words);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const streamed = await write();
    assert.ok(streamed.length > 100, streamed);
    assert.equal(streamed, `${(JSON.parse(await write('--json')) as { text: string }).text}\n`);
    const [beginning] = streamed.split(' the ');
    assert.equal(await write('--stop', ' the ', 'never'), `${beginning}\n`);
    assert.equal(await write('--top-p', '1e-9'), await write('--temperature', '0'));
  });

  test('is evaluated, analysed and planned like any other', async () => {
    const evaluated = await quick('eval', 'gpt', '--data', 'valid.txt', '--json');
    const last = linesOf(at('gpt')).at(-1)!;
    const { clmLoss } = JSON.parse(evaluated.stdout) as { clmLoss: number };
    assert.ok(Math.abs(clmLoss - (last.clmLoss as number)) < 0.1, evaluated.stdout);
    const analysed = await quick('analyze', 'gpt', '--data', 'valid.txt', '--out', 'analysis', '--json');
    assert.equal(analysed.code, 0, analysed.stderr);
    const { parameterNorms } = JSON.parse(analysed.stdout) as { parameterNorms: number[] };
    assert.ok(parameterNorms.length === 3 && parameterNorms.every((norm) => norm > 0), analysed.stdout);
    const planned = await quick('plan', 'gpt.yaml', '--json');
    // 320 tokens and 32 positions of 32 numbers, three blocks of 12·32² + 13·32, and the last norm.
    const { parameters } = JSON.parse(planned.stdout) as { parameters: number };
    assert.equal(parameters, 352 * 32 + 3 * (12 * 32 * 32 + 13 * 32) + 64);
  });

  test('what is BERT’s is refused', async () => {
    await refused(
      ['fill', 'gpt', 'The [MASK] sat.'],
      /is a gpt2 model, .*npx taper-lm generate, or train one .*: npx taper-lm pretrain configs\/start\.yaml --data train\.txt --out runs\/start$/,
    );
    await refused(
      ['pretrain', 'gpt.yaml', '--out', 'x', '--set', 'data.objective=mlm'],
      /^taper: data\.objective: mlm /,
    );
    await refused(['pretrain', 'gpt.yaml', '--out', 'x', '--set', 'model.norm=post'], /^taper: model\.norm: post /);
    const trained = await quick(
      'tokenizer',
      'train',
      '--data',
      'train.txt',
      '--vocab-size',
      '100',
      '--out',
      'bert.json',
    );
    assert.equal(trained.code, 0, trained.stderr);
    const other = ['pretrain', 'gpt.yaml', '--out', 'x', '--set', 'data.tokenizer=bert.json'];
    await refused(other, /^taper: data\.tokenizer: bert\.json is for model\.kind bert, not gpt2/);
    const tiny = ['pretrain', 'gpt.yaml', '--out', 'x', '--set', 'model.vocabSize=100'];
    await refused(tiny, /^taper: model\.vocabSize: 100 is below 257/);
    await refused(['generate', 'gpt', '--temperature', 'warm'], /^taper: --temperature warm: not a number/);
  });
});
