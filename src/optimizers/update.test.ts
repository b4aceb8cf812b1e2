import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveTensors, scope, Tensor } from '../tensor/index.ts';
import {
  globalNorm,
  initialState,
  type OptimizerName,
  optimizers,
  type ParameterState,
  type StepNumbers,
  type UpdateSettings,
  updateParameters,
} from './index.ts';
import { settings as adamw } from './settings.fixture.ts';

const lamb: UpdateSettings = { ...adamw, optimizer: 'lamb' };
const [rows, columns] = [5, 7];

const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const normal = (seed: number, std = 1) => Tensor.normal([rows, columns], { std, seed });
const updateOne = (
  settings: UpdateSettings,
  parameter: Tensor,
  gradient: Tensor,
  state: ParameterState,
  numbers: StepNumbers,
) => {
  state.updates += 1;
  const update = { parameter, gradient, ...state, weightDecay: settings.weightDecay };
  optimizers[settings.optimizer].update([update], settings, numbers);
};
const specOf = ({ shape }: Tensor) => ({ name: 'w', shape, decays: true });
const stateOf = (parameter: Tensor, optimizer: OptimizerName = 'adamw') =>
  initialState(optimizer, [specOf(parameter)], 'cpu').get('w')!;
const norm = (x: readonly number[]) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));

/** The formulas of the doc comment, in float64. */
function reference(
  settings: UpdateSettings,
  start: readonly number[],
  gradients: readonly number[][],
  learningRate: number,
) {
  const [beta1, beta2] = settings.betas;
  let [w, m, v] = [[...start], start.map(() => 0), start.map(() => 0)];
  gradients.forEach((gradient, i) => {
    const t = i + 1;
    m = m.map((value, j) => beta1 * value + (1 - beta1) * gradient[j]!);
    v = v.map((value, j) => beta2 * value + (1 - beta2) * gradient[j]! ** 2);
    const [c1, c2] = settings.biasCorrection ? [1 - beta1 ** t, 1 - beta2 ** t] : [1, 1];
    const direction = w.map((weight, j) => {
      return m[j]! / c1 / (Math.sqrt(v[j]! / c2) + settings.epsilon) + settings.weightDecay * weight;
    });
    const trust = settings.optimizer === 'lamb' ? norm(w) / norm(direction) : 1;
    w = w.map((weight, j) => weight - learningRate * trust * direction[j]!);
  });
  return w;
}

for (const optimizer of ['adamw', 'lamb'] as const) {
  for (const biasCorrection of [true, false]) {
    const corrected = biasCorrection ? 'with' : 'without';
    scoped(`five ${optimizer} updates ${corrected} bias correction are those of its formula`, () => {
      const settings = { ...adamw, optimizer, biasCorrection };
      const [parameter, learningRate, gradientScale] = [normal(1).requiresGrad(), 0.01, 0.3];
      const start = Array.from(parameter.toFloats());
      const state = stateOf(parameter);
      const gradients = Array.from({ length: 5 }, (_, t) => normal(10 + t, 0.1));
      for (const gradient of gradients) {
        updateOne(settings, parameter, gradient, state, { learningRate, gradientScale });
      }
      const scaled = gradients.map((gradient) => Array.from(gradient.toFloats(), (g) => g * gradientScale));
      const expected = reference(settings, start, scaled, learningRate);
      const change = expected.map((value, i) => value - start[i]!);
      const largest = Math.max(...change.map(Math.abs));
      parameter.toFloats().forEach((value, i) => {
        const error = Math.abs(value - start[i]! - change[i]!) / largest;
        assert.ok(error < 2e-5, `element ${i}: relative error ${error}`);
      });
      assert.equal(state.updates, 5);
    });
  }
}

scoped('five updates of SGD with momentum are those of its formula', () => {
  const [beta1, learningRate, weightDecay, gradientScale] = [0.9, 0.1, 0.01, 0.3];
  const settings: UpdateSettings = { ...adamw, optimizer: 'sgd', betas: [beta1, 0.5], weightDecay };
  const parameter = normal(1).requiresGrad();
  let [w, m] = [Array.from(parameter.toFloats()), new Array<number>(rows * columns).fill(0)];
  const state = stateOf(parameter, 'sgd');
  for (let t = 0; t < 5; t++) {
    const gradient = normal(10 + t);
    m = m.map((value, i) => beta1 * value + gradientScale * gradient.toFloats()[i]!);
    w = w.map((value, i) => value - learningRate * (m[i]! + weightDecay * value));
    updateOne(settings, parameter, gradient, state, { learningRate, gradientScale });
  }
  parameter.toFloats().forEach((value, i) => {
    assert.ok(Math.abs(value - w[i]!) < 1e-5, `${value}, not ${w[i]}`);
  });
  assert.deepEqual(Object.keys(state.slots), ['momentum']);
});

