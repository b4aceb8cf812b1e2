import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../fixtures.ts';
import { groupByBand, linkSimilar } from './bands.ts';
import { drawing, jaccard, pairOf } from './fixtures.ts';
import { HashGroups } from './groups.ts';
import { Links } from './links.ts';
import { RecordFile } from './record-file.ts';
import { numBands, Signer, signatureBytes } from './signature.ts';

const numPairs = 500;

/** A file of the signatures of documents. */
function signaturesOf(t: TestContext, documents: readonly number[][]): RecordFile {
  const signatures = new RecordFile(join(temporaryFolder(t), 'signatures'), signatureBytes);
  const signer = new Signer();
  for (const tokens of documents) {
    signer.add(Int32Array.from(tokens));
    signatures.append((record) => signer.sign(record));
    signer.reset();
  }
  return signatures;
}

/** Pairs of documents that meet in a band, and pairs of documents of two such pairs that do. */
function meetings(t: TestContext, pairs: readonly [number[], number[]][]): { right: number; wrong: number } {
  using signatures = signaturesOf(t, pairs.flat());
  const groups = new HashGroups(2 * pairs.length);
  const right = new Set<number>();
  let wrong = 0;
  for (let band = 0; band < numBands; band++) {
    groupByBand(signatures, band, groups, () => false);
    for (const group of groups.take()) {
      const ofPairs = new Set([...group].map((document) => document >> 1));
      wrong += ofPairs.size - 1;
      for (const pair of ofPairs) if (group.includes(2 * pair) && group.includes(2 * pair + 1)) right.add(pair);
    }
  }
  return { right: right.size, wrong };
}

for (const [shared, own] of [
  [84, 64],
  [104, 45],
  [124, 36],
  [154, 30],
  [204, 25],
] as const) {
  test(`pairs with ${shared} shared and ${own} own tokens meet as often as the formula of bands says`, (t) => {
    const draw = drawing(shared);
    const pairs = Array.from({ length: numPairs }, () => pairOf(draw, { shared, own, words: 30_000 }));
    const true_ = jaccard(...pairs[0]!);
    const equal = true_ + (1 - true_) / 256;
    const expected = 1 - (1 - equal ** (signatureBytes / numBands)) ** numBands;
    const { right, wrong } = meetings(t, pairs);
    const spread = Math.sqrt((expected * (1 - expected)) / numPairs) + 1 / numPairs;
    assert.ok(
      Math.abs(right / numPairs - expected) < 4 * spread,
      `J ${true_}: ${right / numPairs}, expected ${expected}`,
    );
    assert.equal(wrong, 0);
  });
}

test('a document of a group is linked to the one that it is like, not only to the first', (t) => {
  const draw = drawing(7);
  const texts = Array.from({ length: 64 }, () => Array.from({ length: 200 }, () => draw(30_000)));
  using signatures = signaturesOf(
    t,
    [...texts, ...texts].map((text, i) => (i < 64 ? text : text.with(0, 1))),
  );
  using links = new Links(join(temporaryFolder(t), 'links'), 128);
  linkSimilar(
    Uint32Array.from({ length: 128 }, (_, i) => i),
    signatures,
    links,
  );
  const expected = texts.map((_, i) => ({ document: 64 + i, earlier: i }));
  assert.deepEqual([...links.sorted()], expected);
});

test('pairs come back in order, whether they are one run or several', (t) => {
  const draw = drawing(3);
  const documents = 50;
  const added = Array.from({ length: 60 }, (_, i) => {
    const document = 1 + draw(documents - 1);
    return { document, earlier: document - 1 - (i % document) };
  }).filter(
    ({ document, earlier }, i, all) => i === all.findIndex((p) => p.document === document && p.earlier === earlier),
  );
  for (const perRun of [2 ** 22, added.length, 20, 7, 1]) {
    using links = new Links(join(temporaryFolder(t), 'links'), documents, perRun);
    for (const { document, earlier } of added) for (const _ of [1, 2]) links.add(document, earlier);
    const expected = added.toSorted((a, b) => a.document - b.document || a.earlier - b.earlier);
    assert.deepEqual([...links.sorted()], expected);
  }
});
