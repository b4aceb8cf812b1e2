// Against closed forms, on models of two blocks whose branches are made by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MicroBatch } from '../data/index.ts';
import { evaluate } from '../inference/index.ts';
import { Bert, headLosses, initialise, type ModelConfig, makeIdentity, modelInputs } from '../model/index.ts';
import { scope, setNumThreads, Tensor } from '../tensor/index.ts';
import { gradientFlow } from './gradients.ts';
import { lesions } from './lesions.ts';
import { similarity } from './similarity.ts';

setNumThreads(1);

const D = 4;
const config: ModelConfig = {
  kind: 'bert',
  layers: 2,
  hiddenSize: D,
  heads: 2,
  ffnSize: 6,
  vocabSize: 20,
  maxPositions: 8,
  norm: 'pre',
  activation: 'gelu',
  layerNormEpsilon: 1e-12,
  embeddingStd: 1,
  dropout: 0.1,
  attentionDropout: 0.1,
};
const batch = (seed: number): MicroBatch => ({
  numSequences: 2,
  sequenceLength: 4,
  inputIds: Int32Array.from([3, 7, 11, 5, 9, 2, 8, 0], (id) => (id + seed) % 20),
  tokenTypeIds: Int32Array.of(0, 0, 1, 1, 0, 1, 1, 0),
  documents: [[4], [3]],
  predictedPositions: Int32Array.of(1, 2, 4),
  labels: Int32Array.of(6, 12, 17),
  nextSentenceLabels: Int32Array.of(1, 0),
});
const batches = [batch(0), batch(4)];
const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const near = (found: number, expected: number, tolerance = 1e-5) =>
  assert.ok(Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected)), `${found} is not ${expected}`);

/** Two blocks that are the identity, and then as `change` makes them. */
function handMade(change: (set: (name: string, values: ArrayLike<number>) => void) => void): Bert {
  const weights = initialise(config, 1);
  for (const l of [0, 1]) makeIdentity(config, weights, l);
  change((name, values) => {
    const weight = weights.get(`bert.encoder.layer.${name}`)!;
    weight.copy_(Tensor.from(Float32Array.from(values), weight.shape));
  });
  return new Bert(config, weights);
}

const shift = [0.5, -1, 2, 0.25];
/** The first block is the identity, the second adds a constant vector. */
const shifting = () => handMade((set) => set('1.output.dense.bias', shift));

/** The states of all text tokens of the batches before the first block, from the embeddings. */
function firstStates(bert: Bert): number[][] {
  const floats = (name: string) => bert.weights.get(`bert.embeddings.${name}_embeddings.weight`)!.toFloats();
  const [words, positions, types] = [floats('word'), floats('position'), floats('token_type')];
  return batches.flatMap(({ inputIds, tokenTypeIds, documents }) =>
    documents.flatMap(([length = 0], n) =>
      Array.from({ length }, (_, t) =>
        Array.from(
          { length: D },
          (_, i) =>
            words[inputIds[4 * n + t]! * D + i]! + positions[t * D + i]! + types[tokenTypeIds[4 * n + t]! * D + i]!,
        ),
      ),
    ),
  );
}
/** For each batch the states before the second block, and the gradients of the mean loss after it. */
function atTheTop(bert: Bert): { states: Float32Array; gradients: Float32Array }[] {
  for (const weight of bert.weights.values()) weight.requiresGrad();
  return batches.map((one) => {
    const stream = bert.residualStream(modelInputs(one, 'cpu'));
    const { tokenSum, nspSum } = headLosses(bert, bert.finalNorm(stream.at(-1)!), one);
    const [gradient] = tokenSum
      .mul(1 / 6)
      .add(nspSum!.mul(1 / 4))
      .grad([stream[2]!]);
    return { states: stream[1]!.toFloats(), gradients: gradient!.toFloats() };
  });
}

const length = (x: readonly number[]) => Math.hypot(...x);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

scoped('a block that adds b moves each state by ‖b‖, at the angle between x and x + b; padding does not count', () => {
  const bert = shifting();
  const { distances, angles } = similarity(bert, batches, 'cpu');
  near(distances[0]!, 0);
  near(angles[0]!, 0);
  near(distances[1]!, length(shift));
  const expected = firstStates(bert).map((x) => {
    const y = x.map((value, i) => value + shift[i]!);
    const dot = x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    return (Math.acos(dot / length(x) / length(y)) * 180) / Math.PI;
  });
  near(angles[1]!, mean(expected));
});

scoped('the identity and a constant shift keep the norm of the gradient; only what is used has a gradient', () => {
  const { normRatios, stateNorms, parameterNorms } = gradientFlow(shifting(), batches, 'cpu');
  for (const ratio of normRatios) near(ratio, 1);
  assert.ok(stateNorms[0]! > 0);
  // All branches end in zeros, so of a block's parameters those at the very end of a branch alone get a gradient.
  for (const norm of parameterNorms) assert.ok(norm > 0);
});

