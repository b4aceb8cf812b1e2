import { z } from 'zod';
import { count, key, namesOf, rate } from '../keys/index.ts';
import { families } from './families.ts';

/** Sizes of Google's published BERT models; the other sizes follow from `hiddenSize`. */
export const presets = {
  'bert-tiny': { layers: 2, hiddenSize: 128 },
  'bert-mini': { layers: 4, hiddenSize: 256 },
  'bert-small': { layers: 4, hiddenSize: 512 },
  'bert-medium': { layers: 8, hiddenSize: 512 },
  'bert-base': { layers: 12, hiddenSize: 768 },
  'bert-large': { layers: 24, hiddenSize: 1024 },
} as const;

/** The `model` section of a configuration. */
export const modelSection = z
  .strictObject({
    preset: key(z.enum(namesOf(presets)).optional(), 'nothing', {
      description: 'A published model whose sizes are used; a size given beside it wins.',
      derived: 'none: `layers` and `hiddenSize` are needed then',
    }),
    kind: key(
      z.enum(namesOf(families)).default('bert'),
      'numbers',
      'The family of models: `bert` reads both ways and fills gaps, `gpt2` reads from left to right and writes on.',
    ),
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
      derived: '4 × `hiddenSize`',
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
    activation: key(z.enum(['gelu', 'gelu_new']).optional(), 'numbers', {
      description: 'The activation of the feed-forward layer: GELU, or its approximation by tanh (`gelu_new`).',
      derived: "the family's: `gelu` of `bert`, `gelu_new` of `gpt2`",
    }),
    layerNormEpsilon: key(z.number().gt(0).optional(), 'numbers', {
      description: 'Added to the variance in layer norms.',
      derived: "the family's: 1e-12 of `bert`, 1e-5 of `gpt2`",
    }),
    embeddingStd: key(
      z.number().gt(0).default(0.02),
      'numbers',
      "The standard deviation of the embeddings at the start; 0.02 is BERT's. With 0.1 a narrow PreLN model, of width 128 say, learns more than word frequencies much earlier.",
    ),
    dropout: key(rate().default(0.1), 'numbers', 'The probability that dropout zeroes a number of a hidden state.'),
    attentionDropout: key(rate().default(0.1), 'numbers', 'The probability that dropout zeroes an attention weight.'),
  })
  .describe('The model. Give a `preset`, or at least `layers` and `hiddenSize`.');

type Parsed = z.infer<typeof modelSection>;
type Derived = 'layers' | 'hiddenSize' | 'heads' | 'ffnSize' | 'activation' | 'layerNormEpsilon';

/** A complete `model` section. */
export type ModelSettings = Omit<Parsed, Derived> & { [Key in Derived]-?: NonNullable<Parsed[Key]> };
