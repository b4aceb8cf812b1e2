import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DataError } from '../../errors/index.ts';
import { openTagTask } from './open.ts';
import { readSentences, type TagColumns } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-tags-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const read = (path: string, columns: TagColumns = {}, isTagged = true) => readSentences(path, columns, isTagged);
const refused = async (name: string, text: string, reason: RegExp, columns: TagColumns = {}) =>
  assert.rejects(
    read(file(name, text), columns),
    (error) => error instanceof DataError && reason.test(error.message) && !error.message.includes('\n'),
    reason.source,
  );

test('CoNLL columns are read with tabs or spaces between them, the tag last, sentences between empty lines', async () => {
  const expected = [
    { words: ['EU', 'rejects'], tags: ['B-ORG', 'O'] },
    { words: ['#', 'London'], tags: ['O', 'B-LOC'] },
  ];
  const plain = (found: Awaited<ReturnType<typeof read>>) => found.map(({ words, tags }) => ({ words, tags }));
  const tabs = file('tabs.conll', 'EU\tB-ORG\nrejects\tO\n\n\n#\tO\nLondon\tB-LOC\n');
  assert.deepEqual(plain(await read(tabs)), expected);
  const spaces =
    '-DOCSTART- -X- -X- O\r\n\r\nEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n\r\n# SYM O O\r\nLondon NNP B-NP B-LOC\r\n';
  assert.deepEqual(plain(await read(file('spaces.txt', spaces))), expected);
  const [first] = await read(file('pos.txt', spaces), { tags: '2' });
  assert.deepEqual(first!.tags, ['NNP', 'VBZ']);
  assert.match((await read(tabs))[1]!.where, /tabs\.conll, line 5$/);
});

test("Universal Dependencies' files are read by the numbers of their columns, without their comments", async () => {
  const row = (id: number, word: string, tag: string) =>
    `${[id, word, word, tag, '_', '_', 0, 'root', '_', '_'].join('\t')}\n`;
  const text = `# sent_id = 1\n# text = Dogs bark\n${row(1, 'Dogs', 'NOUN')}${row(2, 'bark', 'VERB')}\n`;
  const [one] = await read(file('dogs.conllu', text), { words: '2', tags: '4' });
  assert.deepEqual(
    [one!.words, one!.tags],
    [
      ['Dogs', 'bark'],
      ['NOUN', 'VERB'],
    ],
  );
});

test('several words in one, omitted words, and comments among spaces are left out', async () => {
  const row = (id: string, word: string, tag: string) =>
    `${[id, word, word, tag, '_', '_', 0, 'root', '_', '_'].join('\t')}\n`;
  const text = `# sent_id\t1\n${row('1-2', "don't", '_')}${row('1', 'do', 'AUX')}${row('2', "n't", 'PART')}${row('2.1', 'gone', 'X')}\n`;
  const [one] = await read(file('range.conllu', text), { words: '2', tags: '4' });
  assert.deepEqual(
    [one!.words, one!.tags],
    [
      ['do', "n't"],
      ['AUX', 'PART'],
    ],
  );
  const spaces = '# sent 3 of 4\nLondon B-LOC \n# O\n\n# O\nParis B-LOC\n';
  const found = await read(file('comments.conll', spaces));
  assert.deepEqual(
    found.map(({ words }) => words),
    [
      ['London', '#'],
      ['#', 'Paris'],
    ],
  );
});

test('predictions are written in the form of their file', async () => {
  const rows = ['{"tokens": ["a", "b"], "tags": ["O", "B-X"]}\n', '{"text": "a b", "spans": [[2, 3, "X"]]}\n'];
  const { kind, train } = await openTagTask(
    { train: file('both.jsonl', rows.join('')), dev: file('dev.jsonl', rows[0]!) },
    {},
    assert.fail,
  );
  const examples = train.examples.map((sentence) => ({ ...sentence, sequences: [], reads: [] }));
  const { ending, text } = kind.written(
    [
      ['O', 'B-X'],
      ['O', 'B-X'],
    ],
    examples,
    train.examples,
  );
  assert.equal(ending, '.jsonl');
  assert.deepEqual(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { tokens: ['a', 'b'], tags: ['O', 'B-X'] },
      { text: 'a b', spans: [{ start: 2, end: 3, label: 'X' }] },
    ],
  );
});

test('spans become tags of words, counted in characters, and written ones are the same', async () => {
  const text = '😀 Ada Lovelace, of London.';
  const spans = [{ start: 2, end: 14, label: 'PER' }, [19, 25, 'LOC']];
  const path = file('spans.jsonl', `${JSON.stringify({ text, spans })}\n`);
  const [one] = await read(path);
  assert.deepEqual(one!.words, ['😀', 'Ada', 'Lovelace', ',', 'of', 'London', '.']);
  assert.deepEqual(one!.tags, ['O', 'B-PER', 'I-PER', 'O', 'O', 'B-LOC', 'O']);
  assert.deepEqual([...text].slice(...one!.places![5]!).join(''), 'London');
  const { kind, train } = await openTagTask({ train: path, dev: path }, {}, assert.fail);
  const examples = train.examples.map((sentence) => ({ ...sentence, sequences: [], reads: [] }));
  const written = JSON.parse(kind.written([one!.tags], examples, train.examples).text);
  assert.deepEqual(written, {
    text,
    spans: [
      { start: 2, end: 14, label: 'PER' },
      { start: 19, end: 25, label: 'LOC' },
    ],
  });
});

