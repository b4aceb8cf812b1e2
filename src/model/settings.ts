import { z } from 'zod';
import { count, key, namesOf, rate } from '../keys/index.ts';
import { families } from './families.ts';
import type { ModelConfig } from './parameters.ts';

/** What a preset says of a model. */
type Preset = Pick<ModelConfig, 'kind' | 'layers' | 'hiddenSize'> & Partial<ModelConfig>;

/** Published models; the sizes that are not here follow from `hiddenSize`, by the family. */
export const presets = {
  // Weller et al. 2025 (arXiv 2507.11412), table 1; ModernBERT's own is answerdotai/ModernBERT-base
  'ettin-17m': { kind: 'modernbert', layers: 7, hiddenSize: 256 },
  'ettin-32m': { kind: 'modernbert', layers: 10, hiddenSize: 384 },
  'ettin-68m': { kind: 'modernbert', layers: 19, hiddenSize: 512 },
  'modernbert-base': { kind: 'modernbert', layers: 22, hiddenSize: 768 },
  // HuggingFaceTB/SmolLM2-135M; llama-mini is its small sister here
  'llama-mini': { kind: 'llama', layers: 12, hiddenSize: 384, heads: 6, keyValueHeads: 2 },
  'smollm2-135m': {
    kind: 'llama',
    layers: 30,
    hiddenSize: 576,
    heads: 9,
    keyValueHeads: 3,
    ropeTheta: 100_000,
  },
  // Turc et al. 2019 (arXiv 1908.08962)
  'bert-tiny': { kind: 'bert', layers: 2, hiddenSize: 128 },
  'bert-mini': { kind: 'bert', layers: 4, hiddenSize: 256 },
  'bert-small': { kind: 'bert', layers: 4, hiddenSize: 512 },
  'bert-medium': { kind: 'bert', layers: 8, hiddenSize: 512 },
  'bert-base': { kind: 'bert', layers: 12, hiddenSize: 768 },
  'bert-large': { kind: 'bert', layers: 24, hiddenSize: 1024 },
} as const satisfies Record<string, Preset>;

const ropeScaling = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('linear'), factor: z.number().gt(0) }),
  z.strictObject({
    type: z.literal('llama3'),
    factor: z.number().gt(0),
    lowFrequency: z.number().gt(0),
    highFrequency: z.number().gt(0),
    originalPositions: z.number().gt(0),
  }),
]);

