import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EmbeddingHead } from '../../model/index.ts';
import { scope, Tensor } from '../../tensor/index.ts';
import type { Sequence } from '../task.ts';
import type { EncodedPair } from './example.ts';
import { cosine, pairKind } from './kind.ts';
import { retrieval } from './retrieval.ts';

const head: EmbeddingHead = { kind: 'embedding', pooling: 'mean', normalized: true, dimensions: [] };
const sequence: Sequence = { ids: new Int32Array(3), secondStart: 3 };
const D = 6;

/** Irregular vectors. */
const vectors = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    Float32Array.from({ length: D }, (_, d) => Math.sin(1 + 1.7 * (i * D + d) ** 1.3)),
  );

function encoded(texts: readonly (readonly string[])[], scores?: readonly number[]): EncodedPair[] {
  return texts.map((own, i) => ({
    texts: own,
    sequences: Array.from({ length: Math.max(2, own.length) }, () => sequence),
    ...(scores && { score: scores[i]! }),
  }));
}

function lossOf(
  settings: { isScored: boolean; dimensions?: number[] },
  rows: readonly Float32Array[],
  examples: EncodedPair[],
) {
  const kind = pairKind(
    { ...head, dimensions: settings.dimensions ?? [] },
    { temperature: 0.1, isScored: settings.isScored },
  );
  const flat = Float32Array.from(rows.flatMap((row) => [...row]));
  return scope(() => kind.loss(Tensor.from(flat, [rows.length, D]), examples).item());
}

const near = (found: number, expected: number, most = 1e-5) =>
  assert.ok(Math.abs(found - expected) < most, `${found} is not ${expected}`);

/** −log softmax of the first of some logits. */
const crossEntropy = (right: number, all: readonly number[]) =>
  Math.log(all.reduce((sum, x) => sum + Math.exp(x), 0)) - right;

test('a pair is found among the second and third texts of all examples, by cosine over the temperature', () => {
  const rows = vectors(9);
  const at = (i: number, place: number) => rows[3 * i + place]!;
  const examples = encoded([
    ['a', 'b', 'c'],
    ['d', 'e', 'f'],
    ['g', 'h', 'i'],
  ]);
  const losses = examples.map((_, i) => {
    const logit = (j: number, place: number) => cosine(at(i, 0), at(j, place)) / 0.1;
    const all = [1, 2].flatMap((place) => [0, 1, 2].map((j) => logit(j, place)));
    return crossEntropy(logit(i, 1), all);
  });
  near(lossOf({ isScored: false }, rows, examples), losses.reduce((a, b) => a + b) / 3);
});

test('a text that is the same as one of the example itself does not count against it', () => {
  const rows = vectors(6);
  const at = (i: number, place: number) => rows[2 * i + place]!;
  // The second text of the second example is that of the first; that of the third is the first text of the first.
  const examples = encoded([
    ['a', 'b'],
    ['c', 'b'],
    ['d', 'a'],
  ]);
  const counted = [[0], [1, 2], [0, 1, 2]];
  const losses = counted.map((own, i) => {
    const logit = (j: number) => cosine(at(i, 0), at(j, 1)) / 0.1;
    return crossEntropy(logit(i), own.map(logit));
  });
  near(lossOf({ isScored: false }, rows, examples), losses.reduce((a, b) => a + b) / 3);
});

test('scored pairs learn their order: log(1 + Σ exp(20·(cos_j − cos_i))) over pairs in which i has the higher score', () => {
  const rows = vectors(8);
  const scores = [3, 1, 3, 4.5];
  const cosines = scores.map((_, i) => cosine(rows[2 * i]!, rows[2 * i + 1]!));
  let sum = 1;
  for (const [i, a] of scores.entries())
    for (const [j, b] of scores.entries()) if (a > b) sum += Math.exp(20 * (cosines[j]! - cosines[i]!));
  near(
    lossOf(
      { isScored: true },
      rows,
      encoded(
        scores.map((_, i) => [`${i}a`, `${i}b`]),
        scores,
      ),
    ),
    Math.log(sum),
    1e-4,
  );
});

test('shorter vectors are learned along with full ones: the mean of both losses', () => {
  const rows = vectors(6);
  const examples = encoded([
    ['a', 'b'],
    ['c', 'd'],
    ['e', 'f'],
  ]);
  const whole = lossOf({ isScored: false }, rows, examples);
  const short = lossOf(
    { isScored: false },
    rows.map((row) => row.map((x, d) => (d < 2 ? x : 0))),
    examples,
  );
  near(lossOf({ isScored: false, dimensions: [2] }, rows, examples), (whole + short) / 2);
});

test('retrieval counts a query text once, with all of its documents, and never as its own document', () => {
  const unit = (degrees: number) =>
    Float32Array.of(Math.cos((Math.PI * degrees) / 180), Math.sin((Math.PI * degrees) / 180));
  // Documents at 10, 50 and 90 degrees; query "a" at 0 has those at 10 and 90: ranks 1 and 3. Query "b" at 45 has that at 50: rank 1.
  const texts = [
    ['a', 'ten'],
    ['a', 'ninety'],
    ['b', 'fifty'],
  ];
  const found = retrieval(
    [
      [unit(0), unit(10)],
      [unit(0), unit(90)],
      [unit(45), unit(50)],
    ],
    texts,
  );
  const ideal = 1 + 1 / Math.log2(3);
  near(found['ndcg@10']!, ((1 + 1 / Math.log2(4)) / ideal + 1) / 2);
  near(found['recall@1']!, (1 / 2 + 1) / 2);
  near(found['recall@10']!, 1);
  // "x" is a query and the document of "y": it does not find itself first.
  const own = retrieval(
    [
      [unit(0), unit(20)],
      [unit(30), unit(0)],
    ],
    [
      ['x', 'z'],
      ['y', 'x'],
    ],
  );
  near(own['recall@1']!, 1 / 2);
});
