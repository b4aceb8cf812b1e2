import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AdamWNumbers, type AdamWUpdate, adamw as adamwOf, Tensor } from './index.ts';
import { runtime, setNumThreads } from './native.ts';
import { scope } from './scope.ts';

const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const normal = (shape: number[], seed: number, std = 1) => Tensor.normal(shape, { std, seed });

type Numbers = AdamWNumbers & Pick<AdamWUpdate, 'weightDecay' | 'correction1' | 'correction2'>;

function adamw(parameter: Tensor, gradient: Tensor, moment: Tensor, variance: Tensor, h: Numbers): void {
  const { weightDecay, correction1, correction2, ...common } = h;
  adamwOf([{ parameter, gradient, moment, variance, weightDecay, correction1, correction2 }], common);
}

const plain: Numbers = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-6,
  weightDecay: 0,
  correction1: 1,
  correction2: 1,
  gradientScale: 1,
};

const corrections = (t: number) => ({ correction1: 1 - 0.9 ** t, correction2: 1 - 0.999 ** t });

/** The largest difference between two lists, over the largest magnitude of the second. */
function relativeError(found: ArrayLike<number>, expected: readonly number[]): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(found[i]! - value))) / largest;
}

// The update of Loshchilov and Hutter 2019, algorithm 2, with a learning rate in front of the decay as torch has it.
function reference(w: number[], m: number[], v: number[], gradient: ArrayLike<number>, h: Numbers): void {
  for (let i = 0; i < w.length; i++) {
    const g = gradient[i]! * h.gradientScale;
    m[i] = h.beta1 * m[i]! + (1 - h.beta1) * g;
    v[i] = h.beta2 * v[i]! + (1 - h.beta2) * g * g;
    const direction = m[i]! / h.correction1 / (Math.sqrt(v[i]! / h.correction2) + h.epsilon);
    w[i] = w[i]! - h.learningRate * h.weightDecay * w[i]! - h.learningRate * direction;
  }
}

function compare(settings: (t: number) => Numbers): void {
  const shape = [7, 37];
  const [parameter, moment, variance] = [normal(shape, 1), Tensor.zeros(shape), Tensor.zeros(shape)];
  const start = Array.from(parameter.toFloats());
  const [w, m, v] = [[...start], start.map(() => 0), start.map(() => 0)];
  for (let t = 1; t <= 10; t++) {
    const gradient = normal(shape, 100 + t, 0.01);
    adamw(parameter, gradient, moment, variance, settings(t));
    reference(w, m, v, gradient.toFloats(), settings(t));
  }
  assert.ok(relativeError(moment.toFloats(), m) < 1e-6);
  assert.ok(relativeError(variance.toFloats(), v) < 1e-6);
  // The change, not the weight, is compared: it is a hundred times smaller.
  const change = Array.from(parameter.toFloats(), (value, i) => value - start[i]!);
  const expected = w.map((value, i) => value - start[i]!);
  // Each of the ten updates rounds it to float32.
  assert.ok(relativeError(change, expected) < 3e-4, `${relativeError(change, expected)}`);
}

scoped('ten updates agree with the formula in float64, with and without bias correction, decay and scaling', () => {
  compare(() => plain);
  compare((t) => ({ ...plain, ...corrections(t) }));
  compare((t) => ({ ...plain, ...corrections(t), weightDecay: 0.1 }));
  compare((t) => ({ ...plain, ...corrections(t), weightDecay: 0.01, gradientScale: 0.037 }));
  compare(() => ({ ...plain, beta1: 0, beta2: 0.5, epsilon: 0.1, learningRate: 0.01 }));
});

scoped(
  'the first update with bias correction moves every weight by the learning rate against the sign of its gradient',
  () => {
    const parameter = Tensor.full([4], 1);
    const gradient = Tensor.from(Float32Array.of(3, -3, 1e-3, 500), [4]);
    adamw(parameter, gradient, Tensor.zeros([4]), Tensor.zeros([4]), {
      ...plain,
      ...corrections(1),
      epsilon: 1e-12,
      learningRate: 0.25,
    });
    const expected = [0.75, 1.25, 0.75, 0.75];
    parameter.toFloats().forEach((w, i) => {
      assert.ok(Math.abs(w - expected[i]!) < 1e-6, `${w}`);
    });
  },
);

