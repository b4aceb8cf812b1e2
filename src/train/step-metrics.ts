import type { Progress } from '../checkpoints/index.ts';
import { objectives } from '../data/index.ts';
import { expectedDepth, stepFlops } from '../depth/index.ts';
import type { StepMetrics } from '../runs/index.ts';
import { gpus, isCuda } from '../tensor/index.ts';
import { nextLossScale } from './loss-scale.ts';
import type { Run } from './run.ts';
import type { StepResult } from './step.ts';

/** Measures the time of a step, and the part of it spent making batches, in seconds. */
export class StepTimer {
  dataSeconds = 0;
  readonly #started = performance.now();

  data<T>(make: () => T): T {
    const before = performance.now();
    const made = make();
    this.dataSeconds += (performance.now() - before) / 1000;
    return made;
  }

  get stepSeconds(): number {
    return (performance.now() - this.#started) / 1000;
  }
}

/** The progress of a run after a step. */
export function progressAfter(
  { lossScale, ...before }: Progress,
  { applied, loss, tokens }: Pick<StepResult, 'applied' | 'loss' | 'tokens'>,
  batchSize: number,
): Progress {
  // In fp16, overflowing gradients are how the loss scale adjusts: they are neither counted nor warned about.
  const isOverflow = !applied && Number.isFinite(loss) && lossScale !== undefined && lossScale.scale > 1;
  return {
    ...before,
    step: before.step + 1,
    samples: before.samples + batchSize,
    tokens: before.tokens + tokens,
    nonFiniteSteps: applied ? 0 : before.nonFiniteSteps + Number(!isOverflow),
    ...(lossScale && { lossScale: nextLossScale(lossScale, applied) }),
  };
}

/** A step's line of metrics. */
export function stepMetrics(
  { config, work, progress, group }: Run,
  result: StepResult,
  lossScale: number | undefined,
  { stepSeconds, dataSeconds }: StepTimer,
): StepMetrics {
  const { step, samples, tokens } = progress;
  const planned = work(step - 1);
  const done = { ...planned, predictedTokens: result.predictedTokens };
  return {
    type: 'step',
    step,
    samples,
    tokens,
    loss: result.loss,
    [`${objectives[config.data.objective].loss}Loss`]: result.tokenLoss,
    learningRate: result.learningRate,
    gradientNorm: result.gradientNorm,
    theta: result.theta,
    keepRates: result.keepRates,
    depth: result.depth,
    ...(result.nspLoss !== undefined && { nspLoss: result.nspLoss }),
    expectedDepth: expectedDepth(result.keepRates),
    stepSeconds,
    dataSeconds,
    tokensPerSecond: result.tokens / stepSeconds,
    flops: stepFlops(done, result.depth, result.updatedBlocks),
    denseFlops: stepFlops(done, planned.layers),
    peakMemoryBytes: isCuda(config.train.device) ? gpus.peakBytes() : process.resourceUsage().maxRSS * 1024,
    ...(group.size > 1 && { ranks: group.size, ...group.traffic() }),
    ...(lossScale !== undefined && { lossScale }),
    ...(!result.applied && { applied: false }),
  };
}
