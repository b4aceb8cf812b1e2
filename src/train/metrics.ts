import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { type Objective, objectives } from '../data/index.ts';
import { DataError } from '../errors/index.ts';
import { replaceFile } from '../files/index.ts';
import type { Evaluation } from './evaluate.ts';
import type { FilledExample } from './examples.ts';

/** One optimizer step, as a line of `metrics.jsonl`. What is logged is what the model used. */
export interface StepMetrics {
  type: 'step';
  /** Optimizer steps done, this one included: 1 for the first. */
  step: number;
  /** Sequences seen since the start of the run. */
  samples: number;
  /** Tokens seen since the start of the run, without padding. */
  tokens: number;
  /** mlmLoss + nspLoss, or clmLoss */
  loss: number;
  /** Mean over the masked tokens of the step, in nats; absent where each next token is predicted. */
  mlmLoss?: number;
  /** Mean over the tokens of the step, in nats, where each next one is predicted. */
  clmLoss?: number;
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
  /** Making a batch, forward, backward and update. */
  stepSeconds: number;
  /** Of that, making the batch: of the next step, while a GPU works on this one. */
  dataSeconds: number;
  tokensPerSecond: number;
  /** FLOPs of this step, as its gates fell. */
  flops: number;
  /** FLOPs of this step with every block on. */
  denseFlops: number;
  /** The most resident memory that the process has had; on a GPU the most that tensors have held there. */
  peakMemoryBytes: number;
  /** The ranks that trained together; this and the next two are absent where there was one. */
  ranks?: number;
  /** What a rank sent in this step, counted from the shapes; rank 0's, as are the times. */
  bytesSent?: number;
  /** How long it waited for others. */
  waitSeconds?: number;
  /** What the loss is multiplied with in fp16; absent in other precisions. */
  lossScale?: number;
  /** Present and false when loss or gradient was not finite and the step changed nothing. */
  applied?: false;
}

/** One evaluation on held-out text, every block on, as a line of `metrics.jsonl`. */
export interface EvalMetrics {
  type: 'eval';
  /** Optimizer steps done. */
  step: number;
  split: 'valid';
  /** mlmLoss + next-sentence loss, or clmLoss */
  loss: number;
  /** Mean over the masked tokens, in nats; absent where each next token is predicted. */
  mlmLoss?: number;
  /** The fraction of the masked tokens whose likeliest piece is the right one. */
  mlmAccuracy?: number;
  /** The same two of each next token. */
  clmLoss?: number;
  clmAccuracy?: number;
  /** `exp` of the mean over the predicted tokens. */
  perplexity: number;
  /** Tokens that were predicted. */
  tokens: number;
  /** Held-out texts whose gaps the model filled. */
  examples?: readonly FilledExample[];
}

export type Metrics = StepMetrics | EvalMetrics;

/** The numbers of an evaluation under the names that metrics have for the objective. */
export function evaluationNumbers(
  objective: Objective,
  evaluation: Evaluation,
): Omit<EvalMetrics, 'type' | 'step' | 'split' | 'examples'> {
  const { tokenLoss, tokenAccuracy, loss, perplexity, tokens } = evaluation;
  const name = objectives[objective].loss;
  return { loss, [`${name}Loss`]: tokenLoss, [`${name}Accuracy`]: tokenAccuracy, perplexity, tokens };
}

/** JSON has no NaN and no infinity: they are written as null. */
export function appendMetrics(path: string, metrics: Metrics): void {
  appendFileSync(path, `${JSON.stringify(metrics)}\n`);
}

/**
 * Every whole line of a metrics file.
 *
 * @throws DataError when a line in the middle is not JSON or not one of metrics; a last line that was cut short is left out.
 */
export function readMetrics(path: string): Metrics[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop(); // after the last line break: nothing, or a line that a crash cut short
  return lines.map((line, i) => {
    try {
      const metrics = JSON.parse(line) as Metrics | null;
      if (metrics?.type === 'step' || metrics?.type === 'eval') return metrics;
    } catch (cause) {
      throw new DataError(`${path}:${i + 1}: not a line of JSON; delete the line`, { cause });
    }
    throw new DataError(`${path}:${i + 1}: neither a step nor an evaluation; delete the line`);
  });
}

/** Drops what a run logged after `step`, so that a resumed run goes on from its checkpoint. */
export function truncateMetrics(path: string, step: number): void {
  if (!existsSync(path)) return;
  const kept = readMetrics(path).filter((metrics) => metrics.step <= step);
  replaceFile(path, kept.map((metrics) => `${JSON.stringify(metrics)}\n`).join(''));
}
