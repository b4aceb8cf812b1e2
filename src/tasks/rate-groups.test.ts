import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { type Head, parameterSpecs } from '../model/index.ts';
import { rateGroups } from './rate-groups.ts';

const head: Head = { kind: 'single-label', labels: ['a', 'b'] };

for (const kind of ['modernbert', 'bert'] as const) {
  const { model } = loadConfig({
    overrides: {
      model: { kind, layers: 3, hiddenSize: 8, heads: 2, vocabSize: 300 },
      data: { objective: 'mlm' },
      train: { steps: 1 },
    },
  }).config;
  const specs = parameterSpecs(model, head);

  test(`${kind}: each parameter has one learning rate, lower the deeper it lies under the head`, () => {
    const groups = rateGroups(model, specs, { layerDecay: 0.5, frozenBlocks: 0 });
    assert.deepEqual(
      groups.map(({ share }) => share),
      [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1],
    );
    const names = groups.map((group) => group.specs.map(({ name }) => name));
    assert.deepEqual(names.flat().sort(), specs.map(({ name }) => name).sort());
    assert.ok(names[0]!.length > 0 && names[0]!.every((name) => name.includes('embeddings')));
    assert.ok(names[4]!.includes('classifier.weight'));
    for (const [l, own] of names.slice(1, 4).entries())
      assert.ok(
        own.every((name) => name.includes(`.${l}.`)),
        own.join(),
      );
  });

  test(`${kind}: frozen blocks and the embeddings are not trained`, () => {
    const groups = rateGroups(model, specs, { layerDecay: 1, frozenBlocks: 2 });
    const names = groups.flatMap((group) => group.specs.map(({ name }) => name));
    assert.ok(names.some((name) => name.includes('.2.')) && names.includes('classifier.bias'));
    assert.ok(!names.some((name) => /embeddings|\.[01]\./.test(name)), names.join());
    assert.throws(
      () => rateGroups(model, specs, { layerDecay: 1, frozenBlocks: 4 }),
      /--freeze 4: the model has 3 blocks/,
    );
  });
}
