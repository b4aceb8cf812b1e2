import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
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
  metrics(line: Metrics): void;
  /** The run has ended, or failed. */
  close?(): void;
}

/** Where the metrics of a run go, on rank 0: a function that hears each line, or something that is opened with the run. */
export type Sink = ((line: Metrics) => void) | { open(run: SinkRun): OpenSink };

/** Opens a sink for a run; a function needs no opening. */
export function openSink(sink: Sink, run: SinkRun): OpenSink {
  return typeof sink === 'function' ? { metrics: sink } : sink.open(run);
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
