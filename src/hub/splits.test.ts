import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHubName } from './names.ts';
import { chooseFiles } from './splits.ts';

const endings = '.txt .md .jsonl .parquet';
const isText = (path: string) => /\.(txt|md|jsonl|parquet)(\.gz)?$/.test(path);
const choose = (name: string, paths: readonly string[], card = '') =>
  chooseFiles(parseHubName(name, 'dataset'), { paths, card, isText, endings });
const card = (head: string) => `---\nlicense: mit\n${head}\n---\n\n# A data set\n`;

// The expected splits are those of the layouts in https://huggingface.co/docs/hub/datasets-file-names-and-splits and of the
// patterns in data_files.py of Hugging Face's datasets 4.
test('names of files and folders tell the splits as in the documentation of the Hub', () => {
  const byFile = ['README.md', 'train.jsonl', 'test.jsonl', 'my_dev-2.jsonl'];
  assert.deepEqual(choose('hf:datasets/a/b:train', byFile), ['train.jsonl']);
  assert.deepEqual(choose('hf:datasets/a/b:test', byFile), ['test.jsonl']);
  assert.deepEqual(choose('hf:datasets/a/b:validation', byFile), ['my_dev-2.jsonl']);
  const byFolder = ['data/train/a.txt', 'data/train/b.txt', 'data/eval/c.txt', 'val/test.txt'];
  assert.deepEqual(choose('hf:datasets/a/b', byFolder), ['data/train/a.txt', 'data/train/b.txt']);
  assert.deepEqual(choose('hf:datasets/a/b:test', byFolder), ['data/eval/c.txt']);
  assert.deepEqual(choose('hf:datasets/a/b:validation', byFolder), ['val/test.txt']); // folders go before file names
  const shards = [
    'data/train-00000-of-00002.parquet',
    'data/train-00001-of-00002.parquet',
    'data/extra-00000-of-00001-abc.parquet',
    'test/a.txt',
  ];
  assert.deepEqual(choose('hf:datasets/a/b:train', shards), shards.slice(0, 2));
  assert.deepEqual(choose('hf:datasets/a/b:extra', shards), [shards[2]]);
  const plain = [
    'README.md',
    'LICENSE',
    'notes.md',
    'b.jsonl',
    'a.jsonl',
    '.hidden/c.jsonl',
    '__MACOSX/d.jsonl',
    'restrained.jsonl',
  ];
  assert.deepEqual(choose('hf:datasets/a/b', plain), ['a.jsonl', 'b.jsonl', 'restrained.jsonl']);
  assert.deepEqual(choose('hf:datasets/a/b', ['dev.txt']), ['dev.txt']); // the only split
  const beside = ['dataset.jsonl', 'LICENSE.txt', 'requirements.txt', 'README.txt'];
  assert.deepEqual(choose('hf:datasets/a/b', beside), ['dataset.jsonl']);
  assert.deepEqual(choose('hf:datasets/a/b', ['LICENSE.txt', 'texts.txt']), ['texts.txt']);
  const notices = ['data/license-texts.jsonl', 'data/notice-2020.jsonl', 'data/other.jsonl'];
  assert.deepEqual(choose('hf:datasets/a/b', notices), notices);
});

test('the head of the card takes precedence over names, in each form of its data_files', () => {
  const paths = ['de/one.jsonl', 'de/two.jsonl', 'en/one.jsonl', 'en/held.jsonl', 'train.jsonl'];
  const subsets = card(`configs:
- config_name: en
  data_files:
  - split: train
    path: en/one.jsonl
  - split: held.out
    path: ["en/held.jsonl"]
- config_name: de
  data_dir: de
  default: true
- config_name: all
  data_files: "*/one.jsonl"
- config_name: map
  data_files: { train: de/*.jsonl, test: en/held.jsonl }`);
  assert.deepEqual(choose('hf:datasets/a/b/en:held.out', paths, subsets), ['en/held.jsonl']);
  assert.deepEqual(choose('hf:datasets/a/b', paths, subsets), ['de/one.jsonl', 'de/two.jsonl']);
  assert.deepEqual(choose('hf:datasets/a/b/all:train', paths, subsets), ['de/one.jsonl', 'en/one.jsonl']);
  assert.deepEqual(choose('hf:datasets/a/b/map:test', paths, subsets), ['en/held.jsonl']);
  assert.throws(
    () => choose('hf:datasets/a/b/fr', paths, subsets),
    /^DataError: hf:datasets\/a\/b\/fr: no subset, folder or file fr; the subsets are en, de, all, map$/,
  );
  assert.throws(
    () => choose('hf:datasets/a/b/en:valid', paths, subsets),
    /no split valid; it has train, held\.out; name one, for example hf:datasets\/a\/b\/en:train$/,
  );
  const several = card(
    'configs:\n- config_name: x\n  data_files: train.jsonl\n- config_name: y\n  data_files: train.jsonl',
  );
  assert.throws(
    () => choose('hf:datasets/a/b:train', paths, several),
    /has several subsets: x, y; name one, for example hf:datasets\/a\/b\/x:train$/,
  );
  assert.deepEqual(choose('hf:datasets/a/b', paths, '---\n: {\n---\n'), ['train.jsonl']); // a head that is no YAML
});

