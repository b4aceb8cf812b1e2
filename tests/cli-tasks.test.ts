// From a pre-trained model to a classifier, as its users make one.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { batchOf } from '../src/data/batch.ts';
import { TextTokenizer } from '../src/data/index.ts';
import { openOutgoing, runnable } from '../src/interop/index.ts';
import { type Bert, modelInputs } from '../src/model/index.ts';
import { pearson, spearman } from '../src/tasks/metrics.ts';
import { encodeTexts } from '../src/tasks/sequences.ts';
import { noGrad, scope } from '../src/tensor/index.ts';
import { commandsIn, sentences, start, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-tasks-'));
const at = (path: string) => join(folder, path);
const commands = commandsIn(folder);
const { refused } = commands;
/** What a command printed. */
const done = async (...words: string[]) => (await commands.done(...words)).stdout;

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

/** What a regression that was written says of texts. */
async function predictionsOf(checkpoint: string, texts: readonly string[]): Promise<number[]> {
  const model = openOutgoing(checkpoint, assert.fail);
  const tokenizer = TextTokenizer.fromJson(model.checkpoint.tokenizerJson);
  const encoded = await encodeTexts(
    texts.map((text) => [text]),
    tokenizer,
    model.config.maxPositions,
  );
  const bert = runnable(model) as Bert;
  return encoded.map((one) => {
    const batch = batchOf([one], { padId: tokenizer.padId, maxPositions: model.config.maxPositions });
    return scope(() =>
      noGrad(() => bert.classLogits(bert.encode(modelInputs(batch, 'cpu')), [one.ids.length]).toFloats()[0]!),
    );
  });
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
    assert.equal(devs[0].judged, Math.max(...history));
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
      'fine-tuning.json',
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
    await refused(['fill', 'tuned', 'The [MASK] sat.'], /tuned: was fine-tuned/);
  });

  test('several labels at once are learned, each with its own threshold, and exported', async () => {
    const labels = (text: string) => [
      ...(/^The (cat|dog|bird)/.test(text) ? ['animal'] : []),
      ...(/(garden|forest|valley)$/.test(text) ? ['outside'] : []),
    ];
    const rows = (count: number, seed: number) =>
      examples(count, seed).map(({ text }) => `${JSON.stringify({ text, tags: labels(text) })}\n`);
    writeFileSync(at('multi.jsonl'), rows(300, 3).join(''));
    writeFileSync(at('multi-dev.jsonl'), rows(80, 4).join(''));
    const files = ['--train', 'multi.jsonl', '--dev', 'multi-dev.jsonl', '--test', 'multi-dev.jsonl'];
    const how = ['--multi-label', '--text', 'text', '--label', 'tags', '--threshold', 'best', ...small];
    const result = JSON.parse(await done('finetune', 'run', ...files, ...how, '--out', 'multi', '--json'));
    const [{ devs, tests }] = result.seeds;
    assert.ok(devs[0].scores['micro-f1'] > 0.8, JSON.stringify(result));
    assert.deepEqual(tests[0].scores, devs[0].scores);
    assert.ok(result.labelScores.animal.threshold !== 0.5);
    const { head } = JSON.parse(readFileSync(at('multi/trainer.json'), 'utf8'));
    assert.deepEqual(head.thresholds[0], result.labelScores.animal.threshold);
    await done('export', 'multi', '--to', 'hf', '--out', 'multi-hf');
    const config = JSON.parse(readFileSync(at('multi-hf/config.json'), 'utf8'));
    assert.equal(config.problem_type, 'multi_label_classification');
    await done('import', 'multi-hf', '--out', 'multi-again');
  });

  test('long texts are read in windows, and patience ends a fine-tuning', async () => {
    // Only the end of a text says its label; a window holds eight words of it.
    const long = (count: number, seed: number) =>
      examples(2 * count, seed).map(({ text, kind }, i, all) => ({
        text: `${all[(7 * i) % count]!.text} ${text}`,
        kind,
      }));
    writeCsv('long.csv', long(200, 6));
    writeCsv('long-dev.csv', long(40, 7));
    const files = ['--train', 'long.csv', '--dev', 'long-dev.csv', '--text', 'text', '--label', 'kind'];
    const run = async (...more: string[]) => {
      const words = [...files, ...small, '--max-length', '12', '--epochs', '10', ...more, '--json'];
      const { stdout, stderr } = await commands.done('finetune', 'run', ...words);
      return { ...JSON.parse(stdout), stderr };
    };
    const [start, windows] = [await run(), await run('--windows', '4')];
    assert.match(
      start.stderr,
      /^cut at 12 tokens, the rest is not read: 4\d\d of 400 training examples; to read more, in more time, give --max-length \(this model reads up to 32\), or --windows 4 \(not for pairs of texts\)$/m,
    );
    assert.doesNotMatch(windows.stderr, /cut at/);
    const accuracy = (result: typeof start) => result.seeds[0].devs[0].scores.accuracy;
    assert.ok(accuracy(windows) > accuracy(start) + 0.1, `${accuracy(start)} to ${accuracy(windows)}`);
    const patient = await run('--patience', '1', '--learning-rate', '1e-9');
    assert.equal(patient.seeds[0].history.length, 2, 'no epoch after the second is better at this learning rate');
  });

  test('without --dev a part of the training set is held out, which the output, the result and the card say', async () => {
    const words = ['--train', 'train.csv', '--text', 'text', '--label', 'kind', '--epochs', '1', '--threads', '1'];
    const { stdout, stderr } = await commands.done('finetune', 'run', ...words, '--out', 'alone', '--json');
    const { heldOut, confusion, learningRate, baselines, stoppedBy } = JSON.parse(stdout);
    assert.equal(heldOut.train + heldOut.dev, examples(300, 3).length);
    assert.equal(
      confusion.flat().reduce((a: number, b: number) => a + b),
      heldOut.dev,
    );
    assert.match(
      stderr,
      new RegExp(
        `^${heldOut.dev} examples of train\\.csv are held out for evaluation, leaving ${heldOut.train} for training`,
      ),
    );
    assert.match(stderr, /^learning rate 1e-3 \(default for a hidden size of 32\); change it with --learning-rate$/m);
    const steps = Math.ceil(heldOut.train / 32);
    assert.match(stderr, new RegExp(`^step ${steps}/${steps}  loss \\d\\.\\d\\d train\\.csv 0s left$`, 'm'));
    assert.deepEqual([learningRate, stoppedBy], [1e-3, null]);
    const [always, bayes] = baselines.map(({ sets }: { sets: { scores: { accuracy: number } }[] }) => sets[0]!.scores);
    assert.ok(always.accuracy < bayes.accuracy, JSON.stringify(baselines));
    assert.match(
      readFileSync(at('alone/README.md'), 'utf8'),
      new RegExp(`Fine-tuned on ${heldOut.train} examples, evaluated on ${heldOut.dev} others from the same set`),
    );
  });

  test('the summary compares the model with predictions without one, and names the class of F1', async () => {
    const words = ['--train', 'train.csv', '--test', 'test.csv', '--text', 'text', '--label', 'kind', '--epochs', '1'];
    const { stdout, stderr } = await commands.done('finetune', 'run', ...words, '--learning-rate', '0');
    const [first, second] = stdout.split('\n');
    assert.match(first!, /^test: accuracy \d+\.\d %; always "\w+" \d+\.\d %; naive Bayes on words \d+\.\d %$/);
    assert.match(
      second!,
      /^This model is no better than .*naive Bayes on words: more labelled examples help, or an encoder trained on more text/,
    );
    assert.match(stdout, /^model +set +best epoch +accuracy +f1 of other +matthews\nseed 1 +\w+ +1 +\d+\.\d %/m);
    assert.match(stderr, /epoch 1: dev accuracy \d+\.\d %, f1 of other/);
    assert.doesNotMatch(stderr, /default for a hidden size/);
  });

  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${name} ends a fine-tuning: the best finished epoch is kept, which the last line says`, async () => {
      const out = `stopped-${name}`;
      const words = ['finetune', 'run', ...own, ...small, '--epochs', '100000', '--out', out];
      const { child, ended } = start(words, { cwd: folder });
      child.stderr!.on('data', (bytes) => /epoch 2: /.test(String(bytes)) && child.kill(name));
      const { code: found, stdout, stderr } = await ended;
      assert.equal(found, code, stderr);
      assert.match(stderr, /^finishing this step; CTRL-C again ends at once$/m);
      const last = stderr.trim().split('\n').at(-1)!;
      assert.match(
        last,
        new RegExp(
          `^stopped by ${name}: ${out} holds the model of epoch \\d+ of 100000\\. It cannot be resumed; .* another --out$`,
        ),
      );
      assert.match(stdout, /^dev: accuracy/);
      assert.ok(existsSync(at(`${out}/model.safetensors`)));
    });
  }

  test('of several seeds the best is written, as it was after its best epoch', async () => {
    // Targets that no text tells make the best epoch and the best seed a matter of chance.
    const noise = examples(120, 3).map(({ text }, i) => ({ text, kind: String(((7 * i) % 11) - 5) }));
    writeCsv('noise.csv', noise);
    writeCsv(
      'noise-dev.csv',
      noise.slice(0, 50).map(({ text }, i) => ({ text, kind: String((5 * i) % 13) })),
    );
    const words = [
      '--train',
      'noise.csv',
      '--dev',
      'noise-dev.csv',
      '--text',
      'text',
      '--label',
      'kind',
      '--regression',
    ];
    const { seeds } = JSON.parse(
      await done('finetune', 'run', ...words, ...small, '--seeds', '1', '2', '3', '4', '--out', 'noise', '--json'),
    );
    const means = seeds.map(({ devs }: { devs: { judged: number }[] }) => devs[0]!.judged);
    const written = readFileSync(at('noise/dev.tsv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => Number(line.split('\t')[1]));
    const predicted = await predictionsOf(
      at('noise'),
      noise.slice(0, 50).map(({ text }) => text),
    );
    for (const [i, value] of predicted.entries())
      assert.ok(Math.abs(value - written[i]!) < 1e-4, `${i}: ${value}, written ${written[i]}`);
    const right = noise.slice(0, 50).map((_, i) => (5 * i) % 13);
    const mean = (pearson(predicted, right) + spearman(predicted, right)) / 2;
    assert.ok(Math.abs(mean - Math.max(...means)) < 2e-3, `${mean} of ${means}`);
    assert.ok(
      seeds.some(({ bestEpoch }: { bestEpoch: number }) => bestEpoch < 6),
      'some best epoch is not the last',
    );
    assert.notEqual(
      means.indexOf(Math.max(...means)),
      means.length - 1,
      'the best seed is not the last: change the noise if it is',
    );
  });

  test('every option of learning changes what is learned', async () => {
    const few = ['--epochs', '1', '--batch-size', '16', '--precision', 'fp32', '--threads', '1', '--dropout', '0'];
    const weightsOf = async (out: string, ...more: string[]) => {
      await done('finetune', 'run', ...own, ...few, ...more, '--out', out);
      return readFileSync(at(`${out}/model.safetensors`));
    };
    const plain = await weightsOf('plain');
    for (const [i, more] of [
      ['--dropout', '0.4'],
      ['--balanced'],
      ['--label-smoothing', '0.2'],
      ['--layer-decay', '0.5'],
      ['--freeze', '1'],
    ].entries()) {
      assert.ok(!plain.equals(await weightsOf(`changed-${i}`, ...more)), more.join(' '));
    }
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
    assert.ok(!('confusion' in result));
    assert.match(
      readFileSync(at('regression/dev.tsv'), 'utf8'),
      /^index\tprediction\tlabel\ttext\n0\t-?\d\.\d+\t-1\tThe /,
    );
  });

  test('glue makes a table of tasks at their best learning rate, and resumes where it stopped', async () => {
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
    // Other weights or other examples are another result.
    await done('finetune', 'run', ...own, ...small.slice(2), '--epochs', '1', '--out', 'other');
    const again = ['--learning-rates', '1e-7', '--json'];
    await done('glue', 'other', ...words.slice(2), ...again);
    assert.equal(readFileSync(at('table/results.jsonl'), 'utf8').trim().split('\n').length, 3);
    assert.equal(both.tasks[0].learningRate, 3e-3);
    assert.ok(both.average > 0.8 && both.average > first.average, JSON.stringify([first, both]));
    assert.equal(both.tasks[0].devs[0].scores.matthews, both.average);
    assert.match(await done(...words, '--learning-rates', '3e-3'), /cola +matthews \d+\.\d .*\n *average/);
  });

  test('mistakes are reported in one line', async () => {
    const tune = (...words: string[]) => ['finetune', 'run', ...words];
    const mine = ['finetune', 'run', '--train', 'train.csv', '--text', 'text'];
    await refused([...mine, '--label', 'kind', 'text'], /--label kind text: several columns need --multi-label/);
    await refused(
      [...mine, '--regression', '--multi-label'],
      /--regression and --multi-label: a model learns only one of them/,
    );
    await refused(
      [...mine, '--temperature', '0.1'],
      /--temperature: works only with --pairs, --unsupervised; leave it out/,
    );
    await refused([...mine, '--threshold', '2'], /--threshold 2: not a number > 0 and < 1/);
    await refused(
      [...mine, '--label', 'kind', '--dev', 'dev.csv', '--freeze', '9'],
      /--freeze 9: the model has 2 blocks/,
    );
    await refused(tune(), /--train: missing; give a file of examples with --train, or --task with --data/);
    await refused(
      tune('--train', 'train.csv'),
      /--text: missing; name the text columns of train\.csv, which has "text", "kind"/,
    );
    await refused(tune('--dev', 'dev.csv', '--text', 'text'), /--train: missing/);
    await refused(tune('--data', 'glue'), /--task: missing; --data is the folder of a GLUE task/);
    await refused(tune('--task', 'squad', '--data', 'glue'), /--task squad: is not one of cola, sst2/);
    await refused(tune('--task', 'rte', '--data', 'glue'), /glue: has no RTE with train\.tsv/);
    await refused(
      tune(...own.slice(0, -1), 'sort'),
      /train\.csv, line 2: no column "sort"; found "text", "kind"; name the right one with --text or --label/,
    );
    await refused(tune(...own, '--dropout', '1'), /--dropout 1: not a number ≥ 0 and < 1/);
    await refused(tune(...own, '--seeds', 'x'), /--seeds x: not an integer/);
    await refused(tune(...own, '--out', 'run'), /--out run: already exists/);
    await refused(tune(...own, '--out', '/proc/taper'), /\/proc\/taper: cannot be written/);
    await refused(
      tune(...own, '--task', 'cola', '--data', 'glue'),
      /--task cola: has its own files, columns and objective; leave out --train/,
    );
    await refused(tune(...own, '--text', 'a', 'b'), /--text text a b: takes 2 columns at most/);
    await refused(tune(...own, '--seeds', '99999999999999999999'), /--seeds 9+: not an integer/);
    const steep = ['--learning-rate', '1e38', '--epochs', '1', '--out', 'inf'];
    const { code, stderr } = await commands.quick(...tune(...own, ...small, ...steep));
    assert.equal(code, 2, stderr);
    assert.match(stderr.trim().split('\n').at(-1)!, /the loss, the gradient or the weights were not finite/);
    assert.ok(!existsSync(at('inf')));
    await refused(['finetune', 'nowhere', ...own], /nowhere: no such folder/);
    await refused(['glue', 'run', '--data', '.', '--out', 'x'], /\.: holds no task folder such as CoLA/);
    assert.ok(!existsSync(at('x')));
  });
});
