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

/** The last held-out loss. */
export const finalLoss = ({ losses }: Trained) => losses.at(-1)![1];

/** How a model is trained on the books. */
export interface Training {
  config: string;
  /** The run; one that was stopped goes on. The tokenised books are kept beside it. */
  out: string;
  sets: readonly string[];
  /** The folder of `train-*.jsonl.gz` and `valid.jsonl.gz`. */
  books: string;
  threads: number;
}

/** Trains on the books in a process of its own. */
export function trainOnBooks({ config, out, sets, books, threads }: Training): Trained {
  const data = [
    `train.threads=${threads}`,
    `data.train=["${books}/train-*.jsonl.gz"]`,
    `data.valid=["${books}/valid.jsonl.gz"]`,
    `data.cache=${join(dirname(out), 'cache')}`,
  ];
  runCommand(['pretrain', config, '--out', out, '--resume', '--set', ...sets, ...data]);
  const { evaluations } = readRun(out, console.warn);
  const last = evaluations.at(-1)!;
  return {
    steps: last.step,
    meanDepth: last.depthSum / last.step,
    losses: evaluations.map(({ step, loss }) => [step, loss]),
  };
}
