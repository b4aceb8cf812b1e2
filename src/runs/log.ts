import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutputError } from '../errors/index.ts';
import { writing } from '../files/index.ts';
import type { Metrics } from './fields.ts';
import type { Reporter } from './reporter.ts';

/** The software and hardware of a run. */
export interface Environment {
  taper: string;
  node: string;
  libtorch: string;
  /** The library that multiplies matrices. */
  matmul: string;
  host: string;
  processor: string;
  processors: number;
  memoryBytes: number;
  threads: number;
  device: string;
  ranks: number;
  /** FLOPs per second of a large matrix product in the run's precision, measured when training began; of one rank. */
  peakFlops: number;
}

/** A line of `log.jsonl`: the start or end of training, a note or a warning. */
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

/** The messages of a run: kept until it has a folder, then written to its `log.jsonl`. */
export class RunLog {
  #step = 0;
  #held: LogLine[] = [];
  #path: string | undefined;

  /** The same reporter, whose messages also go to the log. */
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

  /** Training begins, or continues after `step`: from here on, lines go to the folder of the run. */
  open(out: string, step: number, start: Omit<Extract<LogLine, { type: 'start' }>, 'type' | 'time' | 'step'>): void {
    this.#path = join(out, 'log.jsonl');
    this.#step = step;
    for (const line of this.#held.splice(0)) this.#write({ ...line, step });
    this.#add({ type: 'start', ...start });
  }

  /** Later messages belong to this line's step. */
  metrics({ step }: Metrics): void {
    this.#step = step;
  }

  /** Training has ended; without a folder there is nothing to write to, and a full disk has already been reported. */
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
