import { z } from 'zod';
import { defaultCache } from '../data/cache.ts';
import { deduplications, objectives, packings } from '../data/index.ts';
import { depthSection } from '../depth/index.ts';
import { count, key, namesOf, phased, rate } from '../keys/index.ts';
import { type ModelSettings, modelSection } from '../model/index.ts';
import { decayShapes, optimizers, schedules, warmupShapes } from '../optimizers/index.ts';

/** A text of a mixture. */
const weightedText = z.strictObject({
  path: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  weight: z.number(),
});

const data = z
  .strictObject({
    train: key(z.array(z.union([z.string().min(1), weightedText])).default([]), 'nothing', {
      description:
        'Files, folders or glob patterns of the training text, data sets on the Hugging Face Hub (`hf:datasets/ORG/NAME:train`), or addresses on the web. `[{ path: books, weight: 2 }, { path: [wiki, news], weight: 1 }]` mixes texts: two of every three sequences come from `books`. `--data` on the command line replaces it.',
      typeName: 'list of strings, or of { path, weight }',
      advice: 'write [my/texts], or [{ path: books, weight: 2 }, { path: wiki, weight: 1 }] with numbers as weights',
    }),
    valid: key(z.array(z.string()).default([]), 'nothing', 'The same for held-out text.'),
    validFraction: key(
      z.number().gt(0).lt(1).default(0.05),
      'texts',
      'The fraction of the training documents that is held out when `valid` is empty.',
    ),
    exclude: key(z.array(z.string()).default([]), 'nothing', 'Glob patterns of files to leave out.'),
    textField: key(
      z.string().min(1).default('text'),
      'texts',
      'The field of a JSON line, table row or Parquet row with the text.',
    ),
    deduplicate: key(
      z.enum(deduplications).default('none'),
      'texts',
      'Which documents are dropped because they repeat an earlier one (held-out text comes first): those with the same tokens (`exact`), or also those that share most of their runs of five tokens (`near`: an estimated Jaccard similarity of 0.8 or more).',
    ),
    tokenizer: key(z.string().min(1).optional(), 'texts', {
      description: 'A `tokenizer.json` to use.',
      derived: 'trained on the training text',
    }),
    lowercase: key(
      z.boolean().default(true),
      'texts',
      'Whether a tokenizer that is trained here lower-cases the text. That strips accents too, unless `stripAccents` is `false`.',
    ),
    stripAccents: key(z.boolean().optional(), 'texts', {
      description:
        'Whether a tokenizer that is trained here strips accents, and with them the vowel signs of Hindi, Thai, Arabic and other scripts (Unicode category Mn). `false` keeps them in lower-cased text.',
      derived: 'as `lowercase`',
    }),
    cache: key(
      z.string().min(1).default(defaultCache),
      'nothing',
      'The folder for token shards and downloads; it can be deleted at any time.',
    ),
    sequenceLength: key(phased(z.int().min(8)).default(128), 'numbers', {
      description:
        'The length of a training sequence, in tokens; at most `model.maxPositions`. `[[0, 64], [4000, 128]]` changes it at step 4,000; from then on the whole text is cut into longer sequences.',
      typeName: 'integer ≥ 8, or [step, integer] pairs with ascending steps, the first 0',
    }),
    objective: key(z.enum(namesOf(objectives)).optional(), 'numbers', {
      description:
        'What is learnt: masked tokens (`mlm`), and whether the second half follows the first (`nsp`), as in BERT; or each next token (`clm`), as in GPT.',
      derived: "the family's: `mlm` of `modernbert`, `mlm+nsp` of `bert`, `clm` of `llama` and `gpt2`",
    }),
    maskRate: key(phased(z.number().gt(0).lt(1)).optional(), 'numbers', {
      description:
        'The fraction of the tokens that is to be predicted; `[[0, 0.3], [8000, 0.15]]` changes it at step 8,000.',
      typeName: 'number in (0, 1), or [step, number] pairs with ascending steps, the first 0',
      derived: "the family's: 0.3 of `modernbert` (arXiv 2412.13663), 0.15 of `bert` (arXiv 1810.04805)",
    }),
    packing: key(
      z.enum(packings).default('none'),
      'numbers',
      'Whether the documents that share a sequence of `mlm` or `clm` see each other: all of them (`none`), or each its own tokens only (`documents`), with positions from 0 and no prediction of one from another.',
    ),
    wholeWord: key(z.boolean().default(false), 'numbers', 'Whether all pieces of a word are masked together.'),
  })
  .describe('The text, and what is learnt from it. Paths are relative to the working directory, not to this file.');

