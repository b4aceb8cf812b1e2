// Duplicates as users meet them: what pretrain drops and prints, what a resumed run compares, what data inspect shows.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { commandsIn, type Line, linesOf, sentences } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-duplicates-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);

const config = `
model: { layers: 2, hiddenSize: 32, heads: 2, ffnSize: 64, vocabSize: 120, maxPositions: 32 }
depth: { method: dense }
data: { train: [train], valid: [valid], tokenizer: tokenizer.json, sequenceLength: 32, objective: mlm }
train: { steps: 4, batchSize: 8, evalSamples: 16, evalEvery: 2, saveEvery: 2, precision: fp32, threads: 1 }
`;
const near = ['--set', 'data.deduplicate=near'];
const pretrain = (out: string, ...more: string[]) => ['pretrain', 'tiny.yaml', '--out', out, ...more];
const [copied, held, edited] = [1003, 2000, 1005].map((seed) => sentences(30, seed)) as [string, string, string];

before(async () => {
  for (const name of ['train', 'clean', 'valid']) mkdirSync(at(name));
  for (let i = 0; i < 12; i++) {
    for (const name of ['train', 'clean']) writeFileSync(at(`${name}/${10 + i}.txt`), sentences(30, 1000 + i));
  }
  for (let i = 0; i < 3; i++) writeFileSync(at(`valid/${i}.txt`), sentences(30, 2000 + i));
  writeFileSync(at('train/50-copy.txt'), copied.toUpperCase());
  writeFileSync(at('train/51-held-out.txt'), held.replaceAll(' ', '  '));
  writeFileSync(at('train/52-edited.txt'), `${edited}The end.`);
  writeFileSync(at('tiny.yaml'), config);
  await done('tokenizer', 'train', '--data', 'clean', '--vocab-size', '120', '--out', 'tokenizer.json');
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The numbers of a run: all that its lines say but clock and memory. */
const numbersOf = (run: string) =>
  linesOf(at(run)).map(
    ({ stepSeconds: _, dataSeconds: __, tokensPerSecond: ___, peakMemoryBytes: ____, ...numbers }: Line) => numbers,
  );

test('pretrain drops duplicates, says how many, lists them, and learns what it learns without them', async () => {
  const { stderr } = await done(...pretrain('deduplicated', ...near));
  const [, report] =
    /deduplicate: 3 of 18 documents repeat others \(1\d % of the tokens\): 2 exact, 1 near; listed in (\S+\.jsonl)/.exec(
      stderr,
    )!;
  const lines = readFileSync(at(report!), 'utf8').trim().split('\n').slice(0, -1);
  const places = lines.map((line) => {
    const { kind, document, repeats } = JSON.parse(line);
    assert.equal(document.words, repeats.words);
    assert.ok(document.words.startsWith('the '), document.words);
    return [kind, document.text, document.number, repeats.text, repeats.number];
  });
  assert.deepEqual(places, [
    ['exact', 'data.train', 13, 'data.train', 4],
    ['exact', 'data.train', 14, 'data.valid', 1],
    ['near', 'data.train', 15, 'data.train', 6],
  ]);
  await done(...pretrain('clean-run', '--data', 'clean'));
  assert.deepEqual(numbersOf('deduplicated'), numbersOf('clean-run'));
  await done(...pretrain('with-all'));
  assert.notDeepEqual(numbersOf('with-all'), numbersOf('clean-run'));
});

test('exact leaves the near duplicate', async () => {
  const { stderr } = await done(...pretrain('exact', '--set', 'data.deduplicate=exact'));
  assert.match(stderr, /deduplicate: 2 of 18 documents repeat others .*: 2 exact, 0 near/);
});

test('a run resumes with the duplicates that it dropped, and with no others', async () => {
  const resume = (run: string, ...more: string[]) => pretrain(run, '--resume', ...more);
  cpSync(at('deduplicated'), at('resumed'), { recursive: true });
  rmSync(at('resumed/checkpoints/step-4'), { recursive: true });
  await refused(resume('resumed'), /data\.deduplicate: "none", but the run was started with "near"/);
  await done(...resume('resumed', ...near));
  assert.deepEqual(numbersOf('resumed'), numbersOf('deduplicated'));
});

test('without data.valid duplicates go before the text is divided', async () => {
  const { stderr } = await done(
    ...pretrain('divided', ...near, 'data.valid=[]', 'data.validFraction=0.3', 'train.evalSamples=1'),
  );
  assert.match(stderr, /deduplicate: 2 of 15 documents repeat others .*: 1 exact, 1 near/);
});

test('where too little is left, the error says what was dropped', async () => {
  mkdirSync(at('same'));
  for (let i = 0; i < 20; i++) writeFileSync(at(`same/${i}.txt`), 'The cat sees the dog.');
  await refused(
    pretrain('same-run', ...near, '--data', 'same'),
    /the text has \d+ tokens, which is less than one sequence of 32; .*; data\.deduplicate dropped 19 of 23 documents, listed in \S+\.jsonl$/,
  );
});

test('data inspect counts duplicates, shows some, and says how to drop them', async () => {
  const sequences = (text: string) => Number(/^sequences +(\d+)/m.exec(text)![1]);
  const { stdout } = await done('data', 'inspect', 'tiny.yaml');
  assert.match(stdout, /^duplicates 3 of 18 documents repeat others \(1\d % of the tokens\): 2 exact, 1 near$/m);
  assert.match(stdout, /the full list is \S+\.jsonl; --set data\.deduplicate=near drops them/);
  assert.match(stdout, /\n {2}the same {2}data\.train, document 14: the .+\n +data\.valid, document 1: the /);
  assert.match(stdout, /\n {2}9\d\.\d % {4}data\.train, document 15: the .+\n +data\.train, document 6: the /);
  const dropped = (await done('data', 'inspect', 'tiny.yaml', ...near)).stdout;
  assert.doesNotMatch(dropped, /--set/);
  assert.ok(sequences(dropped) < 0.9 * sequences(stdout), dropped);
});
