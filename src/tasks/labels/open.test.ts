import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError, DataError } from '../../errors/index.ts';
import type { LabelHead } from '../../model/index.ts';
import type { TextTask } from './kind.ts';
import { openOwnTask } from './open.ts';

const labelsOf = ({ kind }: Pick<TextTask, 'kind'>) => (kind.head as LabelHead).labels;

const folder = mkdtempSync(join(tmpdir(), 'taper-labels-'));
after(() => rmSync(folder, { recursive: true }));

test('own sets are classified by the labels of their training set, in order, or are a regression', async () => {
  const path = (name: string) => join(folder, name);
  writeFileSync(path('own.csv'), 'subject,body,kind\nHello,"How, are you?",friend\nBuy,now,spam\n');
  writeFileSync(path('own-dev.jsonl'), '{"subject": "Hi", "body": "there", "kind": "friend"}\n');
  const files = { train: path('own.csv'), dev: path('own-dev.jsonl') };
  const columns = { texts: ['subject', 'body'], label: 'kind', isRegression: false };
  const task = await openOwnTask(files, columns, assert.fail);
  assert.deepEqual(task.kind.head, { kind: 'single-label', labels: ['friend', 'spam'] });
  assert.deepEqual(task.train.examples[0], { texts: ['Hello', 'How, are you?'], target: 0 });
  const read = [{ texts: ['A\ttext\nin lines.', 'b'], target: 0 }];
  assert.equal(
    task.kind.written([1], [], read).text,
    'index\tprediction\tlabel\ttext\ttext 2\n0\tspam\tfriend\tA text in lines.\tb\n',
  );

  const refused = (change: object, reason: RegExp) =>
    assert.rejects(
      openOwnTask(files, { ...columns, ...change }, assert.fail),
      (error) => error instanceof DataError && reason.test(error.message),
    );
  await refused(
    { label: 'sort' },
    /own\.csv, line 2: no column "sort"; found "subject", "body", "kind"; name the right one with --text or --label/,
  );
  await refused({ isRegression: true }, /line 2: the label "friend" is not a number/);
  writeFileSync(path('own-dev.jsonl'), '{"subject": "Hi", "body": "there", "kind": "foe"}\n');
  await refused({}, /own-dev\.jsonl, line 1: the label "foe" is not one of friend, spam/);
  writeFileSync(path('own.csv'), 'subject,body,kind\na,b,same\nc,d,same\n');
  await refused({}, /own\.csv: every row has the label "same"/);
  writeFileSync(path('own.csv'), 'subject,body,kind\na,b,\nc,d,same\n');
  await refused({}, /own\.csv, line 2: has no label; label it, or remove it/);
  writeFileSync(path('own-dev.jsonl'), '{"subject": null, "body": "there", "kind": "same"}\n');
  writeFileSync(path('own.csv'), 'subject,body,kind\na,b,other\nc,d,same\n');
  await refused({}, /own-dev\.jsonl, line 1: the column "subject" contains null, not text/);
  writeFileSync(path('own-dev.jsonl'), '42\n');
  await refused({}, /own-dev\.jsonl, line 1: is not a JSON object/);
});

/** The labels of a set of examples in CSV, and what was warned of. */
async function labelsIn(labels: readonly string[], dev: readonly string[] = labels) {
  const write = (name: string, all: readonly string[]) => {
    const path = join(folder, name);
    writeFileSync(path, `text,label\n${all.map((label, i) => `text ${i},${label}\n`).join('')}`);
    return path;
  };
  const warnings: string[] = [];
  const files = { train: write('labels.csv', labels), dev: write('labels-dev.csv', dev) };
  const task = await openOwnTask(files, { texts: ['text'], label: 'label', isRegression: false }, (text) =>
    warnings.push(text),
  );
  const targets = ({ examples }: { examples: readonly { target: number | undefined }[] }) =>
    examples.map(({ target }) => target);
  return { labels: labelsOf(task), train: targets(task.train), dev: targets(task.devs[0]!), warnings };
}