const train = z
  .strictObject({
    steps: key(count(), 'numbers', {
      description: 'The number of optimizer steps: T of the schedules.',
      advice: 'write it in the file, or give --set train.steps=10000',
    }),
    batchSize: key(phased(count()).default(32), 'numbers', {
      description: 'Sequences in an optimizer step; `[[0, 32], [2000, 128]]` changes it at step 2,000.',
      typeName: 'integer ≥ 1, or [step, integer] pairs with ascending steps, the first 0',
    }),
    microBatchSize: key(count().optional(), 'numbers', {
      description:
        'Sequences in one forward and backward pass, on all ranks together; it divides `batchSize`. Fewer need less memory, and gates are drawn once for each pass.',
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
      "Whether the moments' start at zero is corrected for; the paper's recipe turns it off.",
    ),
    betas: key(z.tuple([rate(), rate()]).optional(), 'numbers', {
      description: "Adam's β₁ and β₂.",
      derived:
        "the family's: [0.9, 0.98] of `modernbert` (arXiv 2412.13663), [0.9, 0.95] of `llama` (arXiv 2302.13971), [0.9, 0.999] of `bert` and `gpt2` (arXiv 1810.04805)",
      typeName: 'pair of numbers in [0, 1)',
    }),
    momentum: key(rate().default(0.95), 'numbers', "Muon's momentum: β."),
    muonScale: key(
      z.number().gt(0).default(1.6),
      'numbers',
      "How large Muon's steps are: s in s·√max(rows, columns) times the learning rate. With 0.2 (arXiv 2502.16982) they are as large as AdamW's; 1.6 suited a rate of 1e-3, and 0.6 one of 4e-3 (docs/log.md).",
    ),
    epsilon: key(z.number().gt(0).default(1e-6), 'numbers', "Added to the second moment's root."),
    weightDecay: key(
      z.number().gte(0).default(0.01),
      'numbers',
      'Decoupled weight decay, times the learning rate; biases and norms are spared.',
    ),
    clipNorm: key(
      z.number().gte(0).default(1),
      'numbers',
      "The gradient's global norm is scaled down to this; 0 turns clipping off.",
    ),
    peakLearningRate: key(z.number().gt(0).default(1e-3), 'numbers', 'The learning rate at the end of the warm-up.'),
    warmupRatio: key(
      rate().default(0.02),
      'numbers',
      'The fraction of `steps` in which the learning rate rises from 0.',
    ),
    warmupShape: key(
      z.enum(namesOf(warmupShapes)).default('linear'),
      'numbers',
      "How the learning rate rises over W steps of warm-up: `linear`, peak·(t + 1)/W, or `log`, peak·log(t + 1)/log W, which is DeepSpeed's default.",
    ),
    outputBias: key(
      z.enum(['zeros', 'frequencies']).default('zeros'),
      'numbers',
      "How the bias of a new BERT's output layer starts: `zeros`, BERT's, or `frequencies`, the logarithm of each token's share of the training text, ln((n + 1)/(N + V)). Training then begins at what token frequencies alone predict, and its blocks need not learn them.",
    ),
    schedule: key(
      z.enum(namesOf(schedules)).default('linear'),
      'numbers',
      "The learning rate after the warm-up: `linear` and `cosine` fall until the end of the run, `wsd` (warm-up, stable, decay) only in its last part, `exponential` is times 0.99 each 1,000 steps (the paper's), `constant` stays.",
    ),
    finalLearningRate: key(z.number().gte(0).default(0), 'numbers', 'What the learning rate falls to.'),
    decayRatio: key(
      rate().default(0.2),
      'numbers',
      'The fraction of `steps` in which `schedule: wsd` decays, the last ones (arXiv 2405.18392).',
    ),
    decayShape: key(
      z.enum(namesOf(decayShapes)).default('1-sqrt'),
      'numbers',
      'How `schedule: wsd` decays, with u the fraction of the decay that is done: `linear`, 1 − u, or `1-sqrt`, 1 − √u (arXiv 2405.18392).',
    ),
    precision: key(z.enum(['fp32', 'bf16', 'fp16']).optional(), 'numbers', {
      description:
        'The numbers of the matrix products; master weights are float32 in each. `fp16` is for GPUs, with a loss scale that adapts itself.',
      derived: '`bf16` on a GPU or a processor that multiplies it (AVX-512 BF16, AMX), else `fp32`',
    }),
    seed: key(
      z.int().min(0).default(1),
      'numbers',
      'The seed of everything random: initialisation, order, masks, dropout and gates.',
    ),
    from: key(z.string().min(1).optional(), 'start', {
      description:
        'A checkpoint whose weights and tokenizer the run begins with; its sizes must be those of `model`, which `--from` on the command line takes over.',
      derived: 'none: new weights from the seed',
    }),
    decayFrom: key(z.string().min(1).optional(), 'start', {
      description:
        'A checkpoint of another run that this one goes on from, with its optimizer and its place in the text, while the learning rate decays; `--decay-from` on the command line writes such a configuration.',
      derived: 'none',
    }),
    evalEvery: key(z.int().min(0).optional(), 'nothing', {
      description: 'Steps from one evaluation on held-out text to the next; 0 evaluates after the last step only.',
      derived: 'a twentieth of `steps`',
    }),
    evalSamples: key(count().default(512), 'nothing', 'Held-out sequences in an evaluation, at most.'),
    saveEvery: key(z.int().min(0).optional(), 'nothing', {
      description: 'Steps from one checkpoint to the next; 0 saves after the last step only.',
      derived: 'a tenth of `steps`',
    }),
    keepCheckpoints: key(count().default(3), 'nothing', 'How many of the newest checkpoints are kept.'),
    shardOptimizer: key(
      z.boolean().default(false),
      'time',
      'Whether each of several ranks keeps the optimizer state of some blocks only (ZeRO-1), which takes less memory.',
    ),
    peerTimeout: key(z.number().gt(0).default(300), 'nothing', {
      description:
        'Seconds that a rank waits for another one which shows no sign of life; longer than a checkpoint takes to write.',
    }),
    device: key(z.string().min(1).optional(), 'time', {
      description: 'Where the tensors live: `cpu`, `cuda`, `cuda:1`, `mps`.',
      derived: '`cuda` where there is an NVIDIA GPU and the addon was built for it, else `cpu`',
    }),
    tf32: key(
      z.boolean().default(false),
      'numbers',
      'Whether a GPU may round the factors of float32 products to 10 bits (TF32), which is several times faster.',
    ),
    threads: key(
      z.int().min(0).default(0),
      'time',
      'Threads for tensor work; 0 takes every processor this process may use.',
    ),
  })
  .describe('The optimizer, the learning rate and the run.');

/**
 * A config file with all its sections: what a user may write, with its defaults. Values that follow from others are
 * optional here; `loadConfig` adds the sections that a file leaves out.
 */
export const configSchema = z.strictObject({ model: modelSection, depth: depthSection, data, train });

export type SectionName = keyof typeof configSchema.shape;

/** What a config file may say, each section and key optional: the form that flags and DeepSpeed files are turned into. */
export type PartialConfig = { [S in SectionName]?: Partial<z.input<(typeof configSchema)['shape'][S]>> };

/** A config file after its defaults, before the values that follow from others. */
export type ParsedConfig = z.infer<typeof configSchema>;

type Given<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: NonNullable<T[P]> };

/** A complete configuration: what a run uses, and what it keeps as `config.json`. It is itself a valid config file. */
export interface Config {
  model: ModelSettings;
  depth: ParsedConfig['depth'];
  data: Given<ParsedConfig['data'], 'objective' | 'maskRate'>;
  train: Given<ParsedConfig['train'], 'microBatchSize' | 'betas' | 'precision' | 'device' | 'evalEvery' | 'saveEvery'>;
}
