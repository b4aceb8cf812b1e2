// cspell:ignore idée wersion
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { temporaryFolder } from '../data/fixtures.ts';
import { scriptTexts } from '../data/scripts.fixture.ts';
import { openTexts } from './texts.ts';
import { openTokenizer } from './tokenizers.ts';

const texts = scriptTexts(20_000);

/** What is reported while a text is prepared for training, and the tokenizer that it got. */
async function prepared(folder: string, text: string, sets: string[], options?: { isResumed: boolean }) {
  const path = join(folder, 'text.txt');
  writeFileSync(path, text);
  const { config } = loadConfig({
    overrides: {
      model: { preset: 'bert-tiny' },
      train: { steps: 1 },
      data: { train: [path], cache: join(folder, 'cache') },
    },
    sets,
  });
  const notes: string[] = [];
  const warnings: string[] = [];
  const report = { note: (line: string) => notes.push(line), warn: (line: string) => warnings.push(line) };
  const tokenizer = await openTokenizer(config, report);
  const opened = await openTexts(config, tokenizer, report, options);
  opened.close();
  return { tokenizer, notes, warnings, hash: opened.hash };
}

test('a vocabulary that is too small for the characters of a text is warned of, and what is advised helps', async (t) => {
  const folder = temporaryFolder(t);
  const small = await prepared(folder, texts.chinese!, ['model.vocabSize=1000']);
  assert.equal(small.warnings.length, 1);
  const [, share, advice] = /^data\.train: (\d+) % of the characters become \[UNK\].*add --set (\S+)$/.exec(
    small.warnings[0]!,
  )!;
  assert.ok(Number(share) > 1 && Number(share) < 50);
  assert.match(small.notes.at(-1)!, new RegExp(`\\[UNK\\]: ${share} % of the characters`));
  const large = await prepared(folder, texts.chinese!, [advice!]);
  assert.deepEqual(large.warnings, []);
  assert.match(large.notes.at(-1)!, /\[UNK\]: 0 % of the characters/);
});

test('a run that is resumed is not advised to enlarge the vocabulary that it keeps', async (t) => {
  const { warnings } = await prepared(temporaryFolder(t), texts.chinese!, ['model.vocabSize=1000'], {
    isResumed: true,
  });
  assert.match(warnings.join(), /; a run keeps its tokenizer; start a new run with --set model\.vocabSize=8192/);
});

test('text that a given tokenizer cannot spell is warned of, in the held-out text too', async (t) => {
  const folder = temporaryFolder(t);
  const { tokenizer } = await prepared(folder, texts.english!, []);
  const tokenizerPath = join(folder, 'tokenizer.json');
  writeFileSync(tokenizerPath, tokenizer.json);
  const valid = join(folder, 'valid.txt');
  writeFileSync(valid, texts.english! + texts.russian!.slice(0, 2000));
  const given = [`data.tokenizer=${tokenizerPath}`];
  const { warnings } = await prepared(folder, texts.english!, [...given, `data.valid=[${valid}]`]);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0]!,
    /^data\.valid: [\d.]+ % of the characters become \[UNK\].*tokenizer\.json was not made for this text; leave data\.tokenizer out/,
  );
});

test('a text in every script is trained on without [UNK] and without a warning', async (t) => {
  const { notes, warnings } = await prepared(temporaryFolder(t), Object.values(texts).join('\n'), []);
  assert.deepEqual(warnings, []);
  assert.match(notes.at(-1)!, /\[UNK\]: 0 % of the characters/);
});

test('lower-casing strips accents where they are rare; data.stripAccents decides otherwise', async (t) => {
  const folder = temporaryFolder(t);
  const rare = `${'A rare word in a text. '.repeat(100)} Été `.repeat(20);
  const frequent = 'Été à Café, une idée. '.repeat(800);
  const spelled = async (text: string, sets: string[] = []) => {
    const { tokenizer } = await prepared(folder, text, sets);
    return tokenizer.decode(await tokenizer.encode('Été'));
  };
  assert.equal(await spelled(rare), 'ete');
  assert.equal(await spelled(rare, ['data.stripAccents=false']), 'été');
  assert.equal(await spelled(frequent), 'été');
  assert.equal(await spelled(frequent, ['data.stripAccents=true']), 'ete');
  assert.equal(await spelled(frequent, ['data.stripAccents=true', 'data.lowercase=false']), 'Ete');
});

test('texts from which documents were dropped are other texts, and those from which none was are the same', async (t) => {
  const folder = temporaryFolder(t);
  const hashes = async (documents: string[]) => {
    const path = join(folder, 'documents.jsonl');
    writeFileSync(path, documents.map((text) => JSON.stringify({ text })).join('\n'));
    const hashOf = async (kind: string) =>
      (await prepared(folder, '', [`data.train=[${path}]`, `data.deduplicate=${kind}`])).hash;
    return { none: await hashOf('none'), near: await hashOf('near') };
  };
  const [english, russian] = [texts.english!, texts.russian!];
  const single = await hashes([english, russian]);
  assert.equal(single.near, single.none);
  const twice = await hashes([english, russian, english]);
  assert.notEqual(twice.near, twice.none);
});

test('texts of a mixture that share a file are warned of, unless held-out text is given', async (t) => {
  const folder = temporaryFolder(t);
  const [a, b] = ['a.txt', 'b.txt'].map((name) => join(folder, name));
  writeFileSync(a!, texts.english!);
  writeFileSync(b!, texts.russian!);
  const mixed = (first: string, second: string) =>
    prepared(folder, '', [`data.train=[{path: [${first}], weight: 1}, {path: [${second}], weight: 2}]`]);
  const { warnings } = await mixed(`${a}, ${b}`, b!);
  assert.match(warnings.join('\n'), /^data\.train: .*b\.txt is in two texts of the mixture, so text held out of one/m);
  assert.deepEqual((await mixed(a!, b!)).warnings, []);
});

test('a tokenizer that was damaged in the cache is trained again', async (t) => {
  const folder = temporaryFolder(t);
  const text = join(folder, 'english.txt');
  writeFileSync(text, texts.english!);
  const open = () => prepared(folder, '', [`data.train=[${text}]`]);
  const { tokenizer } = await open();
  const cache = join(folder, 'cache');
  const path = join(cache, readdirSync(cache).find((name) => /^tokenizer-.*\.json$/.test(name))!);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"version"', '"wersion"'));
  const again = await open();
  assert.match(again.warnings.join('\n'), /is damaged; training the tokenizer again/);
  assert.equal(again.tokenizer.hash, tokenizer.hash);
  assert.deepEqual((await open()).warnings, []);
});
