import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { wordTokenizer } from '../data/fixtures.ts';
import { familyOf, initialiseParameters, parameterSpecs, plainEmbedding } from '../model/index.ts';
import { globalNorm } from '../optimizers/index.ts';
import { liveTensors, noGrad, scope, setNumThreads } from '../tensor/index.ts';
import { dropoutSeeds } from '../train/index.ts';
import { type Learner, lossAndGradients } from './learner.ts';
import { pairKind } from './pairs/kind.ts';
import { tagKind } from './tags/kind.ts';
import type { Encoded, Kind } from './task.ts';

setNumThreads(1); // these models are too small for two
const tokenizer = wordTokenizer(60);
const words = (from: number, count: number) => Array.from({ length: count }, (_, i) => `w${(from + i) % 60}`);
const { model: config } = loadConfig({
  overrides: {
    model: { kind: 'modernbert', layers: 2, hiddenSize: 32, heads: 2, vocabSize: tokenizer.vocabSize, dropout: 0.2 },
    data: { objective: 'mlm' },
    train: { steps: 1 },
  },
}).config;

const pairs = pairKind(plainEmbedding, { temperature: 0.5, isScored: false });
const tags = tagKind(['O', 'B-X']);
const examples: Record<string, [Kind, Promise<Encoded[]>]> = {
  pairs: [
    pairs,
    pairs.encode(
      Array.from({ length: 7 }, (_, i) => ({ texts: [words(5 * i, 2 + i).join(' '), words(5 * i + 1, 3).join(' ')] })),
      tokenizer,
      32,
    ),
  ],
  tags: [
    tags,
    tags.encode(
      Array.from({ length: 7 }, (_, i) => {
        const own = words(5 * i, 1 + i);
        return { form: 'columns' as const, words: own, tags: own.map((_, k) => k % 2) };
      }),
      tokenizer,
      32,
    ),
  ],
};

for (const [name, [kind, encoded]] of Object.entries(examples)) {
  for (const microBatchSize of [100, 3]) {
    test(`${name}, ${microBatchSize} at once: the gradient is that of the loss, dropout masks included`, async () => {
      const batch = await encoded;
      const before = liveTensors();
      scope(() => {
        const weights = initialiseParameters(parameterSpecs(config, kind.head), 1, 'cpu');
        for (const weight of weights.values()) weight.requiresGrad();
        const model = familyOf(config).create(config, weights);
        const learner: Learner = { model, kind, padId: tokenizer.padId, device: 'cpu', microBatchSize };
        const run = () => lossAndGradients(learner, batch, weights, (part) => dropoutSeeds(1, 0, part));
        const { gradients } = run();
        const norm = globalNorm(gradients.values());
        // Along the gradient the loss rises by its norm for each unit of length.
        const move = (length: number) =>
          noGrad(() => {
            for (const [key, gradient] of gradients) weights.get(key)!.add_(gradient, length / norm);
          });
        const h = 5e-3;
        move(h);
        const above = run().loss;
        move(-2 * h);
        const slope = (above - run().loss) / (2 * h);
        assert.ok(Math.abs(slope - norm) < 0.01 * norm, `${slope} by differences, ${norm}`);
      });
      assert.equal(liveTensors(), before);
    });
  }
}
