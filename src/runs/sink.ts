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
  /** The step that it goes on after, since all later lines are void; −1 for a run that begins. */
  step: number;
}

/** Hears the metrics of a run, line by line. */
export interface OpenSink {
  /** Hears each step and each evaluation. */
  /** Training waits for it. */
  metrics(line: Metrics): void | Promise<void>;
  /** The run has ended, or failed. */
  close?(): void;
}

/** Where the metrics of a run go, on rank 0: a function that hears each line, or something that is opened with the run. */
export type Sink = ((line: Metrics) => void | Promise<void>) | { open(run: SinkRun): OpenSink };

/**
 * Opens a sink for a run; a function needs no opening.
 *
 * @throws ConfigError where `open` gives no `{ metrics }`.
 */
export function openSink(sink: Sink, run: SinkRun): OpenSink {
  const open = typeof sink === 'function' ? { metrics: sink } : sink.open(run);
  if (typeof open?.metrics === 'function') return open;
  throw new ConfigError(
    'sinks: what open(run) returned has no function metrics; return { metrics, close } from it, not a promise',
  );
}

/**
 * `metrics.jsonl` in the folder of the run. JSON has no NaN and no infinity: they are written as null.
 *
 * @throws OutputError when it cannot be written.
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
