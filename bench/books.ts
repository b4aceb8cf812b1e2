import { dirname, join } from 'node:path';
import { readRun } from '../src/report/index.ts';
import { runCommand } from './programs.ts';

/** The result of a training on the books. */
export interface Trained {
  steps: number;
  /** Blocks that ran, the mean over all steps. */
  meanDepth: number;
  /** Held-out loss in nats by step. */
  losses: [step: number, loss: number][];
}

/** A training that did not come to its end: what it printed. */
export interface Diverged {
  diverged: string;
}

/** The last held-out loss. */
export const finalLoss = ({ losses }: Trained) => losses.at(-1)![1];

/** What `taper-lm pretrain` prints when training diverges. */
export const divergence = /training diverged: .*/;

/** The keys of `data` for the books: `train-*.jsonl.gz` and `valid.jsonl.gz` in a folder. */
export const booksIn = (folder: string, cache: string) => ({
  train: [join(folder, 'train-*.jsonl.gz')],
  valid: [join(folder, 'valid.jsonl.gz')],
  cache,
});

/** `booksIn` as values of `--set`. */
export const setsForBooks = (folder: string, cache: string) =>
  Object.entries(booksIn(folder, cache)).map(([key, value]) => `data.${key}=${JSON.stringify(value)}`);

/** How a model is trained on the books. */
export interface Training {
  config: string;
  /** The run; a stopped one is resumed. The tokenised books are kept beside it. */
  out: string;
  sets: readonly string[];
  /** The folder of the books. */
  books: string;
  threads: number;
}

/** Trains on the books in a separate process. */
export function trainOnBooks({ config, out, sets, books, threads }: Training): Trained | Diverged {
  const data = setsForBooks(books, join(dirname(out), 'cache'));
  try {
    runCommand(['pretrain', config, '--out', out, '--resume', '--set', ...sets, `train.threads=${threads}`, ...data]);
  } catch (error) {
    const diverged = divergence.exec((error as Error).message)?.[0];
    if (diverged === undefined) throw error;
    return { diverged };
  }
  const { evaluations } = readRun(out, console.warn);
  const last = evaluations.at(-1)!;
  return {
    steps: last.step,
    meanDepth: last.depthSum / last.step,
    losses: evaluations.map(({ step, loss }) => [step, loss]),
  };
}
