import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ints, type KernelCase, kernelCases, largestDifference, runCase } from './kernel-cases.fixture.ts';
import { setKernels, setNumThreads } from './native.ts';
import { scope } from './scope.ts';
import { type Dtype, Tensor } from './tensor.ts';

// Results and gradients of the kernels against those of the plain operations, with one thread and two.

function run(kernelCase: KernelCase, dtype: Dtype, kernels: boolean, first?: number): Tensor[] {
  setKernels(kernels);
  try {
    return runCase(kernelCase, { dtype, first });
  } finally {
    setKernels(true);
  }
}

for (const [name, kernelCase] of Object.entries(kernelCases)) {
  for (const dtype of ['float32', 'bfloat16'] as const) {
    test(`${name}, ${dtype}: the kernel agrees with plain operations, forward and backward`, () => {
      scope(() => {
        const expected = run(kernelCase, dtype, false);
        const found = [1, 2].map((threads) => {
          setNumThreads(threads);
          return run(kernelCase, dtype, true);
        });
        const bf16 = dtype === 'bfloat16' || found[0]![0]!.dtype === 'bfloat16';
        const tolerance = bf16 ? (kernelCase.tolerance ?? 0.01) : (kernelCase.floatTolerance ?? 1e-5);
        for (const tensors of found) {
          tensors.forEach((tensor, i) => {
            assert.deepEqual([tensor.shape, tensor.dtype], [expected[i]!.shape, expected[i]!.dtype]);
            const difference = largestDifference(tensor, expected[i]!);
            assert.ok(difference < tolerance, `${i === 0 ? 'result' : `gradient ${i}`}: off by ${difference}`);
          });
        }
      });
    });
  }
}

for (const first of [Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`${first} in an input of a kernel is seen wherever plain operations show that a number is not finite`, () => {
    for (const [name, kernelCase] of Object.entries(kernelCases)) {
      scope(() => {
        const [plain, kernel] = [false, true].map((kernels) =>
          run(kernelCase, 'float32', kernels, first).map((tensor) => tensor.toFloats().every(Number.isFinite)),
        );
        assert.deepEqual(kernel, plain, name);
      });
    }
  });
}

test('the hits of linearCrossEntropy are the targets with the largest logit', () => {
  scope(() => {
    const [x, weight, bias] = [[40, 8], [11, 8], [11]].map((shape, i) => Tensor.normal(shape, { std: 1, seed: i }));
    const target = ints(x!, 11);
    const [best, wanted] = [x!.linear(weight!, bias!).argmax(-1).toArray(), target.toArray()];
    const expected = best.filter((id, i) => id === wanted[i]).length;
    assert.ok(expected > 0);
    assert.equal(x!.linearCrossEntropy(weight!, bias!, target).hits.item(), expected);
  });
});

test('the kernels are another computation than the plain operations, and the switch chooses between them', () => {
  scope(() => {
    const x = Tensor.normal([64, 96], { std: 1, seed: 1 });
    const results = (kernels: boolean) => {
      setKernels(kernels);
      return [x.gelu(), x.reshape([2, 32, 96]).attention(2)].map((y) => y.toFloats());
    };
    const plain = results(false);
    for (const [i, found] of results(true).entries()) assert.notDeepEqual(found, plain[i]);
  });
});
