import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { liveTensors, noGrad, scope, Tensor } from '../tensor/index.ts';
import { KeyValueCache } from './cache.ts';
import { familyOf, initialise } from './families.ts';
import type { ModelSettings } from './settings.ts';

const sizes = { layers: 3, hiddenSize: 24, heads: 6, vocabSize: 300, maxPositions: 32 };
const models: Record<string, Partial<ModelSettings>> = {
  gpt2: { kind: 'gpt2' },
  llama: { kind: 'llama', keyValueHeads: 2, ropeScaling: { type: 'linear', factor: 2 } },
  qwen3: { kind: 'llama', keyValueHeads: 3, headSize: 8, qkNorm: true },
};

for (const [name, settings] of Object.entries(models)) {
  test(`${name}: text that is read in parts has the logits of text that is read in one go`, () => {
    scope(() =>
      noGrad(() => {
        const { model: config } = loadConfig({
          overrides: { model: { ...sizes, ...settings }, data: { sequenceLength: 16 }, train: { steps: 1 } },
        }).config;
        const model = familyOf(config).create(config, initialise(config, 3));
        const ids = Int32Array.from({ length: 11 }, (_, t) => (t * 37 + 5) % 300);
        const inputs = (part: Int32Array) => {
          const inputIds = Tensor.from(part, [1, part.length]);
          return { inputIds, tokenTypeIds: Tensor.zeros([1, part.length], { dtype: 'int32' }) };
        };
        const logits = (hidden: Tensor) => {
          const [, length] = hidden.shape as [number, number];
          const positions = Tensor.from(
            BigInt64Array.from({ length }, (_, t) => BigInt(t)),
            [length],
          );
          return [...model.tokenLogits(hidden, positions).toFloats()];
        };
        const expected = logits(model.encode(inputs(ids)));

        const cache = new KeyValueCache(config, { capacity: ids.length, dtype: 'float32', device: 'cpu' });
        const found: number[] = [];
        for (const length of [4, 1, 3, 1, 1, 1]) {
          const part = ids.subarray(cache.length, cache.length + length);
          found.push(...logits(model.encode({ ...inputs(part), cache })));
          cache.length += length;
        }
        assert.equal(found.length, expected.length);
        for (const [i, logit] of found.entries()) assert.ok(Math.abs(logit - expected[i]!) < 1e-5, `${i}`);
        assert.throws(
          () => model.encode({ ...inputs(ids.subarray(0, 1)), cache }),
          /the cache has room for 11 tokens, not for 12/,
        );
      }),
    );
  });
}

test('a cache gives back its tensors', () => {
  const before = liveTensors();
  const { model } = loadConfig({
    overrides: { model: { ...sizes, kind: 'llama' }, data: { sequenceLength: 16 }, train: { steps: 1 } },
  }).config;
  const cache = new KeyValueCache(model, { capacity: 4, dtype: 'float32', device: 'cpu' });
  assert.equal(liveTensors(), before + 6);
  cache[Symbol.dispose]();
  assert.equal(liveTensors(), before);
});
