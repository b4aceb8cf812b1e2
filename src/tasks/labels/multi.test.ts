import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DataError } from '../../errors/index.ts';
import { scope, Tensor } from '../../tensor/index.ts';
import { bestThreshold, type EncodedMultiLabel, multiLabelKind } from './multi.ts';
import { type MultiLabelColumns, openMultiLabelTask } from './open-multi.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-multi-'));
after(() => rmSync(folder, { recursive: true }));
const head = { kind: 'multi-label', labels: ['a', 'b', 'c'] } as const;
const plain = { threshold: 0.5, numWindows: 1 };
const example = (...targets: number[]): EncodedMultiLabel => ({ sequences: [], targets });
const near = (value: number | undefined, expected: number) =>
  assert.ok(Math.abs(value! - expected) < 1e-6, `${value} is not ${expected}`);

test('each label is learned by its own binary cross-entropy', () => {
  const logits = [0.5, -2, 1, 3, 0, -0.1];
  const right = [1, 0, 0, 0, 1, 1];
  const kind = multiLabelKind(head, plain);
  const loss = scope(() =>
    kind.loss(Tensor.from(Float32Array.from(logits), [2, 3]), [example(0), example(1, 2)]).item(),
  );
  const costs = logits.map((z, i) => Math.log(1 + Math.exp(right[i] ? -z : z)));
  near(loss, costs.reduce((a, b) => a + b) / 6);
  const [p] = kind.predict(Float32Array.of(0.5), example());
  near(p, 1 / (1 + Math.exp(-0.5)));
});

test("scores are scikit-learn's: F1 over all labels together, the mean of their F1, and whole sets", () => {
  const kind = multiLabelKind(head, plain);
  const predictions = [
    [0.9, 0.1, 0.9],
    [0.9, 0.9, 0.1],
    [0.1, 0.1, 0.1],
  ].map((row) => Float32Array.from(row));
  const found = kind.scores(predictions, [example(2, 0), example(1), example(2)]);
  // a: 1 right, 1 wrong; b: 1 right; c: 1 right, 1 missed.
  near(found['micro-f1'], 6 / 8);
  near(found['macro-f1'], (2 / 3 + 1 + 2 / 3) / 3);
  near(found.exact, 1 / 3);
  const unlabelled = predictions.map(() => ({ texts: ['a text'] }));
  assert.equal(kind.written(predictions, [], unlabelled).text, 'index\tprediction\n0\ta;c\n1\ta;b\n2\t\n');
  const labelled = unlabelled.map((one) => ({ ...one, targets: [0, 1] }));
  assert.match(kind.written(predictions, [], labelled).text, /^index\tprediction\tlabel\ttext\n0\ta;c\ta;b\ta text\n/);
});

test('the best threshold of a label is that with the highest F1, between two probabilities', () => {
  assert.equal(bestThreshold([0.9, 0.25, 0.75, 0.5], [true, false, true, false]), 0.625);
  assert.equal(bestThreshold([0.9, 0.9, 0.1], [true, false, false]), 0.5);
  assert.equal(bestThreshold([0.3, 0.2], [false, false]), 0.5);
  const rows = [
    [0.3, 0.9, 0.5],
    [0.1, 0.2, 0.5],
  ].map((row) => Float32Array.from(row));
  const settled = multiLabelKind(head, { threshold: 'best', numWindows: 1 }).settle!(rows, [example(0, 1), example()]);
  near((settled.head as { thresholds: readonly number[] }).thresholds[0], 0.2);
  near(settled.scores(rows, [example(0, 1), example()])['micro-f1'], 4 / 6);
});

test('labels are lists, with separators or as JSON, or columns of 1 and 0', async () => {
  const open = (name: string, text: string, columns: Partial<MultiLabelColumns> = {}) => {
    const train = join(folder, name);
    writeFileSync(train, text);
    return openMultiLabelTask(
      { train, dev: train },
      { texts: ['text'], labels: ['tags'], ...columns },
      plain,
      assert.fail,
    );
  };
  const targets = async (...words: Parameters<typeof open>) => {
    const { kind, train } = await open(...words);
    return { labels: (kind.head as typeof head).labels, targets: train.examples.map(({ targets }) => targets) };
  };
  const expected = { labels: ['sad', 'short'], targets: [[1], [1, 0], []] };
  assert.deepEqual(await targets('list.tsv', 'text\ttags\nx\tshort\ny\tshort; sad\nz\t\n'), expected);
  assert.deepEqual(await targets('json.tsv', 'text\ttags\nx\t["short"]\ny\t["short", "sad"]\nz\t[]\n'), expected);
  const rows = [['short'], ['short', 'sad'], []].map((tags) => `${JSON.stringify({ text: 'x', tags })}\n`).join('');
  assert.deepEqual(await targets('rows.jsonl', rows), expected);
  const columns = { labels: ['sad', 'short'] };
  const found = await targets('columns.csv', 'text,sad,short\nx,0,1\ny,1,true\nz,0,0\n', columns);
  assert.deepEqual(found, { labels: ['sad', 'short'], targets: [[1], [0, 1], []] });
  const refused = (reason: RegExp, ...words: Parameters<typeof open>) =>
    assert.rejects(open(...words), (error) => error instanceof DataError && reason.test(error.message), reason.source);
  await refused(/line 2: the column "sad" contains "2"; write 1/, 'two.csv', 'text,sad,short\nx,2,1\n', columns);
  await refused(/line 2: "\[a" is not a list of labels/, 'broken.tsv', 'text\ttags\nx\t[a\n');
  await refused(/none\.tsv: no row has a label/, 'none.tsv', 'text\ttags\nx\t\n');
});

test('three text columns, and windows of two, are refused', async () => {
  const open = (texts: string[], numWindows = 1) =>
    openMultiLabelTask({ train: 'x.csv' }, { texts, labels: ['tags'] }, { ...plain, numWindows }, assert.fail);
  await assert.rejects(open(['a', 'b', 'c']), /^ConfigError: --text a b c: takes 2 columns at most/);
  await assert.rejects(open(['a', 'b'], 4), /^ConfigError: --windows 4: windows work with one text column only/);
});
