import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adamw } from './adamw.ts';
import { setNumThreads, UseAfterFreeError } from './native.ts';
import { liveTensors, noGrad, scope } from './scope.ts';
import { Tensor } from './tensor.ts';

setNumThreads(1); // these tensors are too small for two

const one = () => Tensor.full([2, 3], 1);

/** The number of tensors that `body` leaves behind. */
function left(body: () => void): number {
  const before = liveTensors();
  body();
  return liveTensors() - before;
}

test('a scope frees what was made inside it and keeps the tensor that it returns', () => {
  let lost: Tensor | undefined;
  let kept: Tensor | undefined;
  const numLeft = left(() => {
    kept = scope(() => {
      lost = one();
      return lost.add(lost).mul(2);
    });
  });
  assert.equal(numLeft, 1);
  assert.deepEqual(Array.from(kept!.toFloats()), new Array(6).fill(4));
  assert.throws(() => lost!.toArray(), UseAfterFreeError);
  kept!.free();
});

test('a scope keeps tensors in arrays, maps and plain objects, however nested', () => {
  const numLeft = left(() => {
    const { list, map, inner } = scope(() => {
      one();
      return {
        list: [one(), one()],
        map: new Map([['a', one()]]),
        inner: { deep: [{ x: one() }] },
        text: 'x',
        no: null,
      };
    });
    const kept = [...list, map.get('a')!, inner.deep[0]!.x];
    for (const tensor of kept) assert.equal(tensor.sum().item(), 6);
  });
  assert.equal(numLeft, 4 + 4); // those kept, and their sums
});

test('what an inner scope returns belongs to the outer one', () => {
  const numLeft = left(() => {
    const value = scope(() => {
      const inner = scope(() => one().add(1));
      const deeper = scope(() => scope(() => inner.mul(3)));
      return deeper.sum().item();
    });
    assert.equal(value, 36);
  });
  assert.equal(numLeft, 0);
});

test('a tensor from outside that a scope returns is not freed, at once or later', () => {
  const numLeft = left(() => {
    const outside = one();
    assert.equal(
      scope(() => scope(() => outside)),
      outside,
    );
    assert.equal(outside.sum().item(), 6);
  });
  assert.equal(numLeft, 2);
});

test('an error inside a scope frees its tensors and closes it', () => {
  const numLeft = left(() => {
    assert.throws(
      () =>
        scope(() => {
          one();
          scope(() => {
            one();
            throw new RangeError('mine');
          });
        }),
      /mine/,
    );
  });
  assert.equal(numLeft, 0);
  const after = one();
  assert.equal(after.sum().item(), 6);
  after.free();
});

test('an asynchronous body is refused and its tensors are freed', () => {
  const numLeft = left(() => {
    assert.throws(() => scope(async () => one()), /^TypeError: scope: the body must not be asynchronous/);
  });
  assert.equal(numLeft, 0);
});

test('using frees at the end of its block, and freeing twice does nothing', () => {
  let tensor: Tensor | undefined;
  const numLeft = left(() => {
    {
      using inBlock = one();
      tensor = inBlock;
      assert.equal(inBlock.dtype, 'float32');
    }
    tensor.free();
    scope(() => {
      const freedBefore = one();
      freedBefore.free();
      freedBefore.free();
    });
  });
  assert.equal(numLeft, 0);
  assert.throws(() => tensor!.shape, UseAfterFreeError);
});

test('use after free is an error that names the operation, wherever the freed tensor stands', () => {
  scope(() => {
    const [freed, alive] = [one(), one()];
    freed.free();
    const numbers = {
      learningRate: 1,
      beta1: 0.9,
      beta2: 0.9,
      epsilon: 1,
      gradientScale: 1,
    };
    const own = { weightDecay: 0, correction1: 1, correction2: 1 };
    const uses: Record<string, () => unknown> = {
      add: () => alive.add(freed),
      linear: () => alive.linear(alive, freed),
      toArray: () => freed.toArray(),
      item: () => freed.item(),
      copy_: () => alive.copy_(freed),
      requiresGrad: () => freed.requiresGrad(),
      grad: () => alive.grad([alive, freed]),
      adamw_: () => adamw([{ parameter: alive, gradient: alive, moment: freed, variance: alive, ...own }], numbers),
    };
    for (const [operation, use] of Object.entries(uses)) {
      assert.throws(use, (error: Error) => {
        assert.ok(error instanceof UseAfterFreeError, `${operation}: ${error}`);
        assert.match(error.message, new RegExp(`^${operation}: .* freed before this use`));
        return true;
      });
    }
  });
});

test('a handle is never used twice: a freed tensor stays freed while new ones are made', () => {
  scope(() => {
    const freed = one();
    freed.free();
    const others = Array.from({ length: 100 }, one);
    assert.ok(others.every((other) => other.handle !== freed.handle));
    assert.throws(() => freed.item(), UseAfterFreeError);
  });
});

test('the number of live tensors is flat over many repetitions, gradients and errors among them', () => {
  scope(() => {
    const weight = Tensor.normal([5, 3], { std: 1, seed: 1 }).requiresGrad();
    const repeat = () =>
      scope(() => {
        const x = Tensor.full([4, 3], 0.5);
        const loss = x.linear(weight).gelu().dropout(0.1, 7).softmax(-1).norm();
        const [gradient] = loss.grad([weight]);
        assert.deepEqual(gradient!.topk(2).values.shape, [5, 2]);
        assert.throws(() => x.linear(x.transpose(0, 1)), /linear/);
      });
    repeat();
    assert.equal(
      left(() => {
        for (let i = 0; i < 50; i++) repeat();
      }),
      0,
    );
  });
});

test('noGrad records nothing, also when nested, and records again after it, also after an error', () => {
  scope(() => {
    const x = Tensor.full([2], 3).requiresGrad();
    const square = () => x.mul(x).sum();
    const unrecorded = noGrad(() => noGrad(square));
    assert.throws(() => unrecorded.grad([x]), /grad/);
    assert.throws(
      () =>
        noGrad(() => {
          throw new Error('inside');
        }),
      /inside/,
    );
    assert.deepEqual(Array.from(square().grad([x])[0]!.toFloats()), [6, 6]);
  });
});
