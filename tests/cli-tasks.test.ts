// From a pre-trained model to a classifier, as its users make one.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sentences, taper, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-tasks-'));
const at = (path: string) => join(folder, path);
const run = (...words: string[]) => taper(words, { cwd: folder });

async function done(...words: string[]) {
  const { code, stdout, stderr } = await run(...words);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function refused(words: string[], reason: RegExp) {
  const { code, stdout, stderr } = await run(...words);
  assert.deepEqual([code, stdout], [2, ''], stderr);
  assert.match(stderr.trim(), reason);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
}

/** Sentences of people and of animals. */
function examples(count: number, seed: number): { text: string; kind: string }[] {
  const animals = /^The (cat|dog|bird)/;
  return sentences(count, seed)
    .split('. ')
    .filter(Boolean)
    .map((text) => ({ text, kind: animals.test(text) ? 'animal' : 'other' }));
}

function writeCsv(name: string, rows: readonly { text: string; kind: string }[]): void {
  writeFileSync(at(name), `text,kind\n${rows.map(({ text, kind }) => `"${text}",${kind}\n`).join('')}`);
}

const own = ['--train', 'train.csv', '--dev', 'dev.csv', '--text', 'text', '--label', 'kind'];
const small = [
  '--epochs',
  '6',
  '--batch-size',
  '16',
  '--learning-rate',
  '3e-3',
  '--precision',
  'fp32',
  '--threads',
  '1',
];

after(() => rmSync(folder, { recursive: true, force: true }));

describe('fine-tuning', { concurrency: 2 }, () => {
  before(async () => {
    writeTiny(folder);
    await done('pretrain', 'tiny.yaml', '--out', 'run');
    writeCsv('train.csv', examples(300, 3));
    writeCsv('dev.csv', examples(80, 4));
    writeCsv('test.csv', examples(20, 5));
  });

  test('learns an own set, keeps the best epoch, and writes the model and its predictions', async () => {
    const result = JSON.parse(
      await done('finetune', 'run', ...own, '--test', 'test.csv', ...small, '--out', 'tuned', '--json'),
    );
    const [{ devs, history, bestEpoch }] = result.seeds;
    assert.ok(devs[0].scores.accuracy >= 0.95, JSON.stringify(devs));
    assert.equal(history.length, 6);
    assert.equal(bestEpoch, 1 + history.indexOf(Math.max(...history)));
    assert.equal(devs[0].mean, Math.max(...history));
    assert.deepEqual(result.labels, ['animal', 'other']);
    // The confusion table and the scores tell the same.
    const right = result.confusion[0][0] + result.confusion[1][1];
    assert.ok(
      Math.abs(right / result.confusion.flat().reduce((a: number, b: number) => a + b) - devs[0].scores.accuracy) <
        1e-9,
    );
    const files = readdirSync(at('tuned')).sort();
    assert.deepEqual(files, [
      'README.md',
      'config.json',
      'dev.tsv',
      'model.safetensors',
      'test.tsv',
      'tokenizer.json',
      'trainer.json',
    ]);
    const predicted = readFileSync(at('tuned/dev.tsv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t')[1]);
    const expected = examples(80, 4).map(({ kind }) => kind);
    const hits = predicted.filter((label, i) => label === expected[i]).length / expected.length;
    assert.ok(Math.abs(hits - devs[0].scores.accuracy) < 1e-9);
    const config = JSON.parse(readFileSync(at('tuned/config.json'), 'utf8'));
    assert.deepEqual(
      [config.architectures, config.id2label],
      [['MegatronBertForSequenceClassification'], { 0: 'animal', 1: 'other' }],
    );
    // It goes to Hugging Face and back, and is refused where a pre-trained model is wanted.
    await done('export', 'tuned', '--to', 'hf', '--out', 'tuned-hf');
    await done('import', 'tuned-hf', '--out', 'tuned-again');
    await done('export', 'tuned-again', '--to', 'hf', '--out', 'tuned-hf2');
    for (const file of readdirSync(at('tuned-hf'))) {
      assert.ok(readFileSync(at(`tuned-hf/${file}`)).equals(readFileSync(at(`tuned-hf2/${file}`))), file);
    }
    await refused(['fill', 'tuned', 'The [MASK] sat.'], /tuned: is a fine-tuned classifier/);
  });

  test('the same seed gives the same model, another seed another one', async () => {
    const few = ['--epochs', '1', '--batch-size', '16', '--precision', 'fp32', '--threads', '1'];
    const weightsOf = async (out: string, seed: string) => {
      await done('finetune', 'run', ...own, ...few, '--seeds', seed, '--out', out);
      return readFileSync(at(`${out}/model.safetensors`));
    };
    const [a, b, c] = [await weightsOf('a', '5'), await weightsOf('b', '5'), await weightsOf('c', '6')];
    assert.ok(a.equals(b));
    assert.ok(!a.equals(c));
  });

  test('a regression finds a number', async () => {
    const rows = examples(300, 3).map(({ text, kind }) => ({ text, kind: kind === 'animal' ? '2.5' : '-1' }));
    writeCsv('numbers.csv', rows);
    writeCsv('numbers-dev.csv', rows.slice(0, 60));
    const words = [
      '--train',
      'numbers.csv',
      '--dev',
      'numbers-dev.csv',
      '--text',
      'text',
      '--label',
      'kind',
      '--regression',
    ];
    const result = JSON.parse(await done('finetune', 'run', ...words, ...small, '--out', 'regression', '--json'));
    assert.ok(result.seeds[0].devs[0].scores.pearson > 0.9, JSON.stringify(result.seeds));
    assert.equal(result.confusion, null);
    assert.match(readFileSync(at('regression/dev.tsv'), 'utf8'), /^index\tprediction\n0\t-?\d\.\d{3}\n/);
  });

  test('glue makes a table of tasks at their best learning rate, and goes on where it stopped', async () => {
    const lines = (rows: readonly { text: string; kind: string }[]) =>
      rows.map(({ text, kind }) => `src\t${kind === 'animal' ? 1 : 0}\t\t${text}\n`).join('');
    mkdirSync(at('glue/CoLA'), { recursive: true });
    writeFileSync(at('glue/CoLA/train.tsv'), lines(examples(300, 3)));
    writeFileSync(at('glue/CoLA/dev.tsv'), lines(examples(60, 4)));
    const words = [
      'glue',
      'run',
      '--data',
      'glue',
      '--out',
      'table',
      '--epochs',
      '6',
      '--batch-size',
      '16',
      '--precision',
      'fp32',
      '--threads',
      '1',
    ];
    const first = JSON.parse(await done(...words, '--learning-rates', '1e-7', '--json'));
    assert.equal(readFileSync(at('table/results.jsonl'), 'utf8').trim().split('\n').length, 1);
    const both = JSON.parse(await done(...words, '--learning-rates', '1e-7', '3e-3', '--json'));
    assert.equal(
      readFileSync(at('table/results.jsonl'), 'utf8').trim().split('\n').length,
      2,
      'the first is not done again',
    );
    assert.equal(both.tasks[0].learningRate, 3e-3);
    assert.ok(both.average > 0.8 && both.average > first.average, JSON.stringify([first, both]));
    assert.equal(both.tasks[0].devs[0].scores.matthews, both.average);
    assert.match(await done(...words, '--learning-rates', '3e-3'), /cola +matthews \d+\.\d .*\n *average/);
  });

  test('mistakes are told in one line', async () => {
    const tune = (...words: string[]) => ['finetune', 'run', ...words];
    await refused(tune(), /nothing to train on: give --task with --data, or --train, --dev and --text/);
    await refused(tune('--task', 'squad', '--data', 'glue'), /--task squad: is not one of cola, sst2/);
    await refused(tune('--task', 'rte', '--data', 'glue'), /glue: has no RTE with train\.tsv/);
    await refused(tune(...own.slice(0, -1), 'sort'), /train\.csv, row 1: no column "sort", but "text", "kind"/);
    await refused(tune(...own, '--dropout', '1'), /--dropout 1: not a number from 0 up and below 1/);
    await refused(tune(...own, '--seeds', 'x'), /--seeds x: not a whole number/);
    await refused(tune(...own, '--out', 'run'), /--out run: is there already/);
    await refused(['finetune', 'nowhere', ...own], /nowhere: no such folder/);
    await refused(['glue', 'run', '--data', '.', '--out', 'x'], /\.: has no folder of a task, such as CoLA/);
    assert.ok(!existsSync(at('x')));
  });
});