test('JSON lines hold lists of tokens and tags', async () => {
  const [one] = await read(file('lists.jsonl', '{"tokens": ["a", "b"], "tags": ["O", "B-X"]}\n'));
  assert.deepEqual(
    [one!.words, one!.tags],
    [
      ['a', 'b'],
      ['O', 'B-X'],
    ],
  );
  const [own] = await read(file('own.jsonl', '{"w": ["a"], "t": ["O"]}\n'), { words: 'w', tags: 't' });
  assert.deepEqual(own!.tags, ['O']);
});

test('words lose the language only if it precedes each of them', async () => {
  const warnings: string[] = [];
  const open = (train: string) => openTagTask({ train, dev: train }, {}, (text) => warnings.push(text));
  const { train } = await open(file('wikiann.tsv', 'en:London\tB-LOC\nen:en:x\tO\n'));
  assert.deepEqual(train.examples[0]!.words, ['London', 'en:x']);
  assert.match(warnings.join(), /wikiann\.tsv: every word begins with "en:", which is removed/);
  const { train: mixed } = await open(file('mixed.tsv', 'en:London\tB-LOC\nzh-Hans:\u6771\tO\n'));
  assert.deepEqual(mixed.examples[0]!.words, ['London', '\u6771']);
  const { train: kept } = await open(file('kept.tsv', 'en:London\tB-LOC\nhttp\tO\n'));
  assert.deepEqual(kept.examples[0]!.words, ['en:London', 'http']);
});

test('a malformed tagged sentence is refused with its line and the reason', async () => {
  await refused('none.jsonl', '{"tokens": [], "tags": []}\n', /none\.jsonl, line 1: has no tokens; remove the line/);
  await refused('few.jsonl', '{"tokens": ["a", "b"], "tags": ["O"]}\n', /line 1: has 2 tokens but 1 tag;/);
  await refused('untagged.jsonl', '{"tokens": ["a"]}\n', /tags is nothing, not a list/);
  await refused('neither.jsonl', '{"words": "a"}\n', /has neither a list of tokens nor a text/);
  await refused('one.conll', 'London\tB-LOC\nParis\n', /one\.conll, line 2: has one column; write a word and its tag/);
  await refused('gap.conll', 'London\tB-LOC\nParis\t\n', /line 2: the word "Paris" has no tag/);
  await refused('word.conll', 'London\tB-LOC\n\tO\n', /line 2: has a tag but no word/);
  await refused('empty.conll', '\n\n', /empty\.conll: contains no sentences/);
  await refused('columns.conll', 'a\tO\n', /--text words: the columns of a CoNLL file have no names/, {
    words: 'words',
  });
  const spans = (spans: unknown) => `${JSON.stringify({ text: 'Ada in London', spans })}\n`;
  const span = (start: unknown, end: unknown, label: unknown = 'X') => ({ start, end, label });
  await refused('over.jsonl', spans([span(0, 3), span(2, 6)]), /the span X from 2 to 6 overlaps another/);
  await refused('out.jsonl', spans([span(7, 14)]), /the span X from 7 to 14 is not within the 13 characters/);
  await refused('below.jsonl', spans([span(-1, 3)]), /from -1 to 3 is not within/);
  await refused('empty.jsonl', spans([span(3, 3)]), /from 3 to 3 is not within/);
  await refused('space.jsonl', spans([span(3, 4)]), /from 3 to 4 contains no word/);
  await refused('label.jsonl', spans([span(0, 3, 7)]), /is not a span; write/);
  await refused('half.jsonl', spans([span(0.5, 3)]), /is not a span; write/);
  await refused('list.jsonl', spans('all'), /spans is "all", not a list/);
  await refused('wordless.jsonl', '{"text": "  ", "spans": []}\n', /the text has no words/);
  await assert.rejects(read(join(folder, 'missing.conll')), /missing\.conll: no such file/);
});

test('tags outside of the training set are refused, and a training set of one tag', async () => {
  const train = file('train.conll', 'London\tB-LOC\nis\tO\n');
  const open = (files: { train: string; dev?: string }) => openTagTask(files, {}, assert.fail);
  await assert.rejects(
    open({ train, dev: file('dev.conll', 'Ada\tB-PER\n') }),
    /dev\.conll, line 1: the label "B-PER" is not one of O, B-LOC$/,
  );
  await assert.rejects(open({ train: file('same.conll', 'a\tO\n\nb\tO\n') }), /every word has the tag O/);
  await assert.rejects(open({ train }), /train\.conll: has too few examples to hold some out/);
});
