// What a fine-tuned model predicts for texts, files and standard input, as its users ask for it.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import { openPredictor } from '../src/tasks/index.ts';
import { commandsIn, sentences, start, writeTiny } from './cli.fixture.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-predict-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

/** Predicted rows of what a command printed. */
const predicted = async (...words: string[]) => rowsOf((await done('predict', ...words)).stdout);
const rowsOf = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

/** A row with its prediction; each model has some of these fields. */
interface Line {
  id: string;
  body: string;
  text: string;
  label: string;
  predicted_label: string;
  score: number;
  probabilities: Record<string, number>;
  labels: string[];
  scores: number[];
  value: number;
  predicted_spans: unknown[];
}

/** The predictions that a fine-tuning wrote for its test set. */
const writtenBy = (run: string) =>
  readFileSync(at(`${run}/test.tsv`), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t')[1]!);

const texts = [...new Set(sentences(200, 3).trim().split('. '))];
/** Long enough for several windows of 12 tokens; only the end says the label. */
const long = texts.slice(0, 150).map((text, i) => `${texts[(7 * i) % 150]} ${text}`);
const kindOf = (text: string) => (/The (cat|dog|bird) \w+ the \w+ in the \w+\.?$/.test(text) ? 'animal' : 'other');

describe('predict', { timeout: 300_000 }, () => {
  before(async () => {
    writeTiny(folder);
    await done('pretrain', 'tiny.yaml', '--out', 'run');
    const csv = long.map((text, i) => `${i},"${text}, he said ""so""",${kindOf(text)}\n`).join('');
    writeFileSync(at('mails.csv'), `id,body,label\n${csv}`);
    writeFileSync(at('bare.csv'), csv);
    writeFileSync(
      at('rows.jsonl'),
      texts
        .slice(0, 60)
        .map((text) =>
          JSON.stringify({
            text,
            kinds: [kindOf(text), ...(/garden|house/.test(text) ? ['home'] : [])],
            length: text.length,
            spans: [{ start: 4, end: text.indexOf(' ', 4), label: 'LIFE' }],
          }),
        )
        .join('\n'),
    );
    const quickly = ['--epochs', '4', '--batch-size', '8', '--learning-rate', '3e-3', '--precision', 'fp32'];
    const tune = (out: string, file: string, ...words: string[]) =>
      done('finetune', 'run', '--train', file, '--dev', file, '--test', file, ...quickly, ...words, '--out', out);
    const windows = ['--max-length', '12', '--windows', '3'];
    await tune('mails', 'mails.csv', '--text', 'body', ...windows, '--epochs', '10');
    await tune('pairs', 'bare.csv', '--columns', 'id', 'body', 'folder', '--text', 'id', 'body', '--label', 'folder');
    const rows = (out: string, ...words: string[]) => tune(out, 'rows.jsonl', '--text', 'text', ...words);
    await rows('several', '--multi-label', '--label', 'kinds', '--threshold', 'best');
    await rows('number', '--regression', '--label', 'length');
    await rows('tags', '--tags', '--label', 'spans', '--epochs', '8');
  });

  test('a table is read as in fine-tuning: the same columns, length and windows give the same predictions', async () => {
    const rows = await predicted('mails', 'mails.csv');
    assert.deepEqual(
      rows.map(({ predicted_label }) => predicted_label),
      writtenBy('mails'),
    );
    assert.equal(new Set(writtenBy('mails')).size, 2);
    for (const [i, { id, body, label, score, probabilities, predicted_label }] of rows.entries()) {
      assert.deepEqual([id, body, label], [String(i), `${long[i]}, he said "so"`, kindOf(long[i]!)]);
      assert.equal(score, probabilities[predicted_label]);
      assert.ok(score >= 0.5 && Math.abs(probabilities.animal! + probabilities.other! - 1) < 1e-6);
    }
    const cut = await predicted('mails', 'mails.csv', '--max-length', '8');
    assert.notDeepEqual(
      cut.map(({ score }) => score),
      rows.map(({ score }) => score),
    );
    const pairs = await predicted('pairs', 'bare.csv');
    assert.deepEqual(
      pairs.map(({ label }) => label),
      writtenBy('pairs'),
    );
    writeFileSync(at('named.jsonl'), pairs.map(({ id, body }) => `${JSON.stringify({ id, body })}\n`).join(''));
    const named = await predicted('pairs', 'named.jsonl');
    assert.deepEqual(
      named.map(({ label, score }) => [label, score]),
      pairs.map(({ label, score }) => [label, score]),
    );
    assert.deepEqual(Object.keys(pairs[0]!), ['id', 'body', 'folder', 'label', 'score', 'probabilities']);
  });

  test('--out is a CSV that a parser reads back, or JSON lines', async () => {
    const printed = await predicted('mails', 'mails.csv');
    const { stdout } = await done('predict', 'mails', 'mails.csv', '--out', 'out.csv');
    assert.equal(stdout, `out.csv: ${long.length} predictions\n`);
    const rows = parse(readFileSync(at('out.csv')), { columns: true }) as Record<string, string>[];
    assert.deepEqual(
      rows,
      printed.map(({ probabilities: _, score, ...row }) => ({ ...row, score: String(score) })),
    );
    await done('predict', 'mails', 'mails.csv', '--out', 'out.jsonl');
    assert.deepEqual(rowsOf(readFileSync(at('out.jsonl'), 'utf8')), printed);
    await done('predict', 'several', 'rows.jsonl', '--out', 'several.csv');
    const [first] = parse(readFileSync(at('several.csv')), { columns: true }) as Record<string, string>[];
    assert.deepEqual(Object.keys(first!), ['text', 'kinds', 'length', 'spans', 'labels', 'scores']);
    assert.equal(JSON.parse(first!.labels!).length, JSON.parse(first!.scores!).length);
  });

  test('arguments, the lines of a file and those of standard input are texts', async () => {
    const some = texts.slice(0, 3);
    const expected = await predicted('number', ...some);
    assert.deepEqual(
      expected.map(({ text }) => text),
      some,
    );
    writeFileSync(at('lines.txt'), `${some[0]}\r\n\n${some[1]}\n${some[2]}`);
    assert.deepEqual(await predicted('number', 'lines.txt'), expected);
    const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
    const command = `"${process.execPath}" "${main}" predict number < lines.txt`;
    const { code, stdout, stderr } = await start([], { cwd: folder, command: ['sh', '-c', command] }).ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(rowsOf(stdout), expected);
    const none = await start([], { cwd: folder, command: ['sh', '-c', command.replace('lines.txt', '/dev/null')] })
      .ended;
    assert.equal(none.code, 2);
    assert.match(none.stderr, /standard input has no texts; give one per line/);
    writeFileSync(at('empty.txt'), '\n');
    await refused(['predict', 'number', 'empty.txt'], /empty\.txt: has no texts; give a file with one text per line/);
    await refused(['predict', 'number', 'none.txt'], /none\.txt: no such file/);
    await refused(['predict', 'number', '.'], /\.: is a folder; give a table/);
    await refused(['predict', 'number', ' '], /a text is empty; give some text/);
    const { stderr: warned } = await done('predict', 'number', 'mails.cvs', 'No. 5');
    assert.equal(warned, 'warning: mails.cvs: no such file, so it is read as a text\n');
    writeFileSync(at('blank.csv'), 'id,text\n1,One.\n2,\n3," "\n');
    assert.match(
      (await done('predict', 'number', 'blank.csv')).stderr,
      /blank\.csv, line 3: has no text, like 1 other row;/,
    );
    const both = await predicted('mails', 'lines.txt', 'mails.csv', 'The cat sees.');
    assert.equal(both.length, 3 + long.length + 1);
  });

  test('several labels, numbers and tags are those that fine-tuning wrote; an export predicts the same', async () => {
    const several = await predicted('several', 'rows.jsonl');
    assert.deepEqual(
      several.map(({ labels }) => labels.join(';')),
      writtenBy('several'),
    );
    assert.ok(several.every(({ labels, scores }) => labels.length === scores.length));
    const numbers = await predicted('number', 'rows.jsonl');
    for (const [i, written] of writtenBy('number').entries())
      assert.ok(Math.abs(numbers[i]!.value - Number(written)) < 1e-3, written);
    const tags = await predicted('tags', 'rows.jsonl', '--text', 'text');
    assert.deepEqual(
      tags.map(({ text, predicted_spans }) => ({ text, spans: predicted_spans })),
      rowsOf(readFileSync(at('tags/test.jsonl'), 'utf8')),
    );
    assert.ok(tags.some(({ predicted_spans }) => predicted_spans.length > 0));
    for (const run of ['several', 'number', 'tags']) {
      await done('export', run, '--to', 'hf', '--out', `${run}-hf`);
      assert.deepEqual(await predicted(`${run}-hf`, 'rows.jsonl'), await predicted(run, 'rows.jsonl'), run);
    }
  });

  test('a program predicts as the command does, and so does the one of docs/fine-tuning.md', async () => {
    const text = 'The ship left the harbour.';
    const [{ text: _, ...expected } = {}] = await predicted('mails', text);
    using predictor = openPredictor(at('mails'));
    assert.deepEqual(predictor.input, { texts: ['body'], maxLength: 12, windows: 3 });
    assert.deepEqual(await predictor.predict([text]), [expected]);
    for (const [wrong, message] of [
      [text, /expected a list of texts, as in predict\(\['A text\.'\]\)/],
      [[text, 5], /expected a text; number 2 is 5$/],
      [[[text, text]], /expected a text; number 1 is \["The ship/],
    ] as const) {
      await assert.rejects(predictor.predict(wrong as never), { name: 'ConfigError', message });
    }
    const page = readFileSync(join(project, 'docs/fine-tuning.md'), 'utf8');
    const [, program] = /```ts\n([\s\S]*?)```/.exec(page)!;
    mkdirSync(at('node_modules'));
    symlinkSync(project, at('node_modules/taper-lm'));
    writeFileSync(at('program.mjs'), program!.replace('runs/topics', 'mails'));
    const { code, stdout, stderr } = await start([], { cwd: folder, command: [process.execPath, 'program.mjs'] }).ended;
    assert.equal(code, 0, stderr);
    const { label, score } = expected as { label: string; score: number };
    assert.equal(stdout, `${label} ${score}\n`);
  });

  test('fine-tuning ends with the commands that use its model', async () => {
    const few = ['--epochs', '1', '--text', 'body', '--max-length', '8'];
    const commands = async (...words: string[]) => {
      const { stdout } = await done('finetune', 'run', '--train', 'mails.csv', ...few, ...words);
      return [...stdout.split('What next:\n')[1]!.matchAll(/^ {2}npx taper-lm (.*)$/gm)].map(([, line]) => line);
    };
    assert.deepEqual(await commands('--out', 'my runs'), [
      "predict 'my runs' 'A text of yours.'",
      "serve 'my runs'",
      "export 'my runs' --to onnx --out 'my runs-onnx'",
    ]);
    const [withDev] = await commands('--dev', 'mails.csv', '--out', 'other');
    assert.equal(withDev, 'predict other mails.csv --out predictions.csv');
    assert.equal((await predicted('my runs', 'mails.csv')).length, long.length);
    const unsaved = await done('finetune', 'run', '--train', 'mails.csv', ...few);
    assert.match(unsaved.stdout, /The model was not saved; give --out DIR to keep it\.\n$/);
    assert.match(unsaved.stderr, /^the model will not be saved; to keep it, give --out DIR$/m);
  });

  test('mistakes are one line', async () => {
    const says = (words: string[], reason: RegExp) => refused(['predict', ...words], reason);
    await says(['run', 'A text.'], /was only pre-trained; fine-tune it first: npx taper-lm finetune run\//);
    await says(['mails', 'none.csv'], /none\.csv: no such file/);
    await says(['mails', 'rows.jsonl'], /rows\.jsonl, line 1: no column "body"; found "text", .*--text/);
    await says(['pairs', 'A text.'], /pairs: reads 2 texts at a time \(id, body\); give a table/);
    await says(['mails', 'mails.csv', '--out', 'mails.csv'], /mails\.csv: already exists; give a new file/);
    await says(['mails', 'mails.csv', '--out', 'new.xlsx'], /new\.xlsx: its ending is none of \.jsonl, \.csv/);
    await says(['mail', 'A text.'], /mail: no such folder; did you mean mails\?$/);
    writeFileSync(at('mixed.jsonl'), '{"body": "a"}\n{"body": "b", "more": 1}\n');
    await says(['mails', 'mixed.jsonl', '--out', 'mixed.csv'], /"more" is missing in the first row.*--out FILE\.jsonl/);
    for (const name of ['mixed.csv', 'mixed.csv.partial']) assert.ok(!existsSync(at(name)), name);
  });
});
