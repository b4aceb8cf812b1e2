// Runs every command and program of docs/from-text-to-classifier.md, as it stands there, on small data.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sentences, taper } from './cli.fixture.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-example-'));
const at = (path: string) => join(folder, path);
const text = readFileSync(join(root, 'docs/from-text-to-classifier.md'), 'utf8');
const block = (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text)![1]!;
const commands = [...text.matchAll(/^ {4}npx taper-lm (.+)$/gm)].map(([, command]) => command!);

/** The words of a command line, quoted ones whole. */
const wordsOf = (command: string) =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);

after(() => rmSync(folder, { recursive: true, force: true }));

test('from a folder of text to a classifier in transformers.js', async () => {
  mkdirSync(at('my/texts'), { recursive: true });
  mkdirSync(at('downloads'));
  for (const name of ['a', 'b']) writeFileSync(at(`my/texts/${name}.txt`), sentences(300, name.charCodeAt(0)));
  cpSync(join(root, 'tests/fixtures/hugging-face/bert'), at('downloads/bert'), { recursive: true });
  // As the page has it, but for its size.
  const small = { layers: 2, hiddenSize: 64, vocabSize: 200, sequenceLength: 12, steps: 30, batchSize: 8 };
  const config = Object.entries(small).reduce(
    (yaml, [key, value]) => yaml.replace(new RegExp(`${key}: \\d+`), `${key}: ${value}`),
    block('yaml'),
  );
  writeFileSync(at('encoder.yaml'), config);
  const rows = sentences(200, 5).split('. ').filter(Boolean);
  const csv = (some: readonly string[]) =>
    `text,label\n${some.map((row) => `"${row}.",${/^The (cat|dog|bird)/.test(row) ? 'animal' : 'other'}\n`).join('')}`;
  assert.match(block('csv'), /^text,label\n"/);
  writeFileSync(at('examples.csv'), csv(rows.slice(0, 150)));
  writeFileSync(at('examples-dev.csv'), csv(rows.slice(150)));

  assert.ok(commands.length >= 9, `${commands.length} commands`);
  for (const command of commands) {
    const { code, stderr } = await taper(wordsOf(command), { cwd: folder });
    assert.equal(code, 0, `taper ${command}\n${stderr}`);
  }
  assert.ok(existsSync(at('exported/classifier/onnx/model_quantized.onnx')));

  symlinkSync(join(root, 'node_modules'), at('node_modules'));
  writeFileSync(at('use.mjs'), block('js'));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['use.mjs'], { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /label: '(animal|other)'/);
  const likeness = Number(stdout.trim().split('\n').at(-1));
  assert.ok(likeness > 0.2 && likeness <= 1, stdout);
});