test('labels that are numbers are classes in the order of numbers, so that 0 … n − 1 are the numbers of their classes', async () => {
  const found = await labelsIn(Array.from({ length: 12 }, (_, i) => String(11 - i)));
  assert.deepEqual(
    found.labels,
    Array.from({ length: 12 }, (_, i) => String(i)),
  );
  assert.deepEqual(
    found.train,
    Array.from({ length: 12 }, (_, i) => 11 - i),
  );
  const ordered = async (...labels: string[]) => (await labelsIn(labels)).labels;
  assert.deepEqual(await ordered('10', '-1', '9', '-20', '0'), ['-20', '-1', '0', '9', '10']);
  assert.deepEqual(await ordered('2.0', '10.0', '1.0'), ['1.0', '2.0', '10.0']);
  assert.deepEqual(await ordered('1e3', '200', '.5', '+3'), ['.5', '+3', '200', '1e3']);
  assert.deepEqual(await ordered('010', '9', '002'), ['002', '9', '010']);
  // Beyond float64's whole numbers, neighbours stay apart.
  assert.deepEqual(await ordered('9007199254740993', '9007199254740992', '7'), [
    '7',
    '9007199254740992',
    '9007199254740993',
  ]);
});

test('labels that are not all numbers are texts, in the order of texts', async () => {
  const ordered = async (...labels: string[]) => (await labelsIn(labels)).labels;
  assert.deepEqual(await ordered('10', '9', 'none'), ['10', '9', 'none']);
  assert.deepEqual(await ordered('0x10', '9'), ['0x10', '9']);
  assert.deepEqual(await ordered('b', 'a', 'B'), ['B', 'a', 'b']);
});

test('two spellings of one number are one class, with a warning, and spaces around a label do not count', async () => {
  const pandas = await labelsIn(['1', '0', '1.0', ' 0 '], ['1.0', '0.0', '01']);
  assert.deepEqual(
    [pandas.labels, pandas.train, pandas.dev],
    [
      ['0', '1'],
      [1, 0, 1, 0],
      [1, 0, 1],
    ],
  );
  assert.match(pandas.warnings[0] ?? '', /^label: "1" and "1\.0" are the same number, so one class$/);
  const spaced = await labelsIn(['ham', 'spam ', ' ham', 'spam'], ['spam', 'ham ']);
  assert.deepEqual([spaced.labels, spaced.dev, spaced.warnings], [['ham', 'spam'], [1, 0], []]);
});

test('labels with a single example, and rows without a text, give a warning', async () => {
  const { warnings } = await labelsIn(['ham', 'ham', 'span', 'spam', 'spam', 'hem'], ['ham']);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0]!,
    /^labels with a single example: "span" \(\S+, line 4\), "hem" \(\S+, line 7\); if one is misspelt, stop/,
  );
  const blank = join(folder, 'blank.csv');
  writeFileSync(blank, 'text,label\nOne.,a\n,b\nTwo.,b\nThree.,a\n');
  const told: string[] = [];
  const columns = { texts: ['text'], label: 'label', isRegression: false };
  await openOwnTask({ train: blank, dev: blank }, columns, (text) => told.push(text));
  assert.match(told[0]!, /blank\.csv, line 3: has no text; the model can only guess there$/);
});

test('a development set may lack labels of the training set, but not have others', async () => {
  assert.deepEqual((await labelsIn(['0', '1', '2'], ['2', '2'])).dev, [2, 2]);
  await assert.rejects(labelsIn(['0', '1'], ['1', '2']), /labels-dev\.csv, line 3: the label "2" is not one of 0, 1/);
  await assert.rejects(labelsIn(['0', '1'], ['1', '']), /labels-dev\.csv, line 3: the label "" is not one of 0, 1/);
});

test('labels in JSON lines are the same as texts, numbers or truth values; missing ones are reported with the line', async () => {
  const path = join(folder, 'labels.jsonl');
  const open = (lines: readonly object[]) => {
    writeFileSync(path, `\n${lines.map((line) => `${JSON.stringify(line)}\n`).join('\n')}`);
    const files = { train: path, dev: path };
    return openOwnTask(files, { texts: ['text'], label: 'label', isRegression: false }, () => {});
  };
  const numbers = await open([
    { text: 'a', label: 10 },
    { text: 'b', label: '9' },
    { text: 'c', label: 9 },
  ]);
  assert.deepEqual(labelsOf(numbers), ['9', '10']);
  assert.deepEqual(
    numbers.devs[0]!.examples.map(({ target }) => target),
    [1, 0, 0],
  );
  const truths = await open([
    { text: 'a', label: true },
    { text: 'b', label: 'false' },
    { text: 'c', label: 'true' },
  ]);
  assert.deepEqual(labelsOf(truths), ['false', 'true']);
  const missing = (label: object, reason: RegExp) =>
    assert.rejects(
      open([
        { text: 'a', label: 1 },
        { text: 'b', ...label },
      ]),
      reason,
    );
  await missing({ label: null }, /labels\.jsonl, line 4: the column "label" contains null, not text/);
  await missing({}, /labels\.jsonl, line 4: no column "label"; found "text"/);
  await missing({ label: [1] }, /labels\.jsonl, line 4: the column "label" contains a list, not text/);
  await missing({ label: { a: 1 } }, /labels\.jsonl, line 4: the column "label" contains an object, not text/);
  await missing({ label: '' }, /labels\.jsonl, line 4: has no label/);
});

