/**
 * taper pre-trains Transformer language models faster by progressive layer dropping (PLD; Zhang and He 2020,
 * arXiv 2010.13369). What the command line does, a program can do:
 *
 *     import { loadConfig, pretrain } from 'taper-lm';
 *
 *     const { config } = loadConfig({
 *       overrides: {
 *         model: { preset: 'bert-mini' },
 *         data: { train: ['my/texts'] },
 *         train: { steps: 10_000 },
 *       },
 *     });
 *     const { checkpoint } = await pretrain(config, { out: 'runs/mine' });
 *
 * Its parts are here as well: `depth` (methods, gates, cost; no tensor needed), `data` (text to masked batches),
 * `analysis` (what blocks do in a trained model), `report` (runs side by side, charts, reports), `dashboard` (the page of runs), `interop` (Hugging Face in and out), `distributed` (ranks),
 * the model with its switchable blocks, the training step, and tensors over libtorch. A mistake that the user can mend
 * is a `UserError` of one line.
 *
 * Legend of the shapes in all doc comments: N sequences, T positions, D model width, H heads, F feed-forward width,
 * V vocabulary, L blocks, M masked tokens. Losses are in nats, times in seconds.
 */
export * as analysis from './analysis/index.ts';
export * from './checkpoints/index.ts';
export * from './config/index.ts';
export * as dashboard from './dashboard/index.ts';
export * as data from './data/index.ts';
export * as depth from './depth/index.ts';
export * as distributed from './distributed/index.ts';
export * from './errors/index.ts';
export * from './inference/index.ts';
export * as interop from './interop/index.ts';
export * from './machine/index.ts';
export * from './model/index.ts';
export * from './optimizers/index.ts';
export * as random from './random/index.ts';
export * as report from './report/index.ts';
export * from './runs/index.ts';
export * as tasks from './tasks/index.ts';
export * from './tensor/index.ts';
export * from './train/index.ts';
