import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { untrained } from '../checkpoints/untrained.fixture.ts';
import { wordTokenizer } from '../data/fixtures.ts';
import { familyOf, type Head, initialiseParameters, parameterSpecs } from '../model/index.ts';
import { noGrad, scope, Tensor } from '../tensor/index.ts';
import { tinyConfig } from '../train/tiny.fixture.ts';
import { loadTrained } from './trained.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-trained-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const tokenizer = wordTokenizer(50);
const sizes = { vocabSize: tokenizer.vocabSize };

test('a model is used in float32, and in the precision of its training where that is asked for', () => {
  const config = tinyConfig({ model: sizes, train: { precision: 'bf16' } });
  const checkpoint = untrained(join(folder, 'bf16'), config, tokenizer.json);
  for (const [asTrained, dtype] of [
    [false, 'float32'],
    [true, 'bfloat16'],
  ] as const) {
    using trained = loadTrained(checkpoint, { device: 'cpu', asTrained });
    assert.equal(trained.model.dtype, dtype);
  }
});

test('a head is not rounded to the bfloat16 of its model', () => {
  const head: Head = { kind: 'regression', labels: ['score'] };
  for (const kind of ['bert', 'modernbert'] as const) {
    const { model: config } = tinyConfig({ model: { ...sizes, kind, dropout: 0 }, data: { objective: 'mlm' } });
    scope(() =>
      noGrad(() => {
        const weights = initialiseParameters(parameterSpecs(config, head), 1, 'cpu');
        const model = familyOf(config).create(config, weights, 'bfloat16');
        const hidden = Tensor.normal([64, 3, config.hiddenSize], { std: 1, seed: 2 });
        const values = model.classLogits!(hidden, new Array<number>(64).fill(3)).toFloats();
        const rounded = Tensor.from(values, [64]).to('bfloat16').to('float32').toFloats();
        assert.notDeepEqual(values, rounded, kind);
      }),
    );
  }
});
