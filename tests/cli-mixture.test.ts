// cspell:ignore wieght
// Texts that are mixed by weight, as users do it: on one process or two, in one go or resumed, and looked at before.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { commandsIn, type Line, linesOf, sentences } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-mixture-'));
const at = (path: string) => join(folder, path);
const { done, run, refused } = commandsIn(folder);

const mixture = (weight: number) =>
  `[{ path: books.jsonl, weight: ${weight} }, { path: [notes.jsonl, more.jsonl], weight: 1 }]`;
const config = `
data: { train: ${mixture(3)}, validFraction: 0.1, sequenceLength: [[0, 16], [3, 32]], objective: mlm }
model: { kind: bert, layers: 2, hiddenSize: 32, heads: 2, vocabSize: 120, maxPositions: 32 }
train: { steps: 6, batchSize: 8, microBatchSize: 4, evalSamples: 16, evalEvery: 3, saveEvery: 3, precision: fp32, threads: 1 }
`;
const pretrain = (out: string, ...more: string[]) => ['pretrain', 'mixed.yaml', '--out', out, ...more];

const documents = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: sentences(3, seed + i) })}\n`).join('');

before(async () => {
  writeFileSync(at('books.jsonl'), documents(200, 1));
  writeFileSync(at('notes.jsonl'), documents(40, 1000));
  writeFileSync(at('more.jsonl'), documents(40, 2000));
  writeFileSync(at('mixed.yaml'), config);
  const { code, stderr } = await run(...pretrain('whole'));
  assert.equal(code, 0, stderr);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** What a line says of the training itself: all of it but clock and memory. */
function numbersOf({ stepSeconds: _, dataSeconds: __, tokensPerSecond: ___, peakMemoryBytes: ____, ...numbers }: Line) {
  return numbers;
}
const weights = (out: string) => readFileSync(at(`${out}/checkpoints/step-6/model.safetensors`));

test('a run says what it draws from each text', () => {
  const log = readFileSync(at('whole/log.jsonl'), 'utf8');
  assert.match(
    log,
    /text: 75 % from books\.jsonl: 200 documents, [\d,]+ tokens, [\d.]+ epochs, [\d.]+ % of the held-out text/,
  );
  assert.match(log, /text: 25 % from notes\.jsonl, more\.jsonl: 80 documents, [\d,]+ tokens, [\d.]+ epochs/);
});

test('a run that is resumed between two texts continues bit for bit, and refuses other weights', async () => {
  cpSync(at('whole'), at('cut'), { recursive: true });
  rmSync(at('cut/checkpoints/step-6'), { recursive: true });
  writeFileSync(at('cut/checkpoints/latest'), 'step-3');
  cpSync(at('cut'), at('other'), { recursive: true });
  await done(...pretrain('cut', '--resume'));
  assert.ok(weights('cut').equals(weights('whole')));
  assert.deepEqual(linesOf(at('cut')).map(numbersOf), linesOf(at('whole')).map(numbersOf));
  await refused(
    pretrain('other', '--resume', '--set', `data.train=${mixture(2)}`),
    /other: the texts differ from those that the run was started with/,
  );
});

test('two ranks train on the same samples as one', async () => {
  await done('launch', '--processes', '2', '--', ...pretrain('two'));
  const losses = (out: string) => linesOf(at(out)).map(({ loss }) => loss as number);
  for (const [i, loss] of losses('whole').entries())
    assert.ok(Math.abs(losses('two')[i]! - loss) < 1e-4 * loss, `${i}`);
});

test('data inspect shows the shares, and sequences of each text', async () => {
  const { stdout } = await done('data', 'inspect', 'mixed.yaml');
  assert.match(stdout, /^books\.jsonl +75\.0 % +[\d.]+ % +200 +[\d,]+$/m);
  assert.match(stdout, /^notes\.jsonl, more\.jsonl +25\.0 % +[\d.]+ % +80 +[\d,]+$/m);
  assert.match(stdout, /^files {6}3: books\.jsonl, notes\.jsonl, more\.jsonl\ndocuments {2}280$/m);
  assert.ok(stdout.indexOf('from books.jsonl:') < stdout.indexOf('from notes.jsonl, more.jsonl:'));
});

test('wrong weights are refused in one line', async () => {
  const mistake = (value: string, message: RegExp) =>
    refused(['data', 'inspect', 'mixed.yaml', '--set', `data.train=${value}`], message);
  await mistake(
    '[{ path: books.jsonl, weight: 0 }, { path: notes.jsonl, weight: 1 }]',
    /data\.train: weight 0 of books\.jsonl must be at least 1e-9 of the sum of all weights; give a number such as 1, or leave the text out/,
  );
  await mistake(
    '[{ path: books.jsonl, weight: 2 }, notes.jsonl]',
    /data\.train: notes\.jsonl has no weight, but other texts do; write \{ path: notes\.jsonl, weight: 1 \}, or remove all weights/,
  );
  await mistake(
    '[{ path: books.jsonl, weight: .inf }]',
    /data\.train: .* is not a list of strings, or of \{ path, weight \}/,
  );
  await mistake('[{ path: books.jsonl }]', /data\.train: .* is not a list of strings, or of \{ path, weight \}/);
  await mistake('[{ path: books.jsonl, wieght: 1 }]', /data\.train: .*"wieght":1.* with a number for each weight/);
  await mistake('[{ path: "", weight: 1 }]', /data\.train: .* is not a list of strings, or of \{ path, weight \}/);
});
