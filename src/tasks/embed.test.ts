import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { untrained } from '../checkpoints/untrained.fixture.ts';
import { wordTokenizer } from '../data/fixtures.ts';
import { ConfigError } from '../errors/index.ts';
import { tinyConfig } from '../train/tiny.fixture.ts';
import { type EmbedOptions, openEmbedder } from './embed.ts';
import { openPredictor } from './predict.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-embed-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const tokenizer = wordTokenizer(50);
const config = tinyConfig({ model: { vocabSize: tokenizer.vocabSize } });
const checkpoint = untrained(join(folder, 'run'), config, tokenizer.json);
const shared = { warn: () => {}, device: 'cpu' } as const;
const refuses = (open: () => unknown, message: RegExp) =>
  assert.throws(open, (error) => error instanceof ConfigError && message.test(error.message), message.source);
const shortLengths = [0, 2, 3.5, Number.NaN];

test('vectors have at least one dimension, and texts room for a token', async () => {
  const open = (options: Partial<EmbedOptions>) => openEmbedder(checkpoint, { ...shared, ...options });
  for (const dimensions of [0, -3, 1.5, Number.NaN])
    refuses(() => open({ dimensions }), new RegExp(`^--dimensions ${dimensions}: not an integer ≥ 1$`));
  refuses(() => open({ dimensions: config.model.hiddenSize + 1 }), /give \d+ or fewer$/);
  for (const maxLength of shortLengths)
    refuses(() => open({ maxLength }), new RegExp(`^maxLength: ${maxLength} is not an integer ≥ 3`));
  using embedder = open({ dimensions: 2, maxLength: 3 });
  const [one, longer, other] = await embedder.embed(['w1', 'w1 w2', 'w3']);
  assert.equal(one!.length, 2);
  assert.deepEqual(one, longer);
  assert.notDeepEqual(one, other);
});

test('a predictor reads at least one token of a text', () => {
  const tuned = { ...checkpoint, head: { kind: 'single-label', labels: ['a', 'b'] } } as const;
  for (const maxLength of shortLengths)
    refuses(() => openPredictor(tuned, { ...shared, maxLength }), /^maxLength: \S+ is not an integer ≥ 3/);
});
