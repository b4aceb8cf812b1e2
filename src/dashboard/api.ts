import type { Columns } from '../report/series.ts';
import type { FilledExample } from '../train/examples.ts';
import type { LogLine } from '../train/run-log.ts';

// What the server tells the page, as JSON. A number that is not finite is null.

/** `broken`: its configuration cannot be read. */
export type RunState = 'training' | 'done' | 'stopped' | 'broken';

/** A run in the list. */
export interface RunItem {
  /** Its folder, from the folder of the runs on. */
  name: string;
  state: RunState;
  /** The depth method. */
  method: string;
  step: number;
  steps: number;
  /** Of the last step. */
  loss: number | null;
  /** The last one. */
  heldOutLoss: number | null;
  /** Of its remaining steps, as long as the last ones; only while it trains. */
  secondsLeft: number | null;
}

/** An evaluation, and what had been spent when it was made. */
export interface EvaluationPoint {
  step: number;
  samples: number;
  tokens: number;
  flops: number;
  seconds: number;
  loss: number | null;
  perplexity: number | null;
  /** The fraction of the predicted tokens that were right. */
  accuracy: number;
  examples: readonly FilledExample[];
}

/** A run, as far as a page can show it. */
export interface RunView extends RunItem {
  layers: number;
  columns: Columns;
  /** [points] At the step of each point, which blocks its first micro-batch ran; empty where each sequence has gates of its own. */
  gates: boolean[][];
  evaluations: EvaluationPoint[];
  /** Fractions of what every block on would have taken. `timeSaved` is null while too little is known. */
  saved: { blockFlops: number; stepFlops: number; time: number | null };
  /** What the schedule saves by the run's end, in the mean over its gates. */
  savedAtEnd: { blockFlops: number; stepFlops: number };
  /** FLOPs a second of a large matrix product where the run trained; null for runs that did not log it. */
  peakFlops: number | null;
  /** The resolved configuration: `section.key`, value as JSON. */
  config: [key: string, value: string][];
  /** The newest last. */
  log: LogLine[];
  /** Lines of its files that could not be read. */
  brokenLines: number;
}

/** What is sent as events: the list when it changed, and a watched run when it did. */
export type ServerEvent = { runs: RunItem[] } | { run: RunView };
