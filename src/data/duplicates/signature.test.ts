import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawing, jaccard, pairOf } from './fixtures.ts';
import { Signer, signatureBytes, similarity } from './signature.ts';

const words = 30_000;
const numPairs = 300;

/** The signature and the hash of a document that comes in parts. */
function signed(...pieces: readonly number[][]): { signature: Uint8Array; hash: number } {
  const signer = new Signer();
  for (const piece of pieces) signer.add(Int32Array.from(piece));
  const signature = new Uint8Array(signatureBytes);
  signer.sign(signature);
  return { signature, hash: signer.hash };
}

const estimate = (a: readonly number[], b: readonly number[]) =>
  similarity(signed([...a]).signature, signed([...b]).signature);

// From documents of a few shingles, which leave most of the 256 bins empty, to some that fill each bin twenty times.
for (const [shared, own] of [
  [8, 1],
  [12, 4],
  [44, 400],
  [44, 5],
  [204, 25],
  [504, 250],
  [504, 12],
  [5004, 625],
] as const) {
  test(`estimates of ${shared} shared and ${own} own tokens are those of the formula, in the mean and in their spread`, () => {
    const draw = drawing(shared + own);
    const pairs = Array.from({ length: numPairs }, () => pairOf(draw, { shared, own, words }));
    const true_ = jaccard(...pairs[0]!);
    const errors = pairs.map(([a, b]) => estimate(a, b) - true_);
    const mean = errors.reduce((sum, error) => sum + error, 0) / numPairs;
    const deviation = Math.sqrt(errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / (numPairs - 1));
    // Li and König 2010: a byte is equal with probability J + (1 − J)/256.
    const equal = true_ + (1 - true_) / 256;
    const standardError = Math.sqrt((equal * (1 - equal)) / signatureBytes) / (1 - 1 / 256);
    assert.ok(Math.abs(mean) < (3 * standardError) / Math.sqrt(numPairs), `bias ${mean} of ${true_}`);
    // One permutation does not draw a shingle twice, so it may be better than the formula.
    const ratio = deviation / standardError;
    assert.ok(ratio > 0.7 && ratio < 1.15, `deviation ${deviation}, ${ratio} of the formula's`);
  });
}

test('a document added in parts has the hash and the signature of the whole', () => {
  const draw = drawing(1);
  const tokens = Array.from({ length: 100 }, () => draw(words));
  const whole = signed(tokens);
  for (const cut of [1, 3, 4, 5, 6, 99]) assert.deepEqual(signed(tokens.slice(0, cut), tokens.slice(cut)), whole);
  assert.deepEqual(signed(...tokens.map((token) => [token])), whole);
});

test('a signer that is reset has forgotten the document before', () => {
  const signer = new Signer();
  const [once, again] = [new Uint8Array(signatureBytes), new Uint8Array(signatureBytes)];
  for (const into of [once, again]) {
    signer.add(Int32Array.of(0, 1, 2, 3, 4, 5, 6));
    signer.sign(into);
    signer.reset();
    signer.add(Int32Array.of(9, 8, 7));
    signer.reset();
  }
  assert.deepEqual(again, once);
});

test('documents shorter than a shingle are alike where all their tokens are', () => {
  assert.equal(estimate([7], [7]), 1);
  assert.equal(estimate([1, 2, 3, 4], [1, 2, 3, 4]), 1);
  for (const other of [
    [1, 2, 3],
    [2, 1, 3, 4],
    [0, 1, 2, 3, 4],
    [1, 2, 3, 4, 0],
  ])
    assert.ok(estimate([1, 2, 3, 4], other) < 0.1, other.join());
});

test('the order and the number of tokens count in the hash, and token 0 is a token', () => {
  const hashes = [[0], [0, 0], [1], [1, 2], [2, 1], [1, 2, 0], []].map((tokens) => signed(tokens).hash);
  assert.equal(new Set(hashes).size, hashes.length);
});