/** Opens a training set that has no development set beside it. */
async function openAlone(rows: readonly { text: string; label: string }[], isRegression = false) {
  const train = join(folder, 'alone.jsonl');
  writeFileSync(train, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const task = await openOwnTask({ train }, { texts: ['text'], label: 'label', isRegression }, () => {});
  const [dev] = task.devs;
  return { ...task, kept: task.train.examples, held: dev!.examples };
}

test('without a development set a tenth of each class is held out, the same at each time, and nothing is in both parts', async () => {
  const rows = Array.from({ length: 500 }, (_, i) => ({ text: `Text ${i}`, label: i % 5 === 0 ? 'rare' : 'usual' }));
  const { kept, held, isHeldOut } = await openAlone(rows);
  assert.equal(isHeldOut, true);
  assert.deepEqual([kept.length, held.length], [450, 50]);
  assert.equal(held.filter(({ target }) => target === 0).length, 10);
  const texts = new Set(kept.map((example) => example.texts[0]));
  assert.ok(held.every((example) => !texts.has(example.texts[0]!)));
  assert.deepEqual((await openAlone(rows)).held, held);
  const numbers = Array.from({ length: 200 }, (_, i) => ({ text: `Text ${i}`, label: String(i / 7) }));
  assert.equal((await openAlone(numbers, true)).held.length, 20);
});

test('a class of two examples has one held out, a class of one has none, and equal texts stay together', async () => {
  const few = [
    ...Array.from({ length: 20 }, (_, i) => ({ text: `many ${i}`, label: 'many' })),
    ...['a', 'b'].map((text) => ({ text, label: 'two' })),
    { text: 'alone', label: 'one' },
  ];
  const { kind, kept, held } = await openAlone(few);
  const count = (examples: typeof held, label: string) =>
    examples.filter(({ target }) => labelsOf({ kind })[target!] === label).length;
  assert.deepEqual(
    ['many', 'two', 'one'].map((label) => [count(kept, label), count(held, label)]),
    [
      [18, 2],
      [1, 1],
      [1, 0],
    ],
  );

  const repeated = Array.from({ length: 400 }, (_, i) => ({
    text: `${i % 2 === 0 ? 'A  text' : 'a Text '}${i % 40}`.trim(),
    label: String(i % 4),
  }));
  const parts = await openAlone(repeated);
  const key = (text: string) => text.toLowerCase().replace(/\s+/g, ' ');
  const inTraining = new Set(parts.kept.map(({ texts }) => key(texts[0]!)));
  assert.ok(parts.held.length >= 20 && parts.held.every(({ texts }) => !inTraining.has(key(texts[0]!))));

  await assert.rejects(
    openAlone([
      { text: 'a', label: 'x' },
      { text: 'b', label: 'y' },
    ]),
    /alone\.jsonl: has too few examples to hold some out; give a development set with --dev/,
  );
  await assert.rejects(
    openAlone(Array.from({ length: 12 }, (_, i) => ({ text: `text ${i}`, label: `id ${i}` }))),
    /alone\.jsonl: has 12 different labels in 12 rows, too many to learn; is --label the right column\?/,
  );
});

test('columns and options that would be ignored are refused', async () => {
  const train = join(folder, 'wide.csv');
  const refused = (
    columns: Partial<Parameters<typeof openOwnTask>[1]>,
    how: Parameters<typeof openOwnTask>[3],
    message: RegExp,
  ) =>
    assert.rejects(
      openOwnTask({ train }, { texts: ['a'], label: 'label', isRegression: false, ...columns }, assert.fail, how),
      (error) => error instanceof ConfigError && message.test(error.message),
      message.source,
    );
  await refused({ texts: ['a', 'b', 'c'] }, {}, /^--text a b c: takes 2 columns at most; merge columns of the file/);
  await refused({ texts: ['a', 'b'] }, { numWindows: 4 }, /^--windows 4: windows work with one text column only/);
  await refused({ isRegression: true }, { isBalanced: true }, /^--balanced: works only with labels, not with --reg/);
  await refused({ isRegression: true }, { smoothing: 0.1 }, /^--label-smoothing: works only with labels, not with/);
});