test('a card whose patterns match no file says so, and a pattern without a split is of train', () => {
  const paths = ['a.jsonl', 'b.jsonl'];
  const head = (train: string) =>
    card(`configs:\n- config_name: default\n  data_files:\n${train}  - split: test\n    path: b.jsonl`);
  assert.throws(
    () => choose('hf:datasets/a/b:train', paths, head('  - split: train\n    path: none-*\n')),
    /its card lists no existing file for the split train; it has test; name one, for example hf:datasets\/a\/b:test$/,
  );
  assert.deepEqual(choose('hf:datasets/a/b', paths, head('  - path: a.jsonl\n')), ['a.jsonl']);
  assert.throws(() => choose('hf:datasets/a/b', []), /contains no data files$/);
});

test('a folder, a file and a glob can be named', () => {
  const paths = ['books/train.txt', 'books/test.txt', 'songs/a.txt', 'songs/b.md'];
  assert.deepEqual(choose('hf:datasets/a/b/books:test', paths), ['books/test.txt']);
  assert.deepEqual(choose('hf:datasets/a/b/songs/b.md', paths), ['songs/b.md']);
  assert.deepEqual(choose('hf:datasets/a/b/*/{a,test}.txt', paths), ['books/test.txt', 'songs/a.txt']);
  assert.throws(() => choose('hf:datasets/a/b/songs/b.md:train', paths), /a file has no splits; leave :train out/);
});

test('the error for an unreadable data set names its format, and where the Hub may have it as Parquet', () => {
  const copy = /if the Hub has a Parquet copy, use hf:datasets\/a\/b:train@refs\/convert\/parquet$/;
  assert.throws(
    () => choose('hf:datasets/a/b:train', ['train.csv', 'README.md', 'train.txt', 'train2.csv', 'train-3.csv']),
    (error: Error) => {
      assert.match(error.message, /has files such as train-3\.csv, but none that taper reads \(\.txt/);
      assert.match(error.message, copy);
      return true;
    },
  );
  assert.throws(
    () => choose('hf:datasets/a/b:train', ['b.py', 'README.md']),
    /is a Python script, which taper does not run; /,
  );
  assert.throws(
    () => choose('hf:datasets/a/b/x.csv', ['x.csv']),
    /hf:datasets\/a\/b\/x\.csv: not a text file that taper reads/,
  );
});

test('the error for an invalid name says what is expected', () => {
  const form = /is not a name on the Hub; expected hf:datasets\/ORG\/NAME\[\/PATH\]\[:SPLIT\]\[@REVISION\]$/;
  for (const name of ['hf:', 'hf:datasets/', 'hf:datasets/a/b:', 'hf:datasets/a/b@', 'hf:datasets/a b'])
    assert.throws(() => parseHubName(name, 'dataset'), form, name);
  assert.throws(
    () => parseHubName('hf:a/b', 'dataset'),
    /is the name of a model; expected a data set.*use hf:datasets\/a\/b$/,
  );
  assert.throws(
    () => parseHubName('hf:datasets/a/b', 'model'),
    /is the name of a data set; expected a model, hf:ORG\/NAME\[@REVISION\]$/,
  );
  assert.deepEqual(parseHubName('hf:datasets/a/b/c/d.txt:train@refs/convert/parquet', 'dataset'), {
    base: 'hf:datasets/a/b/c/d.txt:train',
    type: 'dataset',
    repo: 'a/b',
    path: 'c/d.txt',
    split: 'train',
    revision: 'refs/convert/parquet',
  });
});
