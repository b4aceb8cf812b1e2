import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutputError } from '../errors/index.ts';
import { writing } from '../files/index.ts';
import type { Metrics } from './fields.ts';
import type { Reporter } from './reporter.ts';

/** What a run was trained with and on. */
export interface Environment {
  taper: string;
  node: string;
  libtorch: string;
  /** What multiplies matrices. */
  matmul: string;
  host: string;
  processor: string;
  processors: number;
  memoryBytes: number;
  threads: number;
  device: string;
  ranks: number;
  /** FLOPs a second of a large matrix product in the run's precision, measured as training began; of one rank. */
  peakFlops: number;
}

/** A line of `log.jsonl`: training began or ended, or something was said. */
export type LogLine = {
  /** ISO 8601 */
  time: string;
  /** Optimizer steps done. */
  step: number;
} & (
  | { type: 'start'; command: readonly string[]; environment: Environment }
  | { type: 'note' | 'warning' | 'end'; text: string }
);

type Entry = LogLine extends infer Line ? (Line extends LogLine ? Omit<Line, 'time' | 'step'> : never) : never;

/** What a run says of itself: kept until it has a folder, then written to its `log.jsonl`. */
export class RunLog {
  #step = 0;
  #held: LogLine[] = [];
  #path: string | undefined;

  /** The same reporter, heard by the log. */
  hearing(report: Reporter): Reporter {
    return {
      ...report,
      note: (text) => {
        this.#add({ type: 'note', text });
        report.note(text);
      },
      warn: (text) => {
        this.#add({ type: 'warning', text });
        report.warn(text);
      },
    };
  }

  /** Training begins, or goes on after `step`: from here on lines go to the folder of the run. */
  open(out: string, step: number, start: Omit<Extract<LogLine, { type: 'start' }>, 'type' | 'time' | 'step'>): void {
    this.#path = join(out, 'log.jsonl');
    this.#step = step;
    for (const line of this.#held.splice(0)) this.#write({ ...line, step });
    this.#add({ type: 'start', ...start });
  }

  /** What is said from here on is said of this line's step. */
  metrics({ step }: Metrics): void {
    this.#step = step;
  }

  /** Training has ended; without a folder there is nothing to write to, and a disk that is full has been told of already. */
  end(text: string): void {
    if (this.#path === undefined) return;
    try {
      this.#add({ type: 'end', text });
    } catch (error) {
      if (!(error instanceof OutputError)) throw error;
    }
  }

  #add(entry: Entry): void {
    const line: LogLine = { time: new Date().toISOString(), step: this.#step, ...entry };
    if (this.#path === undefined) this.#held.push(line);
    else this.#write(line);
  }

  #write(line: LogLine): void {
    const path = this.#path!;
    writing(path, () => appendFileSync(path, `${JSON.stringify(line)}\n`));
  }
}
