// Documents that share sequences against the same documents apart: one of them a sequence, and nothing else in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MicroBatch } from '../data/index.ts';
import { scope, setNumThreads, Tensor } from '../tensor/index.ts';
import { familyOf, headLosses, type ModelConfig, modelInputs, parameterSpecs } from './index.ts';

setNumThreads(1);

const T = 12;
const sizes = {
  layers: 3,
  hiddenSize: 16,
  heads: 2,
  ffnSize: 32,
  vocabSize: 50,
  maxPositions: T,
  layerNormEpsilon: 1e-5,
  dropout: 0,
  embeddingStd: 0.02,
  attentionDropout: 0,
};
const models: Record<string, ModelConfig> = {
  'BERT, PreLN': { ...sizes, kind: 'bert', norm: 'pre', activation: 'gelu' },
  'BERT, PostLN': { ...sizes, kind: 'bert', norm: 'post', activation: 'gelu' },
  ModernBERT: { ...sizes, kind: 'modernbert', norm: 'pre', activation: 'gelu', window: 4, globalBlocks: 2 },
  Llama: { ...sizes, kind: 'llama', norm: 'pre', activation: 'silu', keyValueHeads: 1 },
  'GPT-2': { ...sizes, kind: 'gpt2', norm: 'pre', activation: 'gelu_new' },
};

/** Full, with padding, with a document of one token, and with a single one. */
const documents = [[5, 4, 3], [6, 2], [1, 11], [T]];

/** Random tokens; the second of each document and the last of longer ones are predicted. */
const packed: MicroBatch = {
  numSequences: documents.length,
  sequenceLength: T,
  inputIds: Int32Array.from({ length: documents.length * T }, (_, i) => (7 * i + (i % 5) * 11 + 3) % 50),
  tokenTypeIds: Int32Array.from({ length: documents.length * T }, (_, i) => i % 2),
  documents,
  ...predictionsOf(
    spans().flatMap(({ start, length }) =>
      length > 3 ? [start + 1, start + length - 1] : length > 1 ? [start + 1] : [],
    ),
  ),
};
/** The same tokens with each document in a sequence of its own. */
const apart = spans().map(({ start, length }): MicroBatch => {
  const within = packed.predictedPositions.filter((at) => at >= start && at < start + length);
  return {
    numSequences: 1,
    sequenceLength: length,
    inputIds: packed.inputIds.slice(start, start + length),
    tokenTypeIds: packed.tokenTypeIds.slice(start, start + length),
    documents: [[length]],
    predictedPositions: within.map((at) => at - start),
    labels: within.map((at) => labelAt(at)),
  };
});

function predictionsOf(positions: number[]): Pick<MicroBatch, 'predictedPositions' | 'labels'> {
  return { predictedPositions: Int32Array.from(positions), labels: Int32Array.from(positions, labelAt) };
}

function labelAt(position: number): number {
  return (13 * position + 1) % 50;
}

/** Where each document is among all tokens. */
function spans(): { start: number; length: number }[] {
  return documents.flatMap((lengths, row) => {
    let next = row * T;
    return lengths.map((length) => {
      next += length;
      return { start: next - length, length };
    });
  });
}

function assertClose(found: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(found.length, expected.length);
  const largest = Math.max(1, ...Array.from(expected, Math.abs));
  for (let i = 0; i < found.length; i++) {
    assert.ok(Math.abs(found[i]! - expected[i]!) < 1e-5 * largest, `${what}[${i}]: ${found[i]}, apart ${expected[i]}`);
  }
}

for (const [name, config] of Object.entries(models)) {
  const { create } = familyOf(config);
  const weights = () =>
    new Map(
      parameterSpecs(config).map(({ name, shape }, i) => [
        name,
        Tensor.normal(shape, { std: 0.3, seed: i }).requiresGrad(),
      ]),
    );

  test(`documents in one sequence have the states that they have apart (${name})`, () =>
    scope(() => {
      const model = create(config, weights());
      const found = model.encode(modelInputs(packed, 'cpu')).reshape([-1, config.hiddenSize]);
      spans().forEach(({ start, length }, i) => {
        const expected = model.encode(modelInputs(apart[i]!, 'cpu'));
        assertClose(found.narrow(0, start, length).toFloats(), expected.toFloats(), `document ${i}`);
      });
    }));

  test(`their loss, hits and gradients are the sums of those apart (${name})`, () =>
    scope(() => {
      const model = create(config, weights());
      const leaves = [...model.weights.values()];
      const of = (batch: MicroBatch) => {
        const { tokenSum, tokenHits } = headLosses(model, model.encode(modelInputs(batch, 'cpu')), batch);
        const gradients = tokenSum.grad(leaves);
        return { loss: tokenSum.item(), hits: tokenHits.item(), gradients };
      };
      const found = of(packed);
      const expected = apart.filter(({ labels }) => labels.length > 0).map(of);
      const total = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
      assertClose([found.loss], [total(expected.map(({ loss }) => loss))], 'loss');
      assert.equal(found.hits, total(expected.map(({ hits }) => hits)));
      [...model.weights.keys()].forEach((weight, i) => {
        const parts = expected.map(({ gradients }) => gradients[i]).filter((part) => part !== undefined);
        assert.equal(found.gradients[i] === undefined, parts.length === 0, weight);
        if (parts.length === 0) return;
        const sum = parts.reduce((a, b) => a.add(b));
        assertClose(found.gradients[i]!.toFloats(), sum.toFloats(), weight);
      });
    }));

  test(`a gate for each sequence takes the documents of those that run (${name})`, () =>
    scope(() => {
      const model = create(config, weights());
      const scales = [1, 1, 1];
      const kept = [0, 1, 3];
      const found = model.encode(modelInputs(packed, 'cpu'), { gates: [true, kept, true], branchScales: scales });
      documents.forEach((lengths, row) => {
        const [start, end] = [row * T, (row + 1) * T];
        const one = {
          ...packed,
          numSequences: 1,
          inputIds: packed.inputIds.slice(start, end),
          tokenTypeIds: packed.tokenTypeIds.slice(start, end),
          documents: [lengths],
        };
        const pass = { gates: [true, kept.includes(row), true], branchScales: scales };
        const expected = model.encode(modelInputs(one, 'cpu'), pass);
        assertClose(found.narrow(0, row, 1).toFloats(), expected.toFloats(), `sequence ${row}`);
      });
    }));
}
