// Embeddings and tags as their users make and use them: from the command line to the programs that they are for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { env, pipeline } from '@huggingface/transformers';
import { cosine } from '../src/tasks/pairs/kind.ts';
import { commandsIn, sentences, writeTiny } from './cli.fixture.ts';
import { readNpy } from './npy.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-heads-'));
const at = (path: string) => join(folder, path);
const { done, quick, refused } = commandsIn(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

env.allowRemoteModels = false;
env.localModelPath = `${folder}/`;

const python = process.env.TAPER_PYTHON ?? 'python3';
const has = (modules: string) => spawnSync(python, ['-c', `import ${modules}`]).status === 0;

/** Runs a Python program and parses what it prints. */
function inPython<T>(script: string, ...words: string[]): T {
  const { status, stdout, stderr } = spawnSync(python, ['-c', script, ...words], { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T;
}

const npy = (file: string) => readNpy(at(file));
const furthest = (a: readonly Float32Array[], b: readonly (readonly number[])[]) =>
  Math.max(...a.flatMap((row, i) => Array.from(row, (x, d) => Math.abs(x - b[i]![d]!))));

const texts = [...new Set(sentences(60, 9).trim().split('. '))].map((text) => text.replace(/\.$/, ''));
const quickly = [
  '--batch-size',
  '16',
  '--learning-rate',
  '3e-3',
  '--precision',
  'fp32',
  '--threads',
  '1',
  '--max-length',
  '32',
];
const kinds = ['modernbert', 'bert'] as const;

describe('heads', { timeout: 600_000 }, () => {
  before(async () => {
    writeTiny(folder);
    for (const kind of kinds)
      await done(
        'pretrain',
        'tiny.yaml',
        '--out',
        kind,
        '--set',
        `model.kind=${kind}`,
        'data.objective=mlm',
        'train.precision=fp32',
        // So that in two of three blocks not every token sees all others.
        ...(kind === 'modernbert' ? ['model.layers=3', 'model.window=6'] : []),
      );
    // Texts belong together that have one subject.
    const subject = (text: string) => text.split(' ')[1]!;
    const pairs = texts.flatMap((a, i) =>
      texts.filter((b, j) => i < j && subject(a) === subject(b)).map((b) => [a, b]),
    );
    writeFileSync(at('pairs.tsv'), `a\tb\n${pairs.map((pair) => `${pair.join('\t')}\n`).join('')}`);
    const scored = texts
      .slice(1)
      .map((b, i) => [subject(b) === subject(texts[i]!) ? 5 : 1 + (i % 3), texts[i], b].join('\t'));
    writeFileSync(at('scored.txt'), `${scored.join('\n')}\n`);
    writeFileSync(at('texts.txt'), `${texts.join('\n')}\n`);
    writeFileSync(at('texts.jsonl'), texts.map((body) => `${JSON.stringify({ body })}\n`).join(''));
    const tagOf = (i: number) => ({ 1: 'B-LIFE', 4: 'B-LIFE', 7: 'B-PLACE' })[i] ?? 'O';
    const tagged = (text: string) => text.split(' ').map((word, i) => `${word}\t${tagOf(i)}\n`);
    writeFileSync(at('tags.conll'), texts.map((text) => tagged(text).join('')).join('\n'));
  });

  for (const kind of kinds) {
    test(`${kind}: pairs make embeddings, whose cosines are those of the predictions`, async () => {
      const words = [
        '--pairs',
        '--train',
        'pairs.tsv',
        '--dev',
        'pairs.tsv',
        '--text',
        'a',
        'b',
        '--test',
        'pairs.tsv',
      ];
      const out = `${kind}-pairs`;
      const { stdout } = await done(
        'finetune',
        kind,
        ...words,
        ...quickly,
        '--epochs',
        '4',
        '--dimensions',
        '16',
        '--out',
        out,
        '--json',
      );
      const { seeds } = JSON.parse(stdout);
      const history = seeds[0].history as number[];
      assert.ok(history.at(-1)! > history[0]! && history.at(-1)! > 0.5, JSON.stringify(history));
      await done('embed', out, '--in', 'texts.txt', '--out', `${out}.npy`);
      const vectors = npy(`${out}.npy`);
      for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
      const rows = readFileSync(at('pairs.tsv'), 'utf8').trim().split('\n').slice(1);
      const predicted = readFileSync(at(`${out}/test.tsv`), 'utf8')
        .trim()
        .split('\n')
        .slice(1);
      for (const [i, row] of rows.entries()) {
        const [a, b] = row.split('\t').map((text) => vectors[texts.indexOf(text)]!);
        assert.ok(Math.abs(cosine(a!, b!) - Number(predicted[i]!.split('\t')[1])) < 1e-4, row);
      }
      await done('embed', out, '--in', 'texts.jsonl', '--text', 'body', '--out', `${out}-16.npy`, '--dimensions', '16');
      for (const [i, short] of npy(`${out}-16.npy`).entries()) {
        assert.ok(Math.abs(cosine(short, vectors[i]!.slice(0, 16)) - 1) < 1e-5);
        assert.ok(Math.abs(Math.hypot(...short) - 1) < 1e-5);
      }
      await done('embed', out, '--in', 'texts.txt', '--out', `${out}-8.npy`, '--int8');
      for (const [i, bytes] of npy(`${out}-8.npy`).entries()) assert.ok(cosine(bytes, vectors[i]!) > 0.999);
      await done('export', out, '--to', 'hf', '--out', `${out}-hf`);
      await done('import', `${out}-hf`, '--out', `${out}-in`);
      await done('embed', `${out}-in`, '--in', 'texts.txt', '--out', `${out}-in.npy`);
      assert.deepEqual(npy(`${out}-in.npy`), vectors);
    });
  }

  const skip = !has('sentence_transformers') && `${python} has no sentence_transformers`;
  test("Python's sentence-transformers gives the vectors that NumPy reads", { skip }, async () => {
    for (const kind of kinds) {
      const [shape, difference] = inPython<[number[], number]>(
        'import sys, json, numpy; from sentence_transformers import SentenceTransformer as S; ' +
          'ours, theirs = numpy.load(sys.argv[1]), S(sys.argv[2]).encode(json.loads(sys.argv[3])); ' +
          'print(json.dumps([ours.shape, float(abs(ours - theirs).max())]))',
        `${kind}-pairs.npy`,
        `${kind}-pairs-hf`,
        JSON.stringify(texts),
      );
      assert.deepEqual(shape, [texts.length, 32]);
      assert.ok(difference < 1e-5, `${kind}: ${difference}`);
    }
  });

  for (const kind of kinds) {
    test(`transformers.js gives the same vectors with ${kind}`, async () => {
      await done('export', `${kind}-pairs`, '--to', 'onnx', '--out', `${kind}-pairs-onnx`);
      assert.ok(existsSync(at(`${kind}-pairs-onnx/1_Pooling/config.json`)));
      const extract = await pipeline('feature-extraction', `${kind}-pairs-onnx`, { dtype: 'fp32' });
      const found = (await extract(texts, { pooling: 'mean', normalize: true })).tolist() as number[][];
      const difference = furthest(npy(`${kind}-pairs.npy`), found);
      assert.ok(difference < 1e-4, `${difference}`);
    });
  }

  test('scored pairs of a file without a header, and texts alone, make embeddings', async () => {
    const columns = ['--text', 'a', 'b', '--score', 's', '--columns', 's', 'a', 'b'];
    const files = ['--train', 'scored.txt', '--dev', 'scored.txt'];
    const short = [...quickly, '--epochs', '3', '--json'];
    const scored = JSON.parse((await done('finetune', 'modernbert', '--pairs', ...files, ...columns, ...short)).stdout);
    assert.ok(scored.seeds[0].devs[0].scores.spearman > 0.5, JSON.stringify(scored));
    const alone = ['--unsupervised', '--train', 'texts.txt', '--columns', 'a', '--text', 'a', '--dropout', '0.1'];
    const { stdout } = await done('finetune', 'modernbert', ...alone, ...short, '--out', 'alone');
    assert.deepEqual(JSON.parse(stdout).seeds[0].devs, []);
    await done('embed', 'alone', '--in', 'texts.txt', '--out', 'alone.npy');
  });

  test('a model that was only pre-trained gives the means of its tokens, and says so', async () => {
    const { stderr } = await done('embed', 'modernbert', '--in', 'texts.txt', '--out', 'plain.npy');
    assert.match(stderr, /modernbert\S*: was not fine-tuned for embeddings; using the mean over the tokens/);
    assert.equal(npy('plain.npy').length, texts.length);
  });

  for (const kind of kinds) {
    test(`${kind}: tags of words are learned, written and exported`, async () => {
      const files = ['--tags', '--train', 'tags.conll', '--dev', 'tags.conll', '--test', 'tags.conll'];
      const out = `${kind}-tags`;
      const { stdout } = await done('finetune', kind, ...files, ...quickly, '--epochs', '8', '--out', out, '--json');
      const { labels, seeds, entities } = JSON.parse(stdout);
      assert.deepEqual(labels, ['O', 'B-LIFE', 'B-PLACE']);
      assert.ok(seeds[0].devs[0].scores.f1 > 0.9, stdout);
      assert.equal(entities.PLACE.support, texts.length);
      assert.ok(
        readFileSync(at(`${out}/test.conll`), 'utf8').startsWith(`The\tO\n${texts[0]!.split(' ')[1]}\tB-LIFE\n`),
      );
      await done('export', out, '--to', 'hf', '--out', `${out}-hf`);
      await done('import', `${out}-hf`, '--out', `${out}-in`);
      await done('export', `${out}-in`, '--to', 'hf', '--out', `${out}-again`);
      const [again, first] = [`${out}-again`, `${out}-hf`].map((path) => readFileSync(at(`${path}/model.safetensors`)));
      assert.ok(again!.equals(first!));
      const config = JSON.parse(readFileSync(at(`${out}-again/config.json`), 'utf8'));
      assert.deepEqual(config.id2label, { 0: 'O', 1: 'B-LIFE', 2: 'B-PLACE' });
    });
  }

  test("Python's transformers tags words the same", { skip: !has('transformers, torch') && 'no transformers' }, () => {
    const script = `
import json, sys, torch, transformers as hf
model, info = hf.AutoModelForTokenClassification.from_pretrained(sys.argv[1], output_loading_info=True)
tokenizer = hf.AutoTokenizer.from_pretrained(sys.argv[1])
odd = [name for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys') for name in info[key]]
tags = []
for text in json.loads(sys.argv[2]):
    inputs = tokenizer(text.split(' '), is_split_into_words=True, return_tensors='pt')
    with torch.no_grad():
        found = model.eval()(**inputs).logits[0].argmax(-1).tolist()
    words = inputs.word_ids()
    tags.append([model.config.id2label[found[words.index(i)]] for i in range(len(text.split(' ')))])
print(json.dumps([type(model).__name__, odd, tags]))
`;
    for (const [kind, name] of [
      ['modernbert', 'ModernBertForTokenClassification'],
      ['bert', 'MegatronBertForTokenClassification'],
    ]) {
      const [type, odd, tags] = inPython<[string, string[], string[][]]>(
        script,
        `${kind}-tags-hf`,
        JSON.stringify(texts),
      );
      assert.deepEqual([type, odd], [name, []]);
      const written = readFileSync(at(`${kind}-tags/test.conll`), 'utf8')
        .trim()
        .split('\n\n');
      assert.deepEqual(
        tags,
        written.map((lines) => lines.split('\n').map((line) => line.split('\t')[1])),
      );
    }
  });

  for (const kind of kinds) {
    test(`transformers.js finds the same entities with ${kind}`, async () => {
      await done('export', `${kind}-tags`, '--to', 'onnx', '--out', `${kind}-tags-onnx`);
      const find = await pipeline('token-classification', `${kind}-tags-onnx`, { dtype: 'fp32' });
      const written = readFileSync(at(`${kind}-tags/test.conll`), 'utf8')
        .trim()
        .split('\n\n');
      for (const [i, text] of texts.slice(0, 8).entries()) {
        const found = (await find(text)) as { entity: string; word: string }[];
        const starts = found.filter(({ word }) => !word.startsWith('##')).map(({ entity }) => entity);
        const expected = written[i]!.split('\n').map((line) => line.split('\t')[1]!);
        assert.deepEqual(
          starts,
          expected.filter((tag) => tag !== 'O'),
          text,
        );
      }
    });
  }

  test('mistakes are reported in one line', async () => {
    const pairs = ['finetune', 'modernbert', '--pairs', '--train', 'pairs.tsv'];
    await refused(
      [...pairs, '--text', 'a'],
      /--text a: a pair has two texts; name both columns, or give --unsupervised/,
    );
    await refused([...pairs, '--text', 'a', 'b', '--tags'], /--tags and --pairs: a model learns only one of them/);
    await refused(
      [...pairs, '--text', 'a', 'b', '--label', 'c'],
      /--label: works only with labels, --regression, --multi-label, --tags; leave it out/,
    );
    await refused(
      [...pairs, '--text', 'a', 'b', '--batch-size', '1'],
      /--batch-size 1: embeddings are trained by comparing examples/,
    );
    await refused(
      [...pairs, '--dev', 'pairs.tsv', '--text', 'a', 'b', '--dimensions', '64'],
      /--dimensions 64: the model's vectors have 32 dimensions; give 32 or fewer/,
    );
    await refused(
      ['finetune', 'modernbert', '--unsupervised', '--train', 'pairs.tsv', '--text', 'a', '--dropout', '0'],
      /--dropout 0: --unsupervised learns from two dropout masks of each text; give a rate such as 0\.1/,
    );
    writeFileSync(at('gap.txt'), 'one\n\ntwo\n');
    await refused(
      ['embed', 'modernbert', '--in', 'gap.txt', '--out', 'x.npy'],
      /gap\.txt, line 2: is empty; delete it, or write a text/,
    );
    await refused(
      ['finetune', 'modernbert', '--task', 'cola', '--data', '.', '--balanced'],
      /--task cola: has its own files, columns and objective; leave out --balanced/,
    );
    await refused([...pairs, '--text', 'a', 'c'], /no column "c"; found "a", "b"; name the right one with --text/);
    await refused([...pairs, '--text', 'a', 'b', '--temperature', '0'], /--temperature 0: not a number > 0/);
    await refused(
      [...pairs, '--dev', 'pairs.tsv', '--text', 'a', 'b', '--metric', 'f1', '--epochs', '1'],
      /--metric f1: is not one of ndcg@10, recall@1, recall@10/,
    );
    await refused(
      ['finetune', 'modernbert', '--unsupervised', '--train', 'pairs.tsv', '--text', 'a', '--seeds', '1', '2'],
      /--seeds: the best of several seeds is chosen on a development set; give one with --dev/,
    );
    await refused(
      ['embed', 'modernbert-tags', '--in', 'texts.txt', '--out', 'x.npy'],
      /modernbert-tags: is fine-tuned for labels; give a pre-trained encoder/,
    );
    await refused(
      ['embed', 'modernbert', '--in', 'texts.txt', '--out', 'x.parquet'],
      /--out x\.parquet: vectors are written as \.npy/,
    );
    await refused(
      ['embed', 'modernbert', '--in', 'texts.txt', '--out', 'plain.npy'],
      /--out plain\.npy: already exists; give a new file/,
    );
    await refused(
      ['embed', 'modernbert', '--in', 'texts.jsonl', '--out', 'x.npy'],
      /texts\.jsonl, line 1: no column "text"; found "body"; name the right one/,
    );
    await refused(['embed', 'modernbert', '--in', 'none.txt', '--out', 'x.npy'], /none\.txt: no such file/);
    const { code, stderr } = await quick(
      'embed',
      'bert-pairs',
      '--in',
      'texts.txt',
      '--out',
      'x.npy',
      '--dimensions',
      '64',
    );
    assert.deepEqual(
      [code, /--dimensions 64: the vectors of bert-pairs have 32 dimensions; give 32 or fewer/.test(stderr)],
      [2, true],
      stderr,
    );
    assert.ok(!existsSync(at('x.npy')));
  });
});
