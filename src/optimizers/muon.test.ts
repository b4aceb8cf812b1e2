import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { liveTensors, scope, Tensor } from '../tensor/index.ts';
import { initialState, slotsOf, type UpdateSettings, updateFlops, updateParameters } from './index.ts';
import { settings as adamw } from './settings.fixture.ts';

const settings: UpdateSettings = { ...adamw, optimizer: 'muon' };

type Rows = number[][];
const product = (x: Rows, y: Rows): Rows =>
  x.map((row) => y[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * y[k]![j]!, 0)));
const transposed = (x: Rows): Rows => x[0]!.map((_, j) => x.map((row) => row[j]!));
const combined = (p: number, x: Rows, q: number, y: Rows): Rows =>
  x.map((row, i) => row.map((value, j) => p * value + q * y[i]![j]!));

/** The formula of the doc comment, in float64. */
function orthogonal(u: Rows): Rows {
  const [a, b, c] = [3.4445, -4.775, 2.0315];
  const norm = Math.sqrt(u.flat().reduce((sum, value) => sum + value ** 2, 0));
  let X = combined(1 / norm, u, 0, u);
  for (let i = 0; i < 5; i++) {
    const gram = product(X, transposed(X));
    X = combined(a, X, 1, product(combined(b, gram, c, product(gram, gram)), X));
  }
  return X;
}

/** Numbers that look random, in [−½, ½). */
const numbersOf = (seed: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const x = Math.sin(1 + seed * 12.9898 + i * 78.233) * 43758.5453;
    return x - Math.floor(x) - 0.5;
  });
const rowsOf = (numbers: readonly number[], columns: number): Rows =>
  Array.from({ length: numbers.length / columns }, (_, i) => numbers.slice(i * columns, (i + 1) * columns));

/** Weights of a shape after some updates with `numbersOf(1…)` as gradients. */
function trained(
  shape: [number, number],
  { matrices = 1, ...given }: Partial<UpdateSettings> & { matrices?: number },
  updates: number,
  learningRate: number,
): number[] {
  const count = shape[0] * shape[1];
  const tensor = (seed: number) => Tensor.from(Float32Array.from(numbersOf(seed, count)), shape);
  const parameter = tensor(0).requiresGrad();
  const specs = [{ name: 'w', shape, decays: true, matrices }];
  const state = { specs, masters: new Map([['w', parameter]]), optimizer: initialState('muon', specs, 'cpu') };
  for (let step = 1; step <= updates; step++) {
    const numbers = { loss: 1, learningRate, gradientNorm: 1, lossScale: 2 };
    updateParameters({ ...settings, ...given }, state, new Map([['w', tensor(step).mul(2)]]), numbers);
  }
  return Array.from(parameter.toFloats());
}

for (const [shape, matrices] of [
  [[5, 7], 1],
  [[7, 5], 1],
  [[12, 5], 3],
  [[6, 9], 2],
] as [[number, number], number][]) {
  test(`five Muon updates of ${matrices} matrices in [${shape}] are those of the formula`, () => {
    scope(() => {
      const [learningRate, beta, columns] = [0.05, settings.momentum, shape[1]];
      const rows = shape[0] / matrices;
      const found = trained(shape, { matrices }, 5, learningRate);
      const start = numbersOf(0, shape[0] * columns);
      const cut = (numbers: readonly number[]) => {
        const all = rowsOf(numbers, columns);
        return Array.from({ length: matrices }, (_, i) => all.slice(i * rows, (i + 1) * rows));
      };
      const expected = cut(start).flatMap((weight, i) => {
        let [w, m] = [weight, combined(0, weight, 0, weight)];
        for (let step = 1; step <= 5; step++) {
          const g = cut(numbersOf(step, start.length))[i]!;
          m = combined(beta, m, 1 - beta, g);
          const scale = settings.muonScale * Math.sqrt(Math.max(rows, columns));
          const decayed = combined(1 - learningRate * settings.weightDecay, w, 0, w);
          w = combined(1, decayed, -learningRate * scale, orthogonal(combined(beta, m, 1 - beta, g)));
        }
        return w.flat();
      });
      for (const [i, value] of found.entries())
        assert.ok(Math.abs(value - expected[i]!) < 1e-5, `element ${i}: ${value}, not ${expected[i]}`);
    });
  });
}

