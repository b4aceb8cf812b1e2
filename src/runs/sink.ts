import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import { ConfigError } from '../errors/index.ts';
import { replaceFile, writing } from '../files/index.ts';
import type { Metrics } from './fields.ts';
import { readMetrics } from './read.ts';

/** A run as its sinks see it. */
export interface SinkRun {
  /** Its folder. */
  out: string;
  config: Config;
  /** The step that it continues after, because all later lines are void; −1 for a new run. */
  step: number;
}

/** Receives the metrics of a run, line by line. */
export interface OpenSink {
  /** Called for each step and each evaluation; training waits for it. */
  metrics(line: Metrics): void | Promise<void>;
  /** The run has ended, or failed. */
  close?(): void;
}

/** Where the metrics of a run go, on rank 0: a function that is called with each line, or something that is opened with the run. */
export type Sink = ((line: Metrics) => void | Promise<void>) | { open(run: SinkRun): OpenSink };

/**
 * Opens a sink for a run; a function needs no opening.
 *
 * @throws ConfigError if `open` does not return `{ metrics }`.
 */
export function openSink(sink: Sink, run: SinkRun): OpenSink {
  const open = typeof sink === 'function' ? { metrics: sink } : sink.open(run);
  if (typeof open?.metrics === 'function') return open;
  throw new ConfigError(
    'sinks: open(run) did not return a metrics function; return { metrics, close } from it, not a promise',
  );
}

/**
 * `metrics.jsonl` in the folder of the run. JSON has no NaN and no infinity: they are written as null.
 *
 * @throws OutputError when it cannot be written.
 * @throws DataError when the run resumes and a line of the file is broken.
 */
export const jsonl = (): Sink => ({
  open({ out, step }) {
    const path = join(out, 'metrics.jsonl');
    if (existsSync(path)) {
      const kept = readMetrics(path).filter((line) => line.step <= step);
      replaceFile(path, kept.map(lineOf).join(''));
    }
    return { metrics: (line) => writing(path, () => appendFileSync(path, lineOf(line))) };
  },
});

const lineOf = (line: Metrics) => `${JSON.stringify(line)}\n`;
