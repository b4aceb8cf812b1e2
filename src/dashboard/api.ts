import type { RunView } from '../report/run-view.ts';

// What the server sends to the page, as JSON. A number that is not finite is null.

/** `broken`: its files cannot be read. */
export type RunState = 'training' | 'done' | 'stopped' | 'broken';

/** A run in the list. */
export interface RunItem {
  /** Its path, relative to the folder of runs. */
  name: string;
  state: RunState;
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

/** A run shown in full. */
export type ShownRun = RunItem & RunView;

/** A server-sent event: the list when it changes, or a watched run when it changes or cannot be shown, with the error. */
export type ServerEvent = { runs: RunItem[] } | { run: ShownRun } | { failed: { name: string; error: string } };