scoped('the gradient of an output bias is the sum of the gradients of the states', () => {
  // With the branches' last matrices zero, ∂L/∂W of the block is that of its two output layers: ∂L/∂b = Σ_t ∂L/∂y_t and
  // ∂L/∂W = Σ_t ∂L/∂y_t ⊗ z_t. A branch whose input z is zero as well leaves the biases alone.
  const zeros = (count: number) => new Array<number>(count).fill(0);
  const bert = handMade((set) => {
    for (const l of [0, 1]) {
      set(`${l}.intermediate.dense.weight`, zeros(6 * D)); // gelu(0) = 0
      set(`${l}.attention.self.value.weight`, zeros(D * D));
    }
  });
  const { parameterNorms } = gradientFlow(bert, batches, 'cpu');
  const sum = new Array<number>(D).fill(0);
  for (const { gradients } of atTheTop(bert)) {
    gradients.forEach((value, i) => {
      sum[i % D]! += value;
    });
  }
  for (const norm of parameterNorms) near(norm, Math.SQRT2 * length(sum)); // of two biases
});

scoped('where a block is x + A·LN(x), the gradient before it is g + Jᵀ·Aᵀ·g with the Jacobian of the norm', () => {
  // FFN(z) = W₂·gelu(W₁·z + b₁) + b₂ with b₁ so large that gelu is the identity, and b₂ = −W₂·b₁: A = W₂·W₁.
  const w1 = Array.from({ length: 6 * D }, (_, i) => Math.sin(i + 1));
  const w2 = Array.from({ length: 6 * D }, (_, i) => Math.cos(2 * i) / 2);
  const b2 = Array.from({ length: D }, (_, i) => -50 * w2.slice(6 * i, 6 * i + 6).reduce((a, b) => a + b, 0));
  const bert = handMade((set) => {
    set('1.intermediate.dense.weight', w1);
    set('1.intermediate.dense.bias', new Array<number>(6).fill(50));
    set('1.output.dense.weight', w2);
    set('1.output.dense.bias', b2);
  });
  const A = Array.from({ length: D }, (_, i) =>
    Array.from({ length: D }, (_, j) =>
      [0, 1, 2, 3, 4, 5].reduce((sum, k) => sum + w2[6 * i + k]! * w1[k * D + j]!, 0),
    ),
  );
  let [before, after] = [0, 0];
  for (const { states, gradients } of atTheTop(bert)) {
    for (let token = 0; token < states.length; token += D) {
      const x = [...states.slice(token, token + D)];
      const g = [...gradients.slice(token, token + D)];
      const center = mean(x);
      const std = Math.sqrt(mean(x.map((value) => (value - center) ** 2)));
      const z = x.map((value) => (value - center) / std);
      const u = Array.from({ length: D }, (_, j) => g.reduce((sum, value, i) => sum + A[i]![j]! * value, 0)); // Aᵀ·g
      const uz = mean(u.map((value, i) => value * z[i]!));
      const dx = g.map((value, i) => value + (u[i]! - mean(u) - z[i]! * uz) / std);
      before += length(dx) ** 2;
      after += length(g) ** 2;
    }
  }
  const { normRatios, stateNorms } = gradientFlow(bert, batches, 'cpu');
  near(normRatios[0]!, 1);
  near(normRatios[1]!, Math.sqrt(before / after), 1e-4);
  assert.ok(Math.abs(normRatios[1]! - 1) > 0.05, 'or the test would say nothing');
  near(stateNorms[2]!, Math.sqrt(after));
});

scoped('the loss without a block is that of a model in which it is the identity', () => {
  const weights = initialise({ ...config, embeddingStd: 1 }, 2);
  for (const l of [0, 1])
    weights.get(`bert.encoder.layer.${l}.output.dense.bias`)!.copy_(Tensor.from(Float32Array.from(shift), [D]));
  const lossOf = (...removed: number[]) => {
    const copy = new Map([...weights].map(([name, weight]) => [name, weight.clone()]));
    for (const l of removed) makeIdentity(config, copy, l);
    return evaluate(new Bert(config, copy), batches, 'cpu').loss;
  };
  const { loss, withoutBlock, withoutLast } = lesions(new Bert(config, weights), batches, 'cpu');
  near(loss, lossOf());
  [lossOf(0), lossOf(1)].forEach((expected, l) => {
    near(withoutBlock[l]!, expected);
    assert.notEqual(withoutBlock[l], loss);
  });
  near(withoutLast[0]!, lossOf(1));
  near(withoutLast[1]!, lossOf(0, 1));
});
