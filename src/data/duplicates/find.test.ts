import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { corpusOf, range, temporaryFolder, wordsText, wordTokenizer } from '../fixtures.ts';
import { DocumentList } from './documents.ts';
import { type Duplicate, findDuplicates } from './find.ts';
import { drawing, jaccard, pairOf } from './fixtures.ts';

const words = 5000;
const tokenizer = wordTokenizer(words);

/** The duplicates in texts whose documents are given in the numbers of their words. */
async function found(
  t: TestContext,
  texts: readonly (readonly number[][])[],
  kind: Duplicate['kind'] = 'near',
): Promise<Duplicate[]> {
  const corpora = await Promise.all(texts.map((documents) => corpusOf(t, tokenizer, documents.map(wordsText))));
  const list = new DocumentList(corpora.map((corpus, i) => ({ name: `${i}`, corpus })));
  const duplicates: Duplicate[] = [];
  for await (const duplicate of findDuplicates(list, { kind, folder: temporaryFolder(t) })) duplicates.push(duplicate);
  return duplicates;
}

/** The same by comparing each document with each one before it: what goes, and for what. */
function bruteForce(documents: readonly number[][]): { document: number; repeats: number }[] {
  const gone = new Map<number, number>();
  const sameAs = (document: number) => documents.findIndex((other) => other.join() === documents[document]!.join());
  for (const document of documents.keys()) {
    const first = sameAs(document);
    const similar = (other: number) => !gone.has(other) && jaccard(documents[other]!, documents[document]!) >= 0.8;
    const repeats = first < document ? (gone.get(first) ?? first) : range(0, document - 1).find(similar);
    if (repeats !== undefined) gone.set(document, repeats);
  }
  return [...gone].map(([document, repeats]) => ({ document, repeats }));
}

const pairs = (duplicates: readonly Duplicate[]) => duplicates.map(({ document, repeats }) => ({ document, repeats }));

/** Documents in a shuffled order: of each of some texts itself, a copy, an edited copy and a more heavily edited one. */
function collection(seed: number, numTexts: number): number[][] {
  const draw = drawing(seed);
  const documents = Array.from({ length: numTexts }, () => {
    const text = Array.from({ length: 60 + draw(300) }, () => draw(words));
    const edited = (share: number) => [
      ...text.slice(0, Math.round((1 - share) * text.length)),
      ...Array.from({ length: Math.round(share * text.length) }, () => draw(words)),
    ];
    // Replacing a share p of the tokens leaves (1 − p)/(1 + p) of the shingles: 0.92 and 0.65.
    return [text, [...text], edited(0.04), edited(0.21)].slice(0, 1 + draw(4));
  }).flat();
  for (let i = documents.length - 1; i > 0; i--) {
    const j = draw(i + 1);
    [documents[i], documents[j]] = [documents[j]!, documents[i]!];
  }
  return documents;
}

test('exactly those documents go that a comparison of all pairs drops, with their similarity', async (t) => {
  const documents = collection(1, 50);
  const duplicates = await found(t, [documents]);
  assert.deepEqual(pairs(duplicates), bruteForce(documents));
  assert.ok(duplicates.some(({ kind }) => kind === 'exact') && duplicates.some(({ kind }) => kind === 'near'));
  for (const { document, repeats, kind, similarity } of duplicates) {
    const true_ = jaccard(documents[document]!, documents[repeats]!);
    assert.equal(kind === 'exact', documents[document]!.join() === documents[repeats]!.join());
    assert.ok(Math.abs(similarity - true_) < (kind === 'exact' ? 1e-9 : 0.1), `${similarity} for ${true_}`);
  }
});

test('exact finds only copies; near names another one where the first of them is dropped', async (t) => {
  const documents = collection(2, 60);
  const near = await found(t, [documents]);
  const gone = new Map(near.map(({ document, repeats }) => [document, repeats]));
  assert.ok(near.every(({ repeats }) => !gone.has(repeats)));
  const copies = (await found(t, [documents], 'exact')).map((copy) => [copy, gone.get(copy.repeats)] as const);
  assert.ok(copies.some(([, stays]) => stays !== undefined));
  for (const [{ document, repeats }, stays] of copies) assert.equal(gone.get(document), stays ?? repeats);
  assert.deepEqual(
    copies.flatMap(([copy, stays]) => (stays === undefined ? [copy] : [])),
    near.filter(({ kind }) => kind === 'exact'),
  );
});

