import type { RunView } from '../report/run-view.ts';

// What the server tells the page, as JSON. A number that is not finite is null.

/** `broken`: its files cannot be read. */
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

/** A run that is looked at. */
export type ShownRun = RunItem & RunView;

/** What is sent as events: the list when it changed, and a watched run when it did, or why it cannot be shown. */
export type ServerEvent = { runs: RunItem[] } | { run: ShownRun } | { failed: { name: string; error: string } };
