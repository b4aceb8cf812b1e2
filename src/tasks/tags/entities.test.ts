import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { entitiesOf, entityScores, markEntities } from './entities.ts';

/** What seqeval says: tests/fixtures/seqeval_scores.py wrote it. */
interface Case {
  scheme: string;
  right: string[][];
  predicted: string[][];
  entities: [type: string, start: number, end: number][][];
  precision: number;
  recall: number;
  f1: number;
  types: Record<string, Record<'precision' | 'recall' | 'f1' | 'support', number>>;
}
const cases = JSON.parse(readFileSync('tests/fixtures/seqeval.json', 'utf8')) as Case[];

const near = (found: number, expected: number, what: string) =>
  assert.ok(Math.abs(found - expected) < 1e-12, `${what}: ${found}, seqeval has ${expected}`);

for (const { scheme, right, predicted, entities, types, ...all } of cases) {
  test(`entities and their scores are seqeval's, of well-formed and other tags in ${scheme}`, () => {
    for (const [i, tags] of right.entries()) {
      const found = entitiesOf(tags).map(({ type, start, end }) => [type, start, end]);
      assert.deepEqual(found, entities[i], tags.join(' '));
    }
    const scores = entityScores(predicted, right);
    for (const name of ['precision', 'recall', 'f1'] as const) near(scores.all[name]!, all[name], name);
    assert.deepEqual(Object.keys(scores.types), Object.keys(types));
    for (const [type, expected] of Object.entries(types)) {
      for (const [name, value] of Object.entries(expected)) near(scores.types[type]![name]!, value, `${type} ${name}`);
    }
  });
}

test('nothing found and nothing there gives 0, not NaN', () => {
  assert.deepEqual(entityScores([['O']], [['O']]).all, { precision: 0, recall: 0, f1: 0 });
});

test('parts of speech are not entities', () => {
  assert.ok(!markEntities(['NOUN', 'VERB', 'INTJ']));
  assert.ok(markEntities(['O', 'I-PER']));
});