test('several texts are one list: a document that repeats an earlier text is dropped', async (t) => {
  const documents = collection(3, 60);
  const whole = await found(t, [documents]);
  assert.deepEqual(await found(t, [documents.slice(0, 20), documents.slice(20, 21), documents.slice(21)]), whole);
  assert.ok(whole.some(({ document, repeats }) => document > 20 && repeats < 20));
});

test('similarity is not passed on along a chain of small changes', async (t) => {
  const draw = drawing(4);
  const text = Array.from({ length: 420 }, () => draw(words));
  // Windows that move on by 16 of 200 words: neighbours have 0.85 in common, the next but one 0.72.
  const chain = range(0, 9).map((i) => text.slice(16 * i, 16 * i + 200));
  const duplicates = await found(t, [chain]);
  assert.deepEqual(pairs(duplicates), bruteForce(chain));
  assert.deepEqual(pairs(duplicates).slice(0, 2), [
    { document: 1, repeats: 0 },
    { document: 3, repeats: 2 },
  ]);
});

test('pairs above the threshold are found, and pairs well below it are not', async (t) => {
  for (const [own, least, most] of [
    [14, 0.99, 1],
    [18, 0.9, 1],
    [44, 0, 0.02],
  ] as const) {
    const draw = drawing(own);
    const documents = range(1, 100).flatMap(() => pairOf(draw, { shared: 204, own, words }));
    const share = (await found(t, [documents])).length / 100;
    const true_ = jaccard(documents[0]!, documents[1]!);
    assert.ok(share >= least && share <= most, `${share} of those with ${true_}`);
  }
});

test('one document repeats none, and of many that are the same the first stays', async (t) => {
  assert.deepEqual(await found(t, [[range(1, 9)]]), []);
  const same = await found(t, [new Array(50).fill(range(1, 30))]);
  assert.deepEqual(
    pairs(same),
    range(1, 49).map((document) => ({ document, repeats: 0 })),
  );
});

test('of many that are nearly the same the first stays', async (t) => {
  const text = range(1, 300);
  const documents = range(0, 149).map((i) => [...text.slice(0, 2 * i), 4000 + i, ...text.slice(2 * i)]);
  const duplicates = await found(t, [documents]);
  assert.deepEqual(
    pairs(duplicates),
    range(1, 149).map((document) => ({ document, repeats: 0 })),
  );
});

test('documents of fewer tokens than a shingle are duplicates where they are the same', async (t) => {
  const duplicates = await found(t, [[[1, 2, 3], [1, 2], [1, 2, 3], [2, 1], [1], [1, 2]]]);
  assert.deepEqual(pairs(duplicates), [
    { document: 2, repeats: 0 },
    { document: 5, repeats: 1 },
  ]);
});

test('different short documents all stay', async (t) => {
  const draw = drawing(6);
  const documents = range(1, 1000).map((number) => [number, ...range(1, 2 + draw(4)).map(() => draw(words))]);
  assert.deepEqual(await found(t, [documents]), []);
});

test('documents longer than a buffer are compared as a whole', async (t) => {
  const draw = drawing(5);
  const long = Array.from({ length: 70_000 }, () => draw(words));
  const edited = long.with(-1, (long.at(-1)! + 1) % words);
  const half = [...long.slice(0, 35_000), ...Array.from({ length: 35_000 }, () => draw(words))];
  const duplicates = await found(t, [[long, range(1, 9), edited, half, long]]);
  assert.deepEqual(
    duplicates.map(({ document, kind, repeats }) => [document, kind, repeats]),
    [
      [2, 'near', 0],
      [4, 'exact', 0],
    ],
  );
});
