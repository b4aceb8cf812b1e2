import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { corpusOf, range, temporaryFolder, wordsText, wordTokenizer } from '../fixtures.ts';
import type { NamedCorpus } from './documents.ts';
import { openDuplicates } from './open.ts';

const tokenizer = wordTokenizer(1000);
const text = range(1, 200);
const other = range(300, 420);
const similar = [...range(1, 195), 900, 901];

/** Held-out and training text that repeat each other and themselves. */
async function texts(t: TestContext): Promise<NamedCorpus[]> {
  const named = async (name: string, documents: number[][]) => {
    return { name, corpus: await corpusOf(t, tokenizer, documents.map(wordsText)) };
  };
  return [
    await named('data.valid', [text, other, text]),
    await named('data.train', [range(500, 600), similar, other, range(500, 600)]),
  ];
}

/** The duplicates in those texts, looked for anew or read; and how the cache then is. */
async function opened(t: TestContext, cacheDir: string, kind: 'exact' | 'near' = 'near') {
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const duplicates = await openDuplicates(await texts(t), { kind, tokenizer, cacheDir, onWarning });
  return { duplicates, warnings, lines: readFileSync(duplicates.path, 'utf8').trim().split('\n') };
}

test('a training document that repeats a held-out one is dropped, and the report names it', async (t) => {
  const cacheDir = join(temporaryFolder(t), 'cache');
  const { duplicates, lines, warnings } = await opened(t, cacheDir);
  assert.deepEqual([...duplicates.repeated.get('data.valid')!], [2]);
  assert.deepEqual([...duplicates.repeated.get('data.train')!], [1, 2, 3]);
  const { documents, tokens, exact, near, repeatedTokens } = duplicates;
  const lengths = { valid: 200 + 121 + 200, train: 101 + 197 + 121 + 101 };
  assert.deepEqual(
    { documents, tokens, exact, near, repeatedTokens },
    { documents: 7, tokens: lengths.valid + lengths.train, exact: 3, near: 1, repeatedTokens: 200 + 197 + 121 + 101 },
  );
  const [first, second, third] = lines.map((line) => JSON.parse(line));
  const words = wordsText(range(1, 16));
  assert.deepEqual(first, {
    kind: 'exact',
    similarity: 1,
    document: { text: 'data.valid', number: 3, words, tokens: 200 },
    repeats: { text: 'data.valid', number: 1, words },
  });
  assert.equal(second.kind, 'near');
  assert.ok(second.similarity > 0.9 && second.similarity < 1);
  assert.deepEqual(second.document, { text: 'data.train', number: 2, words, tokens: 197 });
  assert.deepEqual(second.repeats, { text: 'data.valid', number: 1, words });
  assert.deepEqual([third.document.text, third.document.number, third.repeats.text], ['data.train', 3, 'data.valid']);
  const counts = { documents, tokens, exact, near, repeatedTokens };
  const hashed = [...lines.slice(0, -1), JSON.stringify(counts)].join('\n');
  const sha256 = createHash('sha256').update(hashed).digest('hex');
  assert.deepEqual(JSON.parse(lines.at(-1)!), { ...counts, sha256 });
  assert.deepEqual(
    duplicates.examples,
    lines.slice(0, -1).map((line) => JSON.parse(line)),
  );
  assert.deepEqual(warnings, []);
  assert.deepEqual(readdirSync(cacheDir), [duplicates.path.slice(cacheDir.length + 1)]); // no file of the work is left
});

test('the result is kept: the next start reads it, only for these texts and this kind', async (t) => {
  const cacheDir = temporaryFolder(t);
  const corpora = await texts(t);
  const open = (kind: 'exact' | 'near', some = corpora) =>
    openDuplicates(some, { kind, tokenizer, cacheDir, onWarning: assert.fail });
  const first = await open('near');
  const { ino } = statSync(first.path);
  assert.deepEqual(await open('near'), first);
  assert.equal(statSync(first.path).ino, ino);
  const exact = await open('exact');
  assert.notEqual(exact.path, first.path);
  assert.deepEqual([exact.exact, exact.near], [first.exact, 0]);
  const alone = await open('near', corpora.slice(1));
  assert.deepEqual([...alone.repeated.get('data.train')!], [3]);
});

test('a kept result that is damaged is made again, with a warning', async (t) => {
  const cacheDir = temporaryFolder(t);
  const corpora = await texts(t);
  const whole = await openDuplicates(corpora, { kind: 'near', tokenizer, cacheDir });
  const lines = readFileSync(whole.path, 'utf8').split('\n');
  for (const damaged of [
    '',
    lines.slice(0, 2).join('\n'),
    lines.slice(1).join('\n'),
    lines.join('\n').slice(0, -30),
    `${lines.join('\n')}${lines[0]}\n`,
    lines.join('\n').replace('data.train', 'data.brain'),
    lines.join('\n').replace('"number":3', '"number":2'),
    lines.join('\n').replace('"near":1', '"near":2'),
  ]) {
    writeFileSync(whole.path, damaged);
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    assert.deepEqual(await openDuplicates(corpora, { kind: 'near', tokenizer, cacheDir, onWarning }), whole);
    assert.match(warnings.join('\n'), /^.*duplicates-\w+\.jsonl: is damaged \(.+\); searching for duplicates again$/);
  }
});
