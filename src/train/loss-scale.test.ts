import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from '../checkpoints/index.ts';
import { dtypeOn } from '../tensor/index.ts';
import { initialLossScale, nextLossScale } from './loss-scale.ts';
import { progressAfter } from './step-metrics.ts';

test('the loss scale halves with each step that overflows, and no lower than 1', () => {
  let state = initialLossScale;
  assert.equal(state.scale, 65_536);
  const scales = Array.from({ length: 20 }, () => {
    state = nextLossScale(state, false);
    return state.scale;
  });
  assert.deepEqual(scales.slice(0, 3), [32_768, 16_384, 8_192]);
  assert.deepEqual(scales.slice(15), [1, 1, 1, 1, 1]);
});

test('2,000 good steps in a row double it, up to 2^24, and one that overflows makes them begin anew', () => {
  const after = (steps: number, from = initialLossScale) =>
    Array.from({ length: steps }).reduce<typeof from>((state) => nextLossScale(state, true), from);
  assert.deepEqual(after(1999), { scale: 65_536, goodSteps: 1999 });
  assert.deepEqual(after(2000), { scale: 131_072, goodSteps: 0 });
  const overflown = nextLossScale(after(1999), false);
  assert.equal(after(1999, overflown).scale, 32_768);
  assert.equal(after(2000, overflown).scale, 65_536);
  assert.equal(after(40_000).scale, 2 ** 24);
});

test('a model that was trained in fp16 is float32 on the CPU, which does not multiply float16', () => {
  assert.equal(dtypeOn('cpu', 'fp16'), 'float32');
  assert.equal(dtypeOn('cuda', 'fp16'), 'float16');
  assert.equal(dtypeOn('cpu', 'bf16'), 'bfloat16');
});

test('in fp16 a step that overflows halves the scale and is not counted as one that failed', () => {
  const at = (numbers: Partial<Progress>): Progress => {
    return { step: 7, samples: 28, tokens: 200, nonFiniteSteps: 1, textHash: 'hash', ...numbers };
  };
  const lossScale = { scale: 64, goodSteps: 3 };
  const step = (progress: Progress, applied: boolean, loss: number) =>
    progressAfter(progress, { applied, loss, tokens: 30 }, 4);
  const done = { step: 8, samples: 32, tokens: 230 };
  assert.deepEqual(step(at({}), true, 2), at({ ...done, nonFiniteSteps: 0 }));
  assert.deepEqual(step(at({}), false, 2), at({ ...done, nonFiniteSteps: 2 }));
  const halved = { scale: 32, goodSteps: 0 };
  assert.deepEqual(step(at({ lossScale }), false, 2), at({ ...done, lossScale: halved }));
  assert.deepEqual(
    step(at({ lossScale }), true, 2),
    at({ ...done, nonFiniteSteps: 0, lossScale: { scale: 64, goodSteps: 4 } }),
  );
  // A loss that is not finite, or a gradient that is not with a scale of 1, is not the scale's fault.
  assert.equal(step(at({ lossScale }), false, Number.NaN).nonFiniteSteps, 2);
  assert.equal(step(at({ lossScale: { scale: 1, goodSteps: 0 } }), false, 2).nonFiniteSteps, 2);
});