/** The `model` section of a configuration. */
export const modelSection = z
  .strictObject({
    preset: key(z.enum(namesOf(presets)).optional(), 'nothing', {
      description: 'A published model whose sizes are used; a size given beside it wins.',
      derived: 'none: `layers` and `hiddenSize` are needed then',
    }),
    kind: key(z.enum(namesOf(families)).optional(), 'numbers', {
      description:
        'The family of models: `modernbert` and `bert` read both ways and fill gaps, `llama` and `gpt2` read from left to right and continue a prompt.',
      derived: "the preset's, else `bert`",
    }),
    layers: key(count().optional(), 'numbers', {
      description: 'The number of Transformer blocks.',
      derived: "the preset's",
      advice: 'give it, or a preset such as model.preset: bert-mini',
    }),
    hiddenSize: key(count().optional(), 'numbers', {
      description: 'The model width: numbers that stand for one token between blocks.',
      derived: "the preset's",
      advice: 'give it, or a preset such as model.preset: bert-mini',
    }),
    heads: key(count().optional(), 'numbers', {
      description: 'The number of attention heads; it divides `hiddenSize`.',
      derived: '`hiddenSize` / 64',
    }),
    ffnSize: key(count().optional(), 'numbers', {
      description: 'The width of the feed-forward layer.',
      derived: "the family's: 4 × `hiddenSize` of `bert` and `gpt2`, 1.5 × of `modernbert`, 8/3 × of `llama`",
    }),
    vocabSize: key(z.int().min(8).default(30522), 'numbers', 'The number of pieces in the vocabulary.'),
    maxPositions: key(
      z.int().min(8).default(512),
      'numbers',
      'The longest sequence that the model has positions for, in tokens.',
    ),
    norm: key(
      z.enum(['pre', 'post']).default('pre'),
      'numbers',
      'Where a block normalises: `pre`, before attention and feed-forward (needed for a high learning rate and for dropping blocks), or `post`, after the residual sum as in the original BERT.',
    ),
    activation: key(z.enum(['gelu', 'gelu_new', 'silu']).optional(), 'numbers', {
      description:
        'The activation of the feed-forward layer: GELU, its approximation by tanh (`gelu_new`), or SiLU. `modernbert` and `llama` gate with it.',
      derived: "the family's: `gelu` of `modernbert` and `bert`, `silu` of `llama`, `gelu_new` of `gpt2`",
    }),
    layerNormEpsilon: key(z.number().gt(0).optional(), 'numbers', {
      description: 'Added to the variance in norms.',
      derived: "the family's: 1e-12 of `bert`, 1e-5 of the others",
    }),
    embeddingStd: key(
      z.number().gt(0).default(0.02),
      'numbers',
      "The standard deviation of the embeddings at the start; 0.02 is BERT's. With 0.1 a narrow PreLN model, of width 128 say, learns more than word frequencies much earlier.",
    ),
    dropout: key(rate().optional(), 'numbers', {
      description: 'The probability that dropout zeroes a number of a hidden state.',
      derived: "the family's: 0 of `modernbert` and `llama`, 0.1 of `bert` and `gpt2`",
    }),
    attentionDropout: key(rate().optional(), 'numbers', {
      description: 'The probability that dropout zeroes an attention weight.',
      derived: "the family's, as for `dropout`",
    }),
    keyValueHeads: key(count().optional(), 'numbers', {
      description: 'The heads of keys and values, each of which several heads of queries share: `llama`.',
      derived: '`heads`',
    }),
    headSize: key(count().optional(), 'numbers', {
      description: 'The size of an attention head: `llama`.',
      derived: '`hiddenSize` / `heads`',
    }),
    window: key(count().optional(), 'numbers', {
      description:
        'How many tokens around itself a token sees in a local block, half of them before and half behind it: `modernbert`.',
      derived: '128',
    }),
    globalBlocks: key(z.union([count(), z.array(z.int().min(0))]).optional(), 'numbers', {
      description:
        'Which blocks see the whole text: every n-th from the first on, or a list of block numbers from 0: `modernbert`.',
      typeName: 'integer ≥ 1, or list of integers',
      derived: '3',
    }),
    ropeTheta: key(z.number().gt(0).optional(), 'numbers', {
      description: 'The base of the rotary positions; of `modernbert`, in its global blocks.',
      derived: '160000 of `modernbert`, 10000 of `llama`',
    }),
    localRopeTheta: key(z.number().gt(0).optional(), 'numbers', {
      description: 'The base of the rotary positions in the local blocks of `modernbert`.',
      derived: '10000',
    }),
    ropeScaling: key(ropeScaling.optional(), 'numbers', {
      description:
        'How rotary positions are stretched for longer texts: `{type: linear, factor}`, or `{type: llama3, factor, lowFrequency, highFrequency, originalPositions}`.',
      typeName: 'mapping',
      derived: 'not at all',
    }),
    tied: key(z.boolean().optional(), 'numbers', {
      description: 'Whether the output layer of `llama` is its word embeddings.',
      derived: 'true',
    }),
    qkNorm: key(z.boolean().optional(), 'numbers', {
      description: "Whether each head's queries and keys go through an RMSNorm: with it `llama` is Qwen3.",
      derived: 'false',
    }),
    attentionBias: key(z.boolean().optional(), 'numbers', {
      description: 'Whether the attention layers of `llama` have biases.',
      derived: 'false',
    }),
  })
  .describe('The model. Give a `preset`, or at least `layers` and `hiddenSize`.');

type Parsed = z.infer<typeof modelSection>;
type Derived =
  | 'kind'
  | 'layers'
  | 'hiddenSize'
  | 'heads'
  | 'ffnSize'
  | 'activation'
  | 'layerNormEpsilon'
  | 'dropout'
  | 'attentionDropout';

/** A complete `model` section. */
export type ModelSettings = Omit<Parsed, Derived> & { [Key in Derived]-?: NonNullable<Parsed[Key]> };