scoped('the moments take 1 − β of a first gradient to the precision of float32', () => {
  const [moment, variance] = [Tensor.zeros([1]), Tensor.zeros([1])];
  adamw(Tensor.zeros([1]), Tensor.full([1], 1), moment, variance, plain);
  assert.equal(moment.item(), Math.fround(0.1));
  assert.equal(variance.item(), Math.fround(0.001));
});

scoped('a gradient of zero still decays, and decay is times the learning rate', () => {
  const parameter = Tensor.full([3], 2);
  const zeros = () => Tensor.zeros([3]);
  adamw(parameter, zeros(), zeros(), zeros(), { ...plain, learningRate: 0.5, weightDecay: 0.25 });
  assert.deepEqual(parameter.toArray(), Float32Array.of(1.75, 1.75, 1.75));
});

scoped('a gradient in another memory layout is taken by its elements', () => {
  const gradient = normal([5, 3], 2);
  const [one, two] = [normal([3, 5], 1), normal([3, 5], 1)];
  const zeros = () => Tensor.zeros([3, 5]);
  adamw(one, gradient.transpose(0, 1), zeros(), zeros(), plain);
  adamw(two, Tensor.from(gradient.transpose(0, 1).toArray(), [3, 5]), zeros(), zeros(), plain);
  assert.deepEqual(one.toArray(), two.toArray());
});

scoped('the result does not depend on the number of threads', () => {
  const { numThreads } = runtime();
  const results = [1, 2, 3].map((threads) => {
    setNumThreads(threads);
    const parameter = normal([100_003], 1);
    const [moment, variance] = [normal([100_003], 2), normal([100_003], 3).mul(normal([100_003], 3))];
    adamw(parameter, normal([100_003], 4), moment, variance, { ...plain, weightDecay: 0.01 });
    return [parameter.toArray(), moment.toArray(), variance.toArray()];
  });
  setNumThreads(numThreads);
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
});

scoped('a parameter that needs a gradient is updated in place, and tensors that do not fit are refused', () => {
  const parameter = normal([3, 5], 1).requiresGrad();
  const before = parameter.toArray();
  const zeros = () => Tensor.zeros([3, 5]);
  adamw(parameter, normal([3, 5], 2), zeros(), zeros(), plain);
  assert.notDeepEqual(parameter.toArray(), before);
  assert.throws(
    () => adamw(parameter, Tensor.zeros([5, 3]), zeros(), zeros(), plain),
    /^NativeError: adamw_\(\[3, 5\]/,
  );
  assert.throws(
    () => adamw(parameter, zeros().to('bfloat16'), zeros(), zeros(), plain),
    /float32 tensors of one shape/,
  );
  assert.throws(() =>
    adamw(zeros().transpose(0, 1), Tensor.zeros([5, 3]), Tensor.zeros([5, 3]), Tensor.zeros([5, 3]), plain),
  );
});

scoped('many parameters in one call are each updated as they are alone', () => {
  // More than fit into one launch on a GPU, of sizes that fill none of its blocks.
  const shapes = Array.from({ length: 70 }, (_, i) => [1 + ((i * 977) % 9000)]);
  const make = () =>
    shapes.map((shape, i): AdamWUpdate => {
      const [parameter, gradient] = [normal(shape, i), normal(shape, 100 + i)];
      const [moment, variance] = [normal(shape, 200 + i), normal(shape, 300 + i).mul(normal(shape, 300 + i))];
      return { parameter, gradient, moment, variance, weightDecay: 0.01 * (i % 3), ...corrections(1 + i) };
    });
  const { weightDecay: _, correction1: __, correction2: ___, ...common } = plain;
  const [together, alone] = [make(), make()];
  adamwOf(together, common);
  for (const update of alone) adamwOf([update], common);
  for (const [i, { parameter, moment, variance }] of together.entries()) {
    assert.deepEqual(parameter.toArray(), alone[i]!.parameter.toArray());
    assert.deepEqual(moment.toArray(), alone[i]!.moment.toArray());
    assert.deepEqual(variance.toArray(), alone[i]!.variance.toArray());
  }
  assert.notDeepEqual(together[69]!.parameter.toArray(), normal(shapes[69]!, 69).toArray());
});