scoped('a LAMB update moves a matrix by the learning rate times its own norm', () => {
  for (const std of [0.001, 1, 1000]) {
    const parameter = normal(1, std);
    const before = parameter.clone();
    const state = stateOf(parameter);
    updateOne(lamb, parameter, normal(2), state, { learningRate: 0.01, gradientScale: 1 });
    const ratio = parameter.add(before, -1).norm().item() / before.norm().item();
    assert.ok(Math.abs(ratio / 0.01 - 1) < 1e-4, `${ratio}`);
  }
});

scoped('LAMB has a trust ratio of 1 for weights of zero, and does not move without gradient and decay', () => {
  const zero = Tensor.zeros([rows, columns]);
  const state = () => stateOf(zero);
  updateOne(lamb, zero, Tensor.full([rows, columns], 5), state(), {
    learningRate: 0.01,
    gradientScale: 1,
  });
  for (const value of zero.toFloats()) assert.ok(Math.abs(value + 0.01) < 1e-6, `${value}`);
  const still = normal(1);
  const before = still.toArray();
  const nothing = Tensor.zeros([rows, columns]);
  updateOne({ ...lamb, weightDecay: 0 }, still, nothing, state(), { learningRate: 1, gradientScale: 1 });
  assert.deepEqual(still.toArray(), before);
});

scoped('a parameter decays where it is to, and nowhere else', () => {
  for (const settings of [adamw, lamb]) {
    for (const decays of [true, false]) {
      const parameter = normal(1);
      const before = parameter.toArray();
      const masters = new Map([['w', parameter]]);
      const specs = [{ ...specOf(parameter), decays }];
      const state = { specs, masters, optimizer: initialState(settings.optimizer, specs, 'cpu') };
      const gradients = new Map([['w', Tensor.zeros([rows, columns])]]);
      updateParameters(settings, state, gradients, { loss: 1, learningRate: 0.1, gradientNorm: 0 });
      assert.equal(
        decays,
        parameter.toArray().some((value, i) => value !== before[i]),
      );
    }
  }
});

scoped('with bias correction the first update moves each weight by the whole learning rate', () => {
  const parameter = normal(1);
  const state = stateOf(parameter);
  const start = Array.from(parameter.toFloats());
  const settings = { ...adamw, weightDecay: 0, epsilon: 1e-12 };
  updateOne(settings, parameter, normal(2), state, { learningRate: 0.25, gradientScale: 1 });
  parameter.toFloats().forEach((value, i) => {
    assert.ok(Math.abs(Math.abs(value - start[i]!) - 0.25) < 1e-5);
  });
});

scoped('fresh state is zero moments of the shape of each parameter', () => {
  const specs = [
    { name: 'a', shape: [rows, columns], decays: true },
    { name: 'b', shape: [3], decays: false },
  ];
  const state = initialState('adamw', specs, 'cpu');
  assert.deepEqual([...state.keys()], ['a', 'b']);
  for (const [name, { slots, updates }] of state) {
    const [moment, variance] = [slots.moment!, slots.variance!];
    const shape = name === 'a' ? [rows, columns] : [3];
    assert.deepEqual([moment.shape, variance.shape, updates], [shape, shape, 0]);
    assert.equal(moment.norm().item() + variance.norm().item(), 0);
    assert.equal(moment.dtype, 'float32');
  }
});

scoped('the global norm is that of all gradients as one vector', () => {
  const gradients = [Tensor.full([2, 2], 3), Tensor.from(Float32Array.of(-4, 8), [2])]; // 4·9 + 16 + 64 = 116
  assert.ok(Math.abs(globalNorm(gradients) - Math.sqrt(116)) < 1e-6);
  assert.equal(globalNorm([]), 0);
  assert.equal(globalNorm([Tensor.full([1], Number.POSITIVE_INFINITY)]), Number.POSITIVE_INFINITY);
  assert.ok(Number.isNaN(globalNorm([Tensor.full([1], Number.NaN), Tensor.full([1], 1)])));
});

scoped('an update leaks no tensor', () => {
  const parameter = normal(1).requiresGrad();
  const state = stateOf(parameter);
  const gradient = normal(2);
  const before = liveTensors();
  for (const settings of [adamw, lamb]) {
    updateOne(settings, parameter, gradient, state, { learningRate: 0.01, gradientScale: 1 });
  }
  globalNorm([gradient]);
  assert.equal(liveTensors(), before);
});
