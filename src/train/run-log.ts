import { appendFileSync } from 'node:fs';
import { cpus, hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageVersion } from '../config/index.ts';
import { OutputError } from '../errors/index.ts';
import { writing } from '../files/index.ts';
import { numProcessors } from '../machine/index.ts';
import { runtime } from '../tensor/index.ts';
import { peakFlops } from './peak.ts';
import { dtypeOf } from './precision.ts';
import type { Reporter } from './reporter.ts';
import type { Run } from './run.ts';

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
      step: (metrics) => {
        this.#step = metrics.step;
        report.step?.(metrics);
      },
    };
  }

  /** Training begins: from here on lines go to the folder of the run. */
  open({ out, progress }: Run, start: Entry): void {
    this.#path = join(out, 'log.jsonl');
    this.#step = progress.step;
    for (const line of this.#held.splice(0)) this.#write({ ...line, step: progress.step });
    this.#add(start);
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

/** The line that training begins with. */
export function startEntry({ config: { train }, group }: Run): Entry {
  const { numThreads: threads, torchVersion: libtorch, matmulLibrary: matmul } = runtime();
  return {
    type: 'start',
    command: process.argv.slice(1),
    environment: {
      taper: packageVersion(),
      node: process.versions.node,
      libtorch,
      matmul,
      host: hostname(),
      processor: cpus()[0]?.model ?? process.arch,
      processors: numProcessors(),
      memoryBytes: totalmem(),
      threads,
      device: train.device,
      ranks: group.size,
      peakFlops: peakFlops(dtypeOf[train.precision], train.device),
    },
  };
}
