import { z } from 'zod';
import { defaultCache } from '../data/cache.ts';
import { deduplications, objectives, packings } from '../data/index.ts';
import { depthSection } from '../depth/index.ts';
import { count, key, namesOf, phased, rate } from '../keys/index.ts';
import { type ModelSettings, modelSection } from '../model/index.ts';
import { decayShapes, optimizers, schedules, warmupShapes } from '../optimizers/index.ts';

/** One text of a mixture, with its weight. */
const weightedText = z.strictObject({
  path: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  weight: z.number(),
});

const data = z
  .strictObject({
    train: key(z.array(z.union([z.string().min(1), weightedText])).default([]), 'nothing', {
      description:
        'The training text: files, folders, glob patterns, data sets on the Hugging Face Hub (`hf:datasets/ORG/NAME:train`) or web addresses. `[{ path: books, weight: 2 }, { path: [wiki, news], weight: 1 }]` mixes texts: two of every three sequences come from `books`. `--data` on the command line replaces this list.',
      typeName: 'list of strings, or of { path, weight }',
      advice:
        'write [my/texts], or [{ path: books, weight: 2 }, { path: wiki, weight: 1 }] with a number for each weight',
    }),
    valid: key(
      z.array(z.string()).default([]),
      'nothing',
      'The held-out text, in the same forms as `train`, without weights.',
    ),
    validFraction: key(
      z.number().gt(0).lt(1).default(0.05),
      'texts',
      'The fraction of the training documents that is held out if `valid` is empty.',
    ),
    exclude: key(z.array(z.string()).default([]), 'nothing', 'Glob patterns of files to exclude.'),
    textField: key(
      z.string().min(1).default('text'),
      'texts',
      'The field (JSON lines) or column (Parquet) that holds the text.',
    ),
    deduplicate: key(
      z.enum(deduplications).default('none'),
      'texts',
      'Whether documents that repeat an earlier one are dropped; held-out text counts as earlier. `exact` drops those with the same tokens; `near` also those that share most of their runs of five tokens (an estimated Jaccard similarity of 0.8 or more).',
    ),
    tokenizer: key(z.string().min(1).optional(), 'texts', {
      description: 'A `tokenizer.json` to use.',
      derived: 'trained on the training text',
    }),
    lowercase: key(z.boolean().default(true), 'texts', 'Whether a tokenizer trained by taper lower-cases the text.'),
    stripAccents: key(z.boolean().optional(), 'texts', {
      description:
        'Whether a tokenizer trained by taper strips accents, including the vowel signs of Hindi, Thai, Arabic and other scripts (Unicode category Mn).',
      derived: '`true` if `lowercase` is, and fewer than 2 letters in 1,000 have an accent, as in English',
    }),
    cache: key(
      z.string().min(1).default(defaultCache),
      'nothing',
      'The folder for token shards and downloads; it can be deleted at any time.',
    ),
    sequenceLength: key(phased(z.int().min(8)).default(128), 'numbers', {
      description:
        'The length of a training sequence, in tokens; at most `model.maxPositions`. `[[0, 64], [4000, 128]]` changes it at step 4,000; from then on the whole text is split into sequences of the new length.',
      typeName: 'integer ≥ 8, or [step, integer] pairs with ascending steps, the first 0',
    }),
    objective: key(z.enum(namesOf(objectives)).optional(), 'numbers', {
      description:
        'The training objective: `mlm`, predict masked tokens; `mlm+nsp`, as in BERT, also predict whether the second half follows the first; `clm`, as in GPT, predict each next token.',
      derived: '`mlm` for `modernbert`, `mlm+nsp` for `bert`, `clm` for `llama` and `gpt2`',
    }),
    maskRate: key(phased(z.number().gt(0).lt(1)).optional(), 'numbers', {
      description: 'The fraction of tokens to predict; `[[0, 0.3], [8000, 0.15]]` changes it at step 8,000.',
      typeName: 'number in (0, 1), or [step, number] pairs with ascending steps, the first 0',
      derived: '0.3 for `modernbert` (arXiv 2412.13663), 0.15 for `bert` (arXiv 1810.04805)',
    }),
    packing: key(
      z.enum(packings).default('none'),
      'numbers',
      'Whether documents that share a sequence of `mlm` or `clm` attend to each other. `none`: they do. `documents`: each attends only to its own tokens, its positions start at 0, and none is predicted from another.',
    ),
    wholeWord: key(z.boolean().default(false), 'numbers', 'Whether all tokens of a word are masked together.'),
  })
  .describe('The text and the training objective. Paths are relative to the working directory, not to this file.');

