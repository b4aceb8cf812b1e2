/**
 * taper pre-trains Transformer encoders and decoders on your own text, dense or with progressive layer dropping (PLD; Zhang and
 * He 2020, arXiv 2010.13369) and other depth methods. What the command line does, a program can do:
 *
 *     import { loadConfig, pretrain } from 'taper-lm';
 *
 *     const { config } = loadConfig({ file: 'configs/encoder.yaml', sets: ['data.train=[my/texts]', 'train.steps=2000'] });
 *     const { checkpoint } = await pretrain(config, { out: 'runs/mine' });
 *
 * `pretrain` takes a program's own depth method, documents, sinks and abort signal. The parts of taper are here as well, each under its
 * own name and as `taper-lm/NAME`: `depth` (methods, gates, cost; no tensor needed), `data` (text to masked batches), `model`,
 * `optimizers`, `train` (the step), `checkpoints`, `inference`, `runs` (what a run wrote), `tasks` (GLUE and your own), `analysis`,
 * `report`, `dashboard`, `interop` (Hugging Face and ONNX), `distributed` and `tensor`.
 *
 * Importing it loads no libtorch, changes no environment variable and listens to no signal; the first tensor loads libtorch. A mistake
 * that the user can fix is a `UserError` of one line.
 *
 * Legend of the shapes in all doc comments: N sequences, T positions, D model width, H heads, F feed-forward width,
 * V vocabulary, L blocks, M masked tokens. Losses are in nats, times in seconds.
 *
 * @module taper-lm
 */
export * as analysis from './analysis/index.ts';
export * as checkpoints from './checkpoints/index.ts';
export { type Checkpoint, openCheckpoint } from './checkpoints/index.ts';
export * as config from './config/index.ts';
export { type Config, type ConfigSources, type LoadedConfig, loadConfig, type PartialConfig } from './config/index.ts';
export * as dashboard from './dashboard/index.ts';
export type { Document, Documents } from './data/index.ts';
export * as data from './data/index.ts';
export type { DepthMethod, DepthState } from './depth/index.ts';
export * as depth from './depth/index.ts';
export * as distributed from './distributed/index.ts';
export { type Launched, type LaunchOptions, launch } from './distributed/index.ts';
export * from './errors/index.ts';
export * as inference from './inference/index.ts';
export {
  evaluate,
  fillMasks,
  generate,
  openTrained,
  type TrainedModel,
  type TrainedOptions,
} from './inference/index.ts';
export * as interop from './interop/index.ts';
export * as model from './model/index.ts';
export * as optimizers from './optimizers/index.ts';
export * as report from './report/index.ts';
export * as runs from './runs/index.ts';
export {
  type EvalMetrics,
  jsonl,
  type Metrics,
  type OpenSink,
  type Reporter,
  readMetrics,
  type Sink,
  type SinkRun,
  type StepMetrics,
  summarise,
  tensorBoard,
} from './runs/index.ts';
export * as tasks from './tasks/index.ts';
export { fineTune, glueTasks, openGlueTask, openOwnTask, openPredictor, type TextPredictor } from './tasks/index.ts';
export * as tensor from './tensor/index.ts';
export * as train from './train/index.ts';
export {
  InterruptedError,
  loadConfigForTexts,
  NonFiniteError,
  type PretrainOptions,
  type PretrainResult,
  pretrain,
  type RunOptions,
  type TextOptions,
} from './train/index.ts';
