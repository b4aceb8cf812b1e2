import { z } from 'zod';
import { count, key, namesOf, rate } from '../keys/index.ts';
import { families } from './families.ts';
import type { ModelConfig } from './parameters.ts';

/** The settings of a preset. */
type Preset = Pick<ModelConfig, 'kind' | 'layers' | 'hiddenSize'> & Partial<ModelConfig>;

/** Published models; sizes that are not listed follow from `hiddenSize`, by the family. */
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
      description: 'A published model whose sizes are used; a size that you set yourself takes precedence.',
      derived: 'none: set `layers` and `hiddenSize` instead',
    }),
    kind: key(z.enum(namesOf(families)).optional(), 'numbers', {
      description:
        'The family of models: `modernbert` and `bert` are bidirectional and fill masks, `llama` and `gpt2` are causal and continue a prompt.',
      derived: "the preset's, or `bert`",
    }),
    layers: key(count().optional(), 'numbers', {
      description: 'The number of Transformer blocks.',
      derived: "the preset's",
      advice: 'give it, or a preset such as model.preset: bert-mini',
    }),
    hiddenSize: key(count().optional(), 'numbers', {
      description: 'The hidden size: the width of the residual stream.',
      derived: "the preset's",
      advice: 'give it, or a preset such as model.preset: bert-mini',
    }),
    heads: key(count().optional(), 'numbers', {
      description: 'The number of attention heads; it must divide `hiddenSize`.',
      derived: '`hiddenSize` / 64',
    }),
    ffnSize: key(count().optional(), 'numbers', {
      description: 'The size of the feed-forward layer.',
      derived: "the family's: 4 × `hiddenSize` for `bert` and `gpt2`, 1.5 × for `modernbert`, 8/3 × for `llama`",
    }),
    vocabSize: key(z.int().min(8).default(30522), 'numbers', 'The number of tokens in the vocabulary.'),
    maxPositions: key(
      z.int().min(8).default(512),
      'numbers',
      'The longest sequence that the model can read, in tokens.',
    ),
    norm: key(
      z.enum(['pre', 'post']).default('pre'),
      'numbers',
      'Where a block normalises: `pre`, before attention and feed-forward (needed for a high learning rate and for dropping blocks), or `post`, after the residual sum as in the original BERT.',
    ),
    activation: key(z.enum(['gelu', 'gelu_new', 'silu']).optional(), 'numbers', {
      description:
        'The activation of the feed-forward layer: GELU, its approximation by tanh (`gelu_new`), or SiLU. `modernbert` and `llama` gate with it.',
      derived: "the family's: `gelu` for `modernbert` and `bert`, `silu` for `llama`, `gelu_new` for `gpt2`",
    }),
    layerNormEpsilon: key(z.number().gt(0).optional(), 'numbers', {
      description: 'The ε added to the variance in norms.',
      derived: "the family's: 1e-12 for `bert`, 1e-5 for the others",
    }),
    embeddingStd: key(
      z.number().gt(0).default(0.02),
      'numbers',
      "The initial standard deviation of the embeddings; 0.02 is BERT's. With 0.1, a narrow PreLN model (hidden size 128, for example) learns more than word frequencies much earlier.",
    ),
    dropout: key(rate().optional(), 'numbers', {
      description: 'The dropout probability of hidden states.',
      derived: "the family's: 0 for `modernbert` and `llama`, 0.1 for `bert` and `gpt2`",
    }),
    attentionDropout: key(rate().optional(), 'numbers', {
      description: 'The dropout probability of attention weights.',
      derived: "the family's, as for `dropout`",
    }),
    keyValueHeads: key(count().optional(), 'numbers', {
      description: 'The number of key and value heads (grouped-query attention); only for `llama`.',
      derived: '`heads`',
    }),
    headSize: key(count().optional(), 'numbers', {
      description: 'The size of an attention head; only for `llama`.',
      derived: '`hiddenSize` / `heads`',
    }),
    window: key(count().optional(), 'numbers', {
      description:
        'The attention window of local blocks: how many tokens around itself a token sees, half of them before and half after it; only for `modernbert`.',
      derived: '128',
    }),
    globalBlocks: key(z.union([count(), z.array(z.int().min(0))]).optional(), 'numbers', {
      description:
        'Which blocks have global attention: every n-th from the first on, or a list of block numbers from 0; only for `modernbert`.',
      typeName: 'integer ≥ 1, or list of integers',
      derived: '3',
    }),
    ropeTheta: key(z.number().gt(0).optional(), 'numbers', {
      description: 'The base (RoPE theta) of the rotary positions; for `modernbert`, in its global blocks.',
      derived: '160000 for `modernbert`, 10000 for `llama`',
    }),
    localRopeTheta: key(z.number().gt(0).optional(), 'numbers', {
      description: 'The base (RoPE theta) of the rotary positions in the local blocks of `modernbert`.',
      derived: '10000',
    }),
    ropeScaling: key(ropeScaling.optional(), 'numbers', {
      description:
        'How rotary positions are scaled for longer texts: `{type: linear, factor}`, or `{type: llama3, factor, lowFrequency, highFrequency, originalPositions}`.',
      typeName: 'mapping',
      derived: 'not at all',
    }),
    classifierPooling: key(z.enum(['mean', 'cls']).optional(), 'numbers', {
      description:
        'What a fine-tuned classifier of texts reads: `mean`, the mean of the hidden states of all tokens, or `cls`, that of the first token; only for `modernbert`.',
      derived: '`mean`',
    }),
    tied: key(z.boolean().optional(), 'numbers', {
      description: 'Whether the output layer of `llama` is tied to its word embeddings.',
      derived: 'true',
    }),
    qkNorm: key(z.boolean().optional(), 'numbers', {
      description:
        'Whether the queries and keys of each head are normalised by an RMSNorm, which makes a `llama` a Qwen3.',
      derived: 'false',
    }),
    attentionBias: key(z.boolean().optional(), 'numbers', {
      description: 'Whether the attention layers of `llama` have biases.',
      derived: 'false',
    }),
  })
  .describe('The model. Set a `preset`, or at least `layers` and `hiddenSize`.');

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