const train = z
  .strictObject({
    steps: key(count().optional(), 'numbers', {
      description: 'The number of optimizer steps, T in the schedules. Give either this or `epochs`.',
      derived: 'computed from `epochs`',
      advice:
        'set it in the file, or give --set train.steps=10000, or --set train.epochs=20 for 20 passes over the text',
    }),
    epochs: key(z.number().gt(0).optional(), 'numbers', {
      description:
        'The length of the run in passes over the training text, instead of `steps`: steps = ⌈epochs × sequences / `batchSize`⌉. Once the text is read, the run keeps the steps. An epoch of a mixture is as many sequences as all its texts have.',
      derived: 'none: `steps` is given',
    }),
    batchSize: key(phased(count()).default(32), 'numbers', {
      description: 'Sequences per optimizer step; `[[0, 32], [2000, 128]]` changes it at step 2,000.',
      typeName: 'integer ≥ 1, or [step, integer] pairs with ascending steps, the first 0',
    }),
    microBatchSize: key(count().optional(), 'numbers', {
      description:
        'Sequences per forward and backward pass, over all ranks; it must divide `batchSize`. A smaller one needs less memory. Gates are drawn once per pass.',
      derived: '`batchSize`, or the greatest common divisor of the sizes in its list',
    }),
    optimizer: key(
      z.enum(namesOf(optimizers)).default('adamw'),
      'numbers',
      `The optimizer: ${Object.entries(optimizers)
        .map(([name, { title, purpose }]) => `\`${name}\` (${title}), ${purpose}`)
        .join('; ')}.`,
    ),
    biasCorrection: key(
      z.boolean().default(true),
      'numbers',
      "Whether Adam's bias correction is applied; the paper's recipe turns it off.",
    ),
    betas: key(z.tuple([rate(), rate()]).optional(), 'numbers', {
      description: "Adam's β₁ and β₂.",
      derived:
        '[0.9, 0.98] for `modernbert` (arXiv 2412.13663), [0.9, 0.95] for `llama` (arXiv 2302.13971), [0.9, 0.999] for `bert` and `gpt2` (arXiv 1810.04805)',
      typeName: 'pair of numbers in [0, 1)',
    }),
    momentum: key(rate().default(0.95), 'numbers', "Muon's momentum, β."),
    muonScale: key(
      z.number().gt(0).default(1.6),
      'numbers',
      "The size of Muon's steps: s in s·√max(rows, columns) times the learning rate. 0.2 (arXiv 2502.16982) makes them as large as AdamW's; the recommended configurations use 0.8 with a rate of 2e-3 (docs/log.md).",
    ),
    epsilon: key(z.number().gt(0).default(1e-6), 'numbers', "Adam's ε, added to the square root of the second moment."),
    weightDecay: key(
      z.number().gte(0).default(0.01),
      'numbers',
      'Decoupled weight decay, multiplied by the learning rate; not applied to biases and norms.',
    ),
    clipNorm: key(
      z.number().gte(0).default(1),
      'numbers',
      'The largest global norm of the gradient; larger gradients are scaled down to it. 0 turns clipping off.',
    ),
    peakLearningRate: key(z.number().gt(0).default(1e-3), 'numbers', 'The learning rate at the end of the warm-up.'),
    warmupRatio: key(
      rate().default(0.02),
      'numbers',
      'The fraction of `steps` over which the learning rate rises from 0.',
    ),
    warmupShape: key(
      z.enum(namesOf(warmupShapes)).default('linear'),
      'numbers',
      "How the learning rate rises over W steps of warm-up: `linear`, peak·(t + 1)/W, or `log`, peak·log(t + 1)/log W, which is DeepSpeed's default.",
    ),
    outputBias: key(
      z.enum(['zeros', 'frequencies']).default('zeros'),
      'numbers',
      "The initial bias of the output layer of a new BERT: `zeros`, as in BERT, or `frequencies`, the logarithm of each token's share of the training text, ln((n + 1)/(N + V)). With `frequencies`, training starts from the unigram loss, and the blocks need not learn token frequencies.",
    ),
    schedule: key(
      z.enum(namesOf(schedules)).default('linear'),
      'numbers',
      "The learning rate after the warm-up: `linear` and `cosine` decay until the end of the run, `wsd` (warm-up, stable, decay) only in its last part, `exponential` by a factor of 0.99 every 1,000 steps (the paper's), `constant` never.",
    ),
    finalLearningRate: key(z.number().gte(0).default(0), 'numbers', 'The learning rate that the schedule decays to.'),
    decayRatio: key(
      rate().default(0.2),
      'numbers',
      'The last fraction of `steps`, over which `schedule: wsd` decays (arXiv 2405.18392).',
    ),
    decayShape: key(
      z.enum(namesOf(decayShapes)).default('1-sqrt'),
      'numbers',
      'How `schedule: wsd` decays, where u is the completed fraction of the decay: `linear`, 1 − u, or `1-sqrt`, 1 − √u (arXiv 2405.18392).',
    ),
    precision: key(z.enum(['fp32', 'bf16', 'fp16']).optional(), 'numbers', {
      description:
        'The precision of matrix products; master weights are always float32. `fp16` needs a GPU and uses a dynamic loss scale.',
      derived: '`bf16` on a GPU or a CPU that supports it (AVX-512 BF16, AMX), else `fp32`',
    }),
    seed: key(
      z.int().min(0).default(1),
      'numbers',
      'The seed for initialisation, data order, masks, dropout and gates.',
    ),
    from: key(z.string().min(1).optional(), 'start', {
      description:
        'A checkpoint whose weights and tokenizer the run starts from. Its sizes must match `model`; `--from` on the command line sets `model` as well.',
      derived: 'none: weights are initialised from the seed',
    }),
    decayFrom: key(z.string().min(1).optional(), 'start', {
      description:
        'A checkpoint of another run that this run continues, with its optimizer state and its position in the text, while the learning rate decays; `--decay-from` on the command line writes such a configuration.',
      derived: 'none',
    }),
    evalEvery: key(z.int().min(0).optional(), 'nothing', {
      description:
        'Steps between evaluations on held-out text; 0 evaluates only before the first step and after the last.',
      derived: 'a twentieth of `steps`',
    }),
    evalSamples: key(count().default(512), 'nothing', 'The maximum number of held-out sequences per evaluation.'),
    saveEvery: key(z.int().min(0).optional(), 'nothing', {
      description: 'Steps between checkpoints; 0 saves only after the last step.',
      derived: 'a tenth of `steps`',
    }),
    keepCheckpoints: key(count().default(3), 'nothing', 'The number of newest checkpoints to keep.'),
    shardOptimizer: key(
      z.boolean().default(false),
      'time',
      'Whether the optimizer state is sharded over the ranks by blocks (ZeRO-1), which saves memory.',
    ),
    peerTimeout: key(z.number().gt(0).default(300), 'nothing', {
      description:
        'Seconds that a rank waits for another rank that does not respond; must be longer than writing a checkpoint takes.',
    }),
    device: key(z.string().min(1).optional(), 'time', {
      description: 'The device to train on: `cpu`, `cuda`, `cuda:1`, `mps`.',
      derived: '`cuda` if there is an NVIDIA GPU and the addon was built for it, else `cpu`',
    }),
    tf32: key(
      z.boolean().default(false),
      'numbers',
      'Whether a GPU may use TF32 (a 10-bit mantissa) for float32 matrix products, which is several times faster.',
    ),
    threads: key(
      z.int().min(0).default(0),
      'time',
      'Threads for tensor work; 0 uses every CPU core available to the process.',
    ),
  })
  .describe('The optimizer, the learning rate and the run.');

/**
 * The schema of a config file, with defaults. Derived values are optional here; `loadConfig` fills them in and adds missing
 * sections.
 */
export const configSchema = z.strictObject({ model: modelSection, depth: depthSection, data, train });

export type SectionName = keyof typeof configSchema.shape;

/** A config file in which every section and key is optional: the form that flags and DeepSpeed files are translated to. */
export type PartialConfig = { [S in SectionName]?: Partial<z.input<(typeof configSchema)['shape'][S]>> };

/** A config file with its defaults, before values are derived. */
export type ParsedConfig = z.infer<typeof configSchema>;

type Given<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: NonNullable<T[P]> };

/** A complete configuration, as a run uses it and saves it in `config.json`. It is itself a valid config file. */
export interface Config {
  model: ModelSettings;
  depth: ParsedConfig['depth'];
  data: Given<ParsedConfig['data'], 'objective' | 'maskRate'>;
  train: Given<
    Omit<ParsedConfig['train'], 'epochs'>,
    'steps' | 'microBatchSize' | 'betas' | 'precision' | 'device' | 'evalEvery' | 'saveEvery'
  >;
}