test("twenty updates are PyTorch's, which are in bfloat16, to 1e-4", () => {
  const file = new URL('../../../tests/fixtures/pytorch-muon.json', import.meta.url);
  const fixture: {
    learningRate: number;
    weightDecay: number;
    momentum: number;
    steps: number;
    matrices: { shape: [number, number]; weight: number[] }[];
  } = JSON.parse(readFileSync(file, 'utf8'));
  const { learningRate, weightDecay, momentum, steps, matrices } = fixture;
  scope(() => {
    for (const { shape, weight } of matrices) {
      const start = numbersOf(0, weight.length);
      const moved = Math.max(...weight.map((value, i) => Math.abs(value - start[i]!)));
      assert.ok(moved > 5e-3, `[${shape}] moved by ${moved} only`);
      for (const precision of ['bf16', 'fp32'] as const) {
        const found = trained(shape, { weightDecay, momentum, precision }, steps, learningRate);
        for (const [i, value] of found.entries())
          assert.ok(Math.abs(value - weight[i]!) < 1e-4, `[${shape}] element ${i}: ${value}, not ${weight[i]}`);
      }
    }
  });
});

test('parameters other than the matrices of blocks are updated by AdamW, and have its slots', () => {
  const specs = [
    { name: 'block', shape: [4, 6], decays: true, matrices: 2 },
    { name: 'embedding', shape: [4, 6], decays: true },
    { name: 'norm', shape: [6], decays: false },
  ];
  const afterOne = (optimizer: 'muon' | 'adamw') =>
    scope(() => {
      const masters = new Map(specs.map(({ name, shape }) => [name, Tensor.normal(shape, { std: 1, seed: 1 })]));
      const gradients = new Map(specs.map(({ name, shape }) => [name, Tensor.normal(shape, { std: 1, seed: 2 })]));
      const state = { specs, masters, optimizer: initialState(optimizer, specs, 'cpu') };
      updateParameters({ ...settings, optimizer }, state, gradients, { loss: 1, learningRate: 0.1, gradientNorm: 1 });
      assert.ok([...state.optimizer.values()].every(({ updates }) => updates === 1));
      return Object.fromEntries([...masters].map(([name, tensor]) => [name, [...tensor.toFloats()]]));
    });
  const [mixed, alone] = [afterOne('muon'), afterOne('adamw')];
  assert.deepEqual([mixed.embedding, mixed.norm], [alone.embedding, alone.norm]);
  assert.notDeepEqual(mixed.block, alone.block);
  assert.deepEqual(
    specs.map((spec) => slotsOf('muon', spec)),
    [['momentum'], ['moment', 'variance'], ['moment', 'variance']],
  );
});

test('the FLOPs of an update are those of its products and of its passes over memory', () => {
  const products = 5 * (4 * 3 ** 2 * 8 + 2 * 3 ** 3); // XXᵀ and its product with X; the square of XXᵀ
  assert.equal(updateFlops('muon', { shape: [6, 8], matrices: 2 }), 2 * products + 13 * 48);
  assert.equal(updateFlops('muon', { shape: [6, 8] }), 14 * 48);
  assert.equal(updateFlops('muon', { shape: [8, 3], matrices: 1 }), products + 13 * 24);
});

test('with a gradient of zeros only the decay moves weights, and an update leaks no tensor', () => {
  scope(() => {
    const before = liveTensors();
    scope(() => {
      const specs = [{ name: 'w', shape: [4, 4], decays: false, matrices: 1 }];
      const parameter = Tensor.normal([4, 4], { std: 1, seed: 1 });
      const start = parameter.toArray();
      const state = { specs, masters: new Map([['w', parameter]]), optimizer: initialState('muon', specs, 'cpu') };
      const gradients = new Map([['w', Tensor.zeros([4, 4])]]);
      updateParameters(settings, state, gradients, { loss: 1, learningRate: 0.1, gradientNorm: 0 });
      assert.deepEqual(parameter.toArray(), start);
    });
    assert.equal(liveTensors(), before);
  });
});
