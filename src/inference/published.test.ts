// Prompts and masks with the tokenizers of models of today (tests/fixtures/published_tokenizers.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TextTokenizer } from '../data/index.ts';
import { familyOf, initialise } from '../model/index.ts';
import { noGrad, scope, Tensor } from '../tensor/index.ts';
import { tinyConfig } from '../train/tiny.fixture.ts';
import { fillMasks } from './fill.ts';
import { promptIds } from './generate.ts';
import type { TrainedModel } from './trained-model.ts';

const fixture = new URL('../../../tests/fixtures/hugging-face/published.json', import.meta.url);
const { lines, cases } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  lines: string[];
  cases: { name: string; files: { 'tokenizer.json': object }; ids: number[][] }[];
};
const tokenizerOf = (name: string) => {
  const { files } = cases.find((each) => each.name === name)!;
  return TextTokenizer.fromJson(JSON.stringify(files['tokenizer.json']));
};

test('a prompt has the ids of AutoTokenizer, and an empty one follows an end of text', async () => {
  const tokenizers = cases.map((each) => ({ ...each, tokenizer: tokenizerOf(each.name) }));
  for (const { name, ids, tokenizer } of tokenizers.filter((each) => each.tokenizer.kind === 'gpt2')) {
    for (const [i, line] of lines.entries()) {
      const expected = ids[i]!.length > 0 ? ids[i] : [tokenizer.sepId];
      assert.deepEqual(await promptIds(tokenizer, line), expected, `${name}: ${line}`);
    }
  }
});

test('a mask is filled with a token of bytes as its space says', async () => {
  const tokenizer = tokenizerOf('ModernBERT');
  const idOf = (token: string) => tokenizer.tokens(tokenizer.isSpecial.keys()).indexOf(token);
  const config = tinyConfig({
    model: { kind: 'modernbert', vocabSize: tokenizer.vocabSize },
    data: { objective: 'mlm' },
  });
  const weights = initialise(config.model, 1);
  const model = familyOf(config.model).create(config.model, weights, 'float32');
  const trained = { checkpoint: { path: 'x', config }, tokenizer, model, device: 'cpu' } as TrainedModel;
  const bias = weights.get('decoder.bias')!;
  const filled = async (text: string, token: string) => {
    const values = new Float32Array(tokenizer.vocabSize);
    values[idOf(token)] = 100;
    scope(() => noGrad(() => bias.copy_(Tensor.from(values, [values.length]))));
    return fillMasks(trained, text, 1);
  };
  const begun = await filled('ab [MASK] a.', '\u0120ab');
  assert.deepEqual([begun.text, begun.masks[0]![0]!.token], ['ab ab a.', ' ab']);
  assert.equal(begun.masks[0]![0]!.piece, ' ab'); // the former name, for one release
  assert.equal((await filled('ab [MASK] a.', 'b')).text, 'abb a.');
  assert.equal((await filled('[MASK] a [MASK].', '\u0120ab')).text, 'ab a ab.');
  // [CLS], and [MASK] with the space before it in it.
  assert.equal(
    begun.tokens,
    1 + (await tokenizer.encode('ab')).length + 1 + (await tokenizer.encode(' a.')).length + 1,
  );
});
