import type { Config } from '../config/index.ts';
import { heldOutBatches } from '../data/index.ts';
import { type Evaluation, evaluate, evaluationNumbers } from '../inference/index.ts';
import type { EvalMetrics, Metrics } from '../runs/index.ts';
import { diverged } from './divergence.ts';
import { filledGaps } from './filled-gaps.ts';
import type { Run } from './run.ts';

/** Evaluates a run on its held-out text. Throws a NonFiniteError if the loss is not finite. */
export async function logEvaluation(run: Run, log: (line: Metrics) => Promise<void>): Promise<void> {
  const { config, group, progress } = run;
  const evaluation = evaluateHeldOut(run, config.train);
  const hasDiverged = !Number.isFinite(evaluation.loss);
  if (group.rank === 0) {
    // All ranks have the numbers; rank 0 writes them.
    const numbers = evaluationNumbers(config.data.objective, evaluation);
    const examples = hasDiverged ? {} : { examples: await filledGaps(run) };
    const metrics: EvalMetrics = { type: 'eval', step: progress.step, split: 'valid', ...numbers, ...examples };
    await log(metrics);
  }
  if (hasDiverged) throw diverged(run, `the held-out loss was not finite at step ${progress.step}`);
}

/** Every rank evaluates its share of the batches. */
export function evaluateHeldOut(
  { config, state, texts, group }: Run,
  { microBatchSize, evalSamples: limit }: Pick<Config['train'], 'microBatchSize' | 'evalSamples'>,
): Evaluation {
  const size = Math.ceil(microBatchSize / group.size);
  const batches = [...heldOutBatches(texts.valid.samples, { limit, size, mask: texts.valid.mask })];
  const own = batches.filter((_, i) => i % group.size === group.rank);
  return evaluate(state.model, own, config.train.device, { group });
}
