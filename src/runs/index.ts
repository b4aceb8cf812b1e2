/**
 * What a run writes: its metrics line by line and its log; the sinks that write them and the functions that read them.
 *
 * @module taper-lm/runs
 */
export {
  type EvalMetrics,
  evalFields,
  type Field,
  type Metrics,
  type StepMetrics,
  stepFields,
} from './fields.ts';
export { type FineTuning, fineTuningFile, readFineTuning, type ScoredSet } from './fine-tuning.ts';
export type { Gap } from './gap.ts';
export { type Environment, type LogLine, RunLog } from './log.ts';
export { lastMetrics, logLineOf, metricsOf, readMetrics } from './read.ts';
export type { Reporter } from './reporter.ts';
export { jsonl, type OpenSink, openSink, type Sink, type SinkRun } from './sink.ts';
export { addStep, flopsSaved, nothingSpent, type Spent } from './spent.ts';
export { RunSums, type Summary, summarise } from './summary.ts';
export { Tail } from './tail.ts';
export { tensorBoard } from './tensorboard.ts';
