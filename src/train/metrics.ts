import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { DataError } from '../config/index.ts';
import { replaceFile } from './files.ts';

/** One optimizer step, as a line of `metrics.jsonl`. What is logged is what the model used. */
export interface StepMetrics {
  type: 'step';
  /** Optimizer steps done, this one included: 1 for the first. */
  step: number;
  /** Sequences seen since the start of the run. */
  samples: number;
  /** Tokens seen since the start of the run, without padding. */
  tokens: number;
  /** mlmLoss + nspLoss */
  loss: number;
  /** Mean over the masked tokens of the step, in nats. */
  mlmLoss: number;
  /** Mean over the sequences of the step, in nats; absent without next-sentence prediction. */
  nspLoss?: number;
  learningRate: number;
  /** Before clipping. */
  gradientNorm: number;
  theta: number;
  /** The probability that each block ran, from the lowest up. */
  keepRates: readonly number[];
  /** The sum of the keep rates. */
  expectedDepth: number;
  /** The mean number of blocks that did run. */
  depth: number;
  /** Making the batch, forward, backward and update. */
  stepSeconds: number;
  /** Of that, the wait for the batch. */
  dataSeconds: number;
  tokensPerSecond: number;
  /** FLOPs of this step, as its gates fell. */
  flops: number;
  /** FLOPs of this step with every block on. */
  denseFlops: number;
  /** The most resident memory that the process has had. */
  peakMemoryBytes: number;
  /** Present and false when loss or gradient was not finite and the step changed nothing. */
  applied?: false;
}

/** One evaluation on held-out text, every block on, as a line of `metrics.jsonl`. */
export interface EvalMetrics {
  type: 'eval';
  /** Optimizer steps done. */
  step: number;
  split: 'valid';
  /** mlmLoss + next-sentence loss */
  loss: number;
  /** Mean over the masked tokens, in nats. */
  mlmLoss: number;
  /** The fraction of the masked tokens whose likeliest piece is the right one. */
  mlmAccuracy: number;
  /** `exp(mlmLoss)` */
  perplexity: number;
  /** Masked tokens that were predicted. */
  tokens: number;
}

export type Metrics = StepMetrics | EvalMetrics;

/** JSON has no NaN and no infinity: they are written as null. */
export function appendMetrics(path: string, metrics: Metrics): void {
  appendFileSync(path, `${JSON.stringify(metrics)}\n`);
}

/**
 * Every whole line of a metrics file.
 *
 * @throws DataError when a line in the middle is not JSON; a last line that was cut short is left out.
 */
export function readMetrics(path: string): Metrics[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop(); // after the last line break: nothing, or a line that a crash cut short
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as Metrics;
    } catch (cause) {
      throw new DataError(`${path}:${i + 1}: not a line of JSON; delete the line`, { cause });
    }
  });
}

/** Drops what a run logged after `step`, so that a resumed run goes on from its checkpoint. */
export function truncateMetrics(path: string, step: number): void {
  if (!existsSync(path)) return;
  const kept = readMetrics(path).filter((metrics) => metrics.step <= step);
  replaceFile(path, kept.map((metrics) => `${JSON.stringify(metrics)}\n`).join(''));
}
