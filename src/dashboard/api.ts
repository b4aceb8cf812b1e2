import type { RunView } from '../report/run-view.ts';
import type { FineTuning } from '../runs/fine-tuning.ts';

// What the server sends to the page, as JSON. A number that is not finite is null.

/** `broken`: its files cannot be read. */
export type RunState = 'training' | 'done' | 'stopped' | 'broken';

/** What all entries of the list have. */
interface Item {
  /** Its path, relative to the folder of runs. */
  name: string;
  /** Its path, as a command takes it. */
  folder: string;
  /** When it was started or written, in milliseconds since 1970. */
  started: number;
}

/** A run in the list. */
export interface RunItem extends Item {
  state: RunState;
  /** A short name for its texts; empty if they are not known. */
  text: string;
  /** The depth method. */
  method: string;
  step: number;
  steps: number;
  /** Training loss of the last step. */
  loss: number | null;
  /** Of the last evaluation. */
  heldOutLoss: number | null;
  /** Estimated from the time of the last steps; null unless the run is training. */
  secondsLeft: number | null;
}

/** A fine-tuned model in the list. */
export interface TuningItem extends Item {
  /** The listed run that it was made from; null if it is not listed. */
  parent: string | null;
  /** Null for a model of an earlier version, which did not write it. */
  record: FineTuning | null;
}

/** All runs and fine-tuned models, newest first. */
export interface RunList {
  runs: RunItem[];
  tunings: TuningItem[];
}

/** A run shown in full. */
export type ShownRun = RunItem & RunView;

/** A server-sent event: the list when it changes, or a watched run when it changes or cannot be shown, with the error. */
export type ServerEvent = { list: RunList } | { run: ShownRun } | { failed: { name: string; error: string } };
